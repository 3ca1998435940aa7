//! A model over rows. Models stay ready on the device while their job's leases come in.

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::Device;
use gpu_kernels::dtype::DType;
use gpu_kernels::graph::forward::Session;
use gpu_kernels::graph::{Feed, Graph, Tensor};
use gpu_kernels::records::{Part, interleave, split};
use wire::{BlobHash, Field, Task};

use super::input_bytes;
use crate::run::RunFailure;

/// Models kept ready; the one used longest ago goes first.
const READY_MAX: usize = 4;

#[derive(Default)]
pub struct Infer {
    ready: Vec<(Key, Session)>,
}

/// The task, which names the model and the shapes, and the hash of what all rows share.
type Key = (Task, BlobHash);

fn key(task: &Task, shared: &[u8]) -> Key {
    (task.clone(), BlobHash(*blake3::hash(shared).as_bytes()))
}

impl Infer {
    pub fn has(&self, task: &Task, shared: &[u8]) -> bool {
        let wanted = key(task, shared);
        self.ready.iter().any(|(kept, _)| *kept == wanted)
    }

    /// Makes a model ready for rows of one shape.
    pub fn prepare(&mut self, task: &Task, shared: &[u8], model: &[u8]) -> Result<(), RunFailure> {
        let Task::Infer { inputs, .. } = task else { return Err(RunFailure::Evicted) };
        let session = Session::new(Graph::parse(model)?, feeds(inputs, shared)?).map_err(RunFailure::from)?;
        if self.ready.len() >= READY_MAX {
            self.ready.remove(0);
        }
        self.ready.push((key(task, shared), session));
        Ok(())
    }

    /// Computes rows with a model that was made ready: the outputs of each row side by side.
    pub async fn run(
        &mut self,
        device: &mut Device,
        task: &Task,
        rows: u64,
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        let Task::Infer { inputs, outputs, .. } = task else { return Err(RunFailure::Evicted) };
        let shared = super::shared_part(task, input);
        let wanted = key(task, shared);
        let place = self.ready.iter().position(|(kept, _)| *kept == wanted).ok_or(RunFailure::Evicted)?;
        let entry = self.ready.remove(place);
        self.ready.push(entry);
        let (_, session) = self.ready.last_mut().ok_or(RunFailure::Evicted)?;
        let expected = input_bytes(task, rows).unwrap_or(usize::MAX);
        let size = || RunFailure::Input { expected, found: input.len() };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let of_rows = parts(inputs.iter().filter(|field| !field.shared));
        let values = &input[..input.len() - shared.len()];
        let words = split(values, rows, &of_rows).ok_or_else(size)?.map_err(RunFailure::Value)?;
        let fed: Vec<&[u32]> = words.iter().map(Vec::as_slice).collect();
        let answers = session.run(device, rows, &fed, pace).await?;
        Ok(interleave(rows, &parts(outputs.iter()), &answers))
    }
}

fn dtype(field: &Field) -> DType {
    DType::from_name(field.dtype.name()).expect("every type of the wire should be one of the kernels'")
}

/// The arrays of a row.
pub fn parts<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<Part> {
    let len = |field: &Field| usize::try_from(field.bytes() / field.dtype.bytes()).unwrap_or(usize::MAX);
    fields.map(|field| Part { dtype: dtype(field), len: len(field) }).collect()
}

fn feeds(inputs: &[Field], shared: &[u8]) -> Result<Vec<Feed>, RunFailure> {
    let whole = parts(inputs.iter().filter(|field| field.shared));
    let size = || RunFailure::Input { expected: whole.iter().map(Part::bytes).sum(), found: shared.len() };
    let mut words = split(shared, 1, &whole).ok_or_else(size)?.map_err(RunFailure::Value)?.into_iter();
    let feed = |field: &Field| {
        let shape: Vec<usize> = field.shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        if field.shared {
            let words = words.next().unwrap_or_default().into();
            return Feed::Known(Tensor { dtype: dtype(field), shape, words });
        }
        Feed::Rows(shape)
    };
    Ok(inputs.iter().map(feed).collect())
}
