//! A `map` job: the customer's kernel through the gate, its records counted.

use gpu_kernels::wgsl::GROUPS_MAX;
use gpu_kernels::wgsl::gate::{self, Contract, FUEL_MAX, GateError, Passed, SOURCE_BYTES_MAX};
use wire::{Blob, BlobHash, Check, ErrorCode, Map, MapTask, Place, Program, Task, Tolerance};

use super::inputs::Source;
use super::spec::{Cut, TILE_BYTES_AIM, TILE_FLOPS_AIM, tile_rows, unknown_blob};
use crate::app::App;
use crate::auth::Caller;
use crate::blobs;
use crate::error::{ApiError, invalid, invalid_at};

/// Operations that a record's loops may take where the customer says nothing.
pub const FUEL: u32 = 65_536;
/// Most operations of a tile: one dispatch of it must not hold a desktop up.
const TILE_OPS_MAX: u64 = 200_000_000;
const TILE_BYTES_MAX: u64 = 16 << 20;

type Parts = (Task, Vec<Source>, Check, Cut);

pub async fn read(app: &App, caller: Caller, program: &Program) -> Result<Parts, ApiError> {
    let Program::Map(Map { kernel, input, record_bytes, out_bytes, params, fuel, check, tile_records }) = program
    else {
        return Err(invalid(ErrorCode::MalformedRequest, "program", "this is no map job"));
    };
    let (code, records, given) = {
        let mut conn = app.db.read().await?;
        let mut find = async |hash: BlobHash, field: &str| -> Result<Blob, ApiError> {
            let owned = blobs::store::find_owned_blob(&mut conn, caller.account, hash).await?;
            owned.ok_or_else(|| unknown_blob(field))
        };
        let given = match params {
            Some(hash) => Some(find(*hash, "params").await?),
            None => None,
        };
        (find(*kernel, "kernel").await?, find(*input, "input").await?, given)
    };
    let contract = Contract { record_bytes: *record_bytes, out_bytes: *out_bytes, fuel: fuel.unwrap_or(FUEL) };
    if contract.fuel > FUEL_MAX {
        let message = format!("at most {FUEL_MAX} operations; give each record less to do");
        return Err(invalid(ErrorCode::RowTooHeavy, "fuel", message));
    }
    let passed = pass(&text(app, &code).await?, contract).await?;
    check_params(&passed, given.as_ref())?;
    let rows = count_records(&records, contract)?;
    let cut = cut(&passed, contract, rows, *tile_records)?;
    let check = choose_check(&passed, *check)?;
    let task = Task::Map(MapTask {
        kernel: *kernel,
        record_bytes: *record_bytes,
        out_bytes: *out_bytes,
        fuel: contract.fuel,
        params: *params,
    });
    Ok((task, vec![Source { blob: *input, offset: 0 }], check, cut))
}

async fn text(app: &App, blob: &Blob) -> Result<String, ApiError> {
    if blob.size > u64::try_from(SOURCE_BYTES_MAX).unwrap_or(u64::MAX) {
        let message = format!("the kernel has {} bytes; at most {SOURCE_BYTES_MAX} are taken", blob.size);
        return Err(invalid(ErrorCode::InvalidKernel, "kernel", message));
    }
    let bytes = app.blobs.read(blob.hash).await?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_binary| invalid(ErrorCode::InvalidKernel, "kernel", "the kernel is not text in UTF-8"))
}

/// The gate, on a thread that may block.
pub async fn pass(source: &str, contract: Contract) -> Result<Passed, ApiError> {
    let source = source.to_owned();
    let passed = tokio::task::spawn_blocking(move || gate::pass(&source, contract));
    passed.await.map_err(anyhow::Error::from)?.map_err(|error| refuse(&error))
}

pub fn refuse(error: &GateError) -> ApiError {
    let place = Place { line: error.line, column: error.column };
    invalid_at(ErrorCode::InvalidKernel, "kernel", place, error.to_string())
}

