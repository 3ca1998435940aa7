//! One tile of somebody's published job computed again, and held against what its device signed.

use std::ops::ControlFlow;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use gpu_kernels::device::Device;
use gpu_kernels::tolerance::agrees;
use wire::explorer::Sample;
use wire::lend::Recomputed;
use wire::{TileHash, merkle};

use super::infer::Infer;
use crate::run::RunFailure;

/// Values shown of each side.
const SHOWN: usize = 64;

/// A sample with the bytes it names.
pub struct Fetched {
    pub sample: Sample,
    pub model: Vec<u8>,
    pub input: Vec<u8>,
    /// What the device answered.
    pub output: Vec<u8>,
}

/// Computes the tile here and compares.
pub async fn recompute(device: &mut Device, infer: &mut Infer, fetched: &Fetched) -> Result<Recomputed, RunFailure> {
    let Fetched { sample, model, input, output } = fetched;
    infer.prepare(sample.model, &sample.row_shape, model)?;
    let input: Vec<u32> = bytemuck::pod_collect_to_vec(input);
    let rows = usize::try_from(sample.rows).unwrap_or(usize::MAX);
    let busy = std::cell::Cell::new(Duration::ZERO);
    let count = async |took: Duration| {
        busy.set(busy.get() + took);
        ControlFlow::Continue(())
    };
    let here =
        infer.run(device, sample.model, &sample.row_shape, rows, &input, count).await.ok_or(RunFailure::Evicted)??;
    let here: Vec<f32> = bytemuck::cast_slice(&here).to_vec();
    let there: Vec<f32> = bytemuck::pod_collect_to_vec(output);
    let differences = here.iter().zip(&there).map(|(a, b)| f64::from((a - b).abs())).filter(|d| !d.is_nan());
    Ok(Recomputed {
        tile: sample.tile,
        lease: sample.statement.receipt.lease,
        adapter: device.info().name.clone(),
        values: u64::try_from(there.len()).unwrap_or(u64::MAX),
        max_difference: differences.fold(0.0, f64::max),
        agrees: agrees(&there, &here),
        under_root: is_under_root(sample, output),
        signature_holds: is_signed(sample),
        millis: busy.get().as_secs_f64() * 1000.0,
        here: here.into_iter().take(SHOWN).map(finite).collect(),
        there: there.into_iter().take(SHOWN).map(finite).collect(),
    })
}

/// JSON has no word for what is not finite; the comparison itself is done before.
fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// Whether the answer is the one that the signed root commits to.
fn is_under_root(sample: &Sample, output: &[u8]) -> bool {
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let receipt = &sample.statement.receipt;
    let leaf = TileHash(hash(&merkle::leaf_bytes(receipt.lease, output)));
    merkle::root_from_proof(leaf, &sample.proof, hash) == receipt.root
}

fn is_signed(sample: &Sample) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&sample.statement.signature.0);
    VerifyingKey::from_bytes(&sample.statement.device.0)
        .is_ok_and(|key| key.verify_strict(&sample.statement.receipt.signing_bytes(), &signature).is_ok())
}
