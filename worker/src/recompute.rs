//! One tile of somebody's published job, computed here and held against what its device signed.

use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use gpu_kernels::device::DeviceInfo;
use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::records::{Column, deinterleave};
use gpu_kernels::tolerance::agrees_as;
use wire::explorer::Sample;
use wire::lend::Recomputed;
use wire::merkle;

use crate::programs::output_format;
use crate::programs::program::{Agreement, OutputFormat};

/// Values shown of each side.
const SHOWN: usize = 64;

/// Both outputs of a tile.
pub(crate) struct Tile<'a> {
    /// What the device answered.
    pub signed: &'a [u8],
    /// What was computed here.
    pub here: &'a [u8],
    /// How long that kept this device busy.
    pub busy: Duration,
}

pub(crate) fn compare(sample: &Sample, tile: &Tile<'_>, info: &DeviceInfo) -> Recomputed {
    let note_bytes = wire::number::to(sample.task.tile_note_bytes());
    let comparison = Comparison::of(&output_format(&sample.task, sample.check), tile, note_bytes);
    let first = |values: Vec<f32>| values.into_iter().take(SHOWN).map(finite).collect();
    Recomputed {
        tile: sample.tile,
        lease: sample.statement.receipt.lease,
        adapter: info.name.clone(),
        values: wire::number::to(comparison.signed.len()),
        max_difference: comparison.max_difference,
        agrees: comparison.agrees,
        under_root: is_under_root(sample, tile.signed),
        signature_holds: is_signed(sample),
        millis: tile.busy.as_secs_f64() * 1000.0,
        here: first(comparison.here),
        there: first(comparison.signed),
    }
}

/// Both outputs as numbers, and how they differ.
struct Comparison {
    signed: Vec<f32>,
    here: Vec<f32>,
    max_difference: f64,
    agrees: bool,
}

impl Comparison {
    fn of(format: &OutputFormat, tile: &Tile<'_>, note_bytes: usize) -> Self {
        let arrays = |bytes: &[u8]| {
            let rows = bytes.get(..bytes.len().checked_sub(note_bytes)?)?;
            deinterleave(rows, &format.columns).and_then(Result::ok)
        };
        let (Some(signed_words), Some(words)) = (arrays(tile.signed), arrays(tile.here)) else {
            return Self { signed: Vec::new(), here: Vec::new(), max_difference: f64::INFINITY, agrees: false };
        };
        let (signed, here) = (numbers(&format.columns, &signed_words), numbers(&format.columns, &words));
        let differences = here.iter().zip(&signed).map(|(a, b)| f64::from((a - b).abs()));
        let max_difference = differences.filter(|difference| !difference.is_nan()).fold(0.0, f64::max);
        let agrees = match &format.agreement {
            Agreement::ByType => {
                let mut arrays = format.columns.iter().zip(signed_words.iter().zip(&words));
                arrays.all(|(column, (a, b))| agrees_as(column.dtype, a, b))
            }
            Agreement::Stated(check, task) => task.tiles_agree(*check, &task.words, tile.signed, tile.here),
        };
        Self { signed, here, max_difference, agrees }
    }
}

fn numbers(columns: &[Column], arrays: &[Vec<u32>]) -> Vec<f32> {
    let arrays = columns.iter().zip(arrays);
    arrays.flat_map(|(column, words)| words.iter().map(|&word| number(column.dtype, word))).collect()
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "shown, not computed with")]
fn number(dtype: DType, word: u32) -> f32 {
    match dtype.repr() {
        Repr::F32 => f32::from_bits(word),
        Repr::I32 => word.cast_signed() as f32,
        Repr::U32 => word as f32,
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