fn check_params(passed: &Passed, given: Option<&Blob>) -> Result<(), ApiError> {
    let expected = passed.kernel.params_bytes.map(u64::from);
    let found = given.map(|blob| blob.size);
    if expected == found {
        return Ok(());
    }
    let message = match (expected, found) {
        (Some(expected), Some(found)) => {
            format!("the kernel's binding 2 has {expected} bytes and the parameters {found}")
        }
        (Some(expected), None) => format!("the kernel's binding 2 wants parameters of {expected} bytes"),
        (None, _) => "the kernel has no binding 2 for parameters".to_owned(),
    };
    Err(invalid(ErrorCode::InvalidParams, "params", message))
}

fn count_records(input: &Blob, contract: Contract) -> Result<u64, ApiError> {
    let size = u64::from(contract.record_bytes);
    if input.size == 0 {
        return Err(invalid(ErrorCode::NoRows, "input", "the input has no records"));
    }
    if !input.size.is_multiple_of(size) {
        let message = format!(
            "the input has {} bytes, which is no whole number of records of {size} bytes; it is cut short or padded",
            input.size
        );
        return Err(invalid(ErrorCode::InvalidInput, "input", message));
    }
    Ok(input.size / size)
}

fn cut(passed: &Passed, contract: Contract, rows: u64, wanted: Option<u32>) -> Result<Cut, ApiError> {
    let ops = passed.kernel.ops.max(1);
    let row_bytes = u64::from(contract.record_bytes) + u64::from(contract.out_bytes);
    let most = GROUPS_MAX * u64::from(passed.kernel.workgroup_size);
    let wanted = wanted.map(u64::from);
    let group = u64::from(passed.kernel.workgroup_size);
    let cut = tile_rows(rows, (ops, row_bytes, u64::MAX), wanted, "tile_records")?.min(wanted.unwrap_or(most));
    // Whole workgroups, where they are a moment's work: a part of one takes as long.
    let whole = cut.next_multiple_of(group).min(rows);
    let is_light = whole.saturating_mul(ops) <= TILE_FLOPS_AIM && whole.saturating_mul(row_bytes) <= TILE_BYTES_AIM;
    let tile_rows = if wanted.is_none() && is_light { whole } else { cut };
    if tile_rows > most {
        let message = format!("a tile may hold {most} records of this kernel: 65,535 workgroups");
        return Err(invalid(ErrorCode::InvalidTileRows, "tile_records", message));
    }
    let (tile_ops, tile_bytes) = (tile_rows.saturating_mul(ops), tile_rows.saturating_mul(row_bytes));
    if tile_ops > TILE_OPS_MAX || tile_bytes > TILE_BYTES_MAX {
        let message = format!(
            "a tile of {tile_rows} records may take {tile_ops} operations and {tile_bytes} bytes; at most {TILE_OPS_MAX} and {TILE_BYTES_MAX}: use fewer records a tile, or smaller ones"
        );
        return Err(invalid(ErrorCode::RowTooHeavy, "kernel", message));
    }
    let largest = tile_rows * u64::from(contract.record_bytes.max(contract.out_bytes));
    Ok(Cut { rows, tile_rows, row_flops: ops, device_bytes: largest, peak_bytes: 2 * tile_bytes })
}

/// Integers must be the same to the bit; floats differ between devices, so their customer says how far.
fn choose_check(passed: &Passed, wanted: Option<Check>) -> Result<Check, ApiError> {
    let refuse = |message: &str| Err(invalid(ErrorCode::InvalidKernel, "check", message));
    let answers_floats = passed.float_words.contains(&true);
    if passed.floats && !answers_floats {
        return refuse(
            "the kernel computes with floats and answers in integers, so a last bit can tip an answer over: compute in integers, or answer in floats",
        );
    }
    let tolerance = |value: f32| Tolerance::try_from(value).expect("a constant tolerance should be finite");
    match wanted {
        Some(Check::Exact) if passed.floats => {
            refuse("the kernel computes with floats, whose last bits differ between devices: state a tolerance")
        }
        Some(Check::Tolerance { .. }) if !answers_floats => {
            refuse("the output holds no floats, so there is nothing to tolerate: leave the tolerance out")
        }
        Some(check) => Ok(check),
        None if passed.floats => Ok(Check::Tolerance { rtol: tolerance(1e-4), atol: tolerance(1e-6) }),
        None => Ok(Check::Exact),
    }
}
