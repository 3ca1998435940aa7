//! One tile of somebody's published job computed again, and held against what its device signed.

use std::ops::ControlFlow;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use gpu_kernels::dtype::DType;
use gpu_kernels::records::{Column, columns, deinterleave};
use gpu_kernels::tolerance::{agrees_as, within};
use wire::explorer::Sample;
use wire::lend::Recomputed;
use wire::{Check, Field, InferTask, MapTask, Task, merkle};

use super::{Executor, FetchedAssets};
use crate::run::RunFailure;

/// Values shown of each side.
const SHOWN: usize = 64;

/// A sample with the bytes it names.
pub struct Drawn {
    pub sample: Sample,
    pub program: FetchedAssets,
    pub input: Vec<u8>,
    /// What the device answered.
    pub output: Vec<u8>,
}

/// Computes the tile here and compares.
pub async fn recompute(executor: &mut Executor, drawn: Drawn) -> Result<Recomputed, RunFailure> {
    let Drawn { sample, program, input, output } = drawn;
    let busy = std::cell::Cell::new(Duration::ZERO);
    let count = async |took: Duration| {
        busy.set(busy.get() + took);
        ControlFlow::Continue(())
    };
    let here = executor.run(&sample.task, program, [sample.rows; 2], &input, count).await?;
    let found = compare(&sample.task, sample.check, &output, &here);
    Ok(Recomputed {
        tile: sample.tile,
        lease: sample.statement.receipt.lease,
        adapter: executor.device.info().name.clone(),
        values: u64::try_from(found.there.len()).unwrap_or(u64::MAX),
        max_difference: found.max_difference,
        agrees: found.agrees,
        under_root: is_under_root(&sample, &output),
        signature_holds: is_signed(&sample),
        millis: busy.get().as_secs_f64() * 1000.0,
        here: found.here.into_iter().take(SHOWN).map(finite).collect(),
        there: found.there.into_iter().take(SHOWN).map(finite).collect(),
    })
}

/// Both sides as numbers, and how they differ.
struct Compared {
    here: Vec<f32>,
    there: Vec<f32>,
    max_difference: f64,
    agrees: bool,
}

fn compare(task: &Task, check: Check, there: &[u8], here: &[u8]) -> Compared {
    let fields = match task {
        Task::Infer(InferTask { outputs, .. }) => columns(outputs.iter().map(Field::array)),
        // Records are words, and floats where a tolerance was stated.
        Task::Map(MapTask { out_bytes, .. }) => {
            let dtype = if check == Check::Exact { DType::U32 } else { DType::F32 };
            vec![Column { dtype, len: usize::try_from(out_bytes / 4).unwrap_or(usize::MAX) }]
        }
    };
    let read = |bytes: &[u8]| deinterleave(bytes, &fields).and_then(Result::ok);
    let (Some(theirs), Some(ours)) = (read(there), read(here)) else {
        return Compared { here: Vec::new(), there: Vec::new(), max_difference: f64::INFINITY, agrees: false };
    };
    let numbers = |columns: &[Vec<u32>]| -> Vec<f32> {
        fields
            .iter()
            .zip(columns)
            .flat_map(|(column, words)| words.iter().map(|&word| number(column.dtype, word)))
            .collect()
    };
    let (ours_shown, theirs_shown) = (numbers(&ours), numbers(&theirs));
    let differences = ours_shown.iter().zip(&theirs_shown).map(|(a, b)| f64::from((a - b).abs()));
    let agrees = match (task, check) {
        (Task::Infer(_), _) => {
            fields.iter().zip(theirs.iter().zip(&ours)).all(|(column, (a, b))| agrees_as(column.dtype, a, b))
        }
        (Task::Map(_), Check::Exact) => there == here,
        (Task::Map(_), Check::Tolerance { rtol, atol }) => within(&theirs_shown, &ours_shown, rtol.get(), atol.get()),
    };
    Compared {
        max_difference: differences.filter(|difference| !difference.is_nan()).fold(0.0, f64::max),
        here: ours_shown,
        there: theirs_shown,
        agrees,
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "shown, not computed with")]
fn number(dtype: DType, word: u32) -> f32 {
    match dtype.repr() {
        gpu_kernels::dtype::Repr::F32 => f32::from_bits(word),
        gpu_kernels::dtype::Repr::I32 => word.cast_signed() as f32,
        gpu_kernels::dtype::Repr::U32 => word as f32,
    }
}

/// JSON has no word for what is not finite; the comparison itself is done before.
fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// Whether the answer is the one that the signed root commits to.
fn is_under_root(sample: &Sample, output: &[u8]) -> bool {
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let receipt = &sample.statement.receipt;
    let leaf = merkle::leaf(receipt.lease, output, hash);
    merkle::root_from_proof(leaf, &sample.proof, hash) == receipt.root
}

fn is_signed(sample: &Sample) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&sample.statement.signature.0);
    VerifyingKey::from_bytes(&sample.statement.device.0)
        .is_ok_and(|key| key.verify_strict(&sample.statement.receipt.signing_bytes(), &signature).is_ok())
}
