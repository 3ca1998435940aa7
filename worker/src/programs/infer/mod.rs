//! A model over rows. Models stay ready on the device while their job's leases come in.

#[cfg(not(feature = "cpu"))]
mod planned;
#[cfg(feature = "cpu")]
mod whole;

use wire::{BlobHash, Task};

#[cfg(not(feature = "cpu"))]
pub use self::planned::{FetchedModel, Infer, InferError, MissingModel, fetch};
#[cfg(feature = "cpu")]
pub use self::whole::{FetchedModel, Infer, InferError, MissingModel, fetch};

/// The task, which names the model and the shapes, and the hash of what all rows share.
type Key = (Task, BlobHash);

fn key(task: &Task, shared: &[u8]) -> Key {
    (task.clone(), BlobHash(*blake3::hash(shared).as_bytes()))
}
