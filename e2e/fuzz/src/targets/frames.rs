//! Frames of a device's socket, and orders: what parses is the same once written and read again.

use anyhow::{Context, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::device::Backend;
use wire::{FromDevice, KernelToCheck, LeaseGrant, QuoteRequest, SubmitJob, ToDevice};

use crate::draw::Draw;
use crate::mutate;
use crate::schema::Maker;

/// What JSON of these types has, for damage that still looks like it.
const WORDS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "-",
    "0",
    "1e999",
    "-0.0",
    "18446744073709551616",
    "1.5",
    "\"type\"",
    "\"kind\"",
    "\"hello\"",
    "\"commit\"",
    "\"ready\"",
    "\"lease\"",
    "\"infer\"",
    "\"map\"",
    "\"exact\"",
    "\"tolerance\"",
    "\"rtol\"",
    "\"protocol\"",
    "\"key\"",
    "\"code\"",
    "\"token\"",
    "\"tiles\"",
    "\"receipt\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"😀\"",
    " ",
    "\n",
    "[[[[",
    "{\"a\":",
];

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    match draw.below(6) {
        0 | 1 => {
            if let Some(FromDevice::Commit { receipt, .. }) = read_again(draw, "FromDevice")? {
                check_signed_bytes(draw, &receipt)?;
            }
        }
        2 => drop(read_again::<ToDevice>(draw, "ToDevice")?),
        3 => drop(read_again::<SubmitJob>(draw, "SubmitJob")?),
        4 => drop(read_again::<KernelToCheck>(draw, "KernelToCheck")?),
        _ => {
            drop(read_again::<QuoteRequest>(draw, "QuoteRequest")?);
            drop(read_again::<LeaseGrant>(draw, "LeaseGrant")?);
        }
    }
    Ok(())
}

/// JSON of a schema, as it is or damaged.
fn made(draw: &mut Draw, schema: &str) -> String {
    let wrong_one_in = draw.pick(&[8, 40, 1000]);
    let value = Maker { draw, known: &[], wrong_one_in }.named(schema);
    let mut text = value.to_string();
    if draw.one_in(3) {
        text = mutate::text(draw, &text, &WORDS);
    }
    draw.show(schema, &text);
    text
}

/// What a text says, if it says anything: the same when it is written and read again.
fn read_again<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(
    draw: &mut Draw,
    schema: &str,
) -> anyhow::Result<Option<T>> {
    let Ok(first) = serde_json::from_str::<T>(&made(draw, schema)) else { return Ok(None) };
    draw.is_taken = true;
    let written = serde_json::to_string(&first).context("what was read should be written")?;
    let second: T = serde_json::from_str(&written).with_context(|| format!("{written} should be read again"))?;
    ensure!(first == second, "{first:?} is {second:?} once it was written as {written}");
    Ok(Some(first))
}

/// No two receipts are signed by the same bytes.
fn check_signed_bytes(draw: &mut Draw, receipt: &wire::Receipt) -> anyhow::Result<()> {
    let mut other = receipt.clone();
    match draw.below(5) {
        0 => other.program.push_str(&draw.text(9)),
        1 => other.backend = draw.pick(&Backend::ALL),
        2 => drop(other.program.pop()),
        3 => other.tiles = other.tiles.wrapping_add(1),
        _ => other.output = wire::BlobHash(draw.array()),
    }
    let same_bytes = receipt.signing_bytes() == other.signing_bytes();
    ensure!(same_bytes == (*receipt == other), "{receipt:?} and {other:?} are signed by the same bytes");
    Ok(())
}
