//! A model over rows. Models stay ready on the device while their job's leases come in.

#[cfg(not(feature = "cpu"))]
mod planned;
#[cfg(feature = "cpu")]
mod whole;

use gpu_kernels::dtype::DType;
use gpu_kernels::records::Column;
use wire::{BlobHash, Field, Task};

#[cfg(not(feature = "cpu"))]
pub use self::planned::{Came, Infer, InferError, Wanted, fetch};
#[cfg(feature = "cpu")]
pub use self::whole::{Came, Infer, InferError, Wanted, fetch};

/// The task, which names the model and the shapes, and the hash of what all rows share.
type Key = (Task, BlobHash);

fn key(task: &Task, shared: &[u8]) -> Key {
    (task.clone(), BlobHash(*blake3::hash(shared).as_bytes()))
}

fn dtype(field: &Field) -> DType {
    DType::from_name(field.dtype.name()).expect("every type of the wire should be one of the kernels'")
}

/// The arrays of a row.
pub fn columns<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<Column> {
    let len = |field: &Field| usize::try_from(field.bytes() / field.dtype.bytes()).unwrap_or(usize::MAX);
    fields.map(|field| Column { dtype: dtype(field), len: len(field) }).collect()
}
