//! `map`: whether a kernel and its records go together, how many records a tile holds, and when two devices'
//! answers are the same.

use wire::{Check, CheckedBy, MapTask};

use super::limits::TILE_BYTES_AIM;
use super::task_rules::TaskRules;
use super::tiling::{RowCost, tile_rows};
use crate::admission::error::AdmitError;

/// Most operations of a tile: one dispatch of it must not hold a desktop up.
const TILE_OPS_MAX: u64 = 200_000_000;
const TILE_BYTES_MAX: u64 = 16 << 20;

impl TaskRules for MapTask {
    /// A kernel has no reference on this server, so devices recompute it.
    fn checked_by(&self, _tile_flops: u64, has_checkers: bool) -> CheckedBy {
        if has_checkers { CheckedBy::Checker } else { CheckedBy::Quorum }
    }

    fn code_field(&self) -> &'static str {
        "kernel"
    }

    fn needs_kernels(&self) -> bool {
        true
    }
}

/// What the gate says of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct KernelFacts {
    /// Most operations of a record.
    pub ops: u64,
    pub workgroup_size: u32,
    pub groups_max: u64,
    /// Of `@binding(2)`.
    pub params_bytes: Option<u64>,
    /// It computes with floats.
    pub floats: bool,
    /// Some word of its output is a float.
    pub answers_floats: bool,
    /// Some word of its output is an integer.
    pub answers_integers: bool,
}

/// How a job's records are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTiling {
    pub tile_rows: u64,
    pub row_flops: u64,
    pub device_bytes: u64,
    pub peak_bytes: u64,
}

/// Of an input or output record: whole words, and no more than a tile may hold. `field` is the request's.
pub fn check_record_bytes(field: &'static str, found: u32) -> Result<(), AdmitError> {
    let is_record = found > 0 && found.is_multiple_of(4) && u64::from(found) <= TILE_BYTES_MAX;
    if is_record { Ok(()) } else { Err(AdmitError::RecordBytes { field, found, most: TILE_BYTES_MAX }) }
}

pub fn check_params(kernel: &KernelFacts, found: Option<u64>) -> Result<(), AdmitError> {
    let expected = kernel.params_bytes;
    if expected == found { Ok(()) } else { Err(AdmitError::KernelParams { expected, found }) }
}

pub fn count_records(bytes: u64, record_bytes: u32) -> Result<u64, AdmitError> {
    let record_bytes = u64::from(record_bytes);
    if bytes == 0 {
        return Err(AdmitError::NoRecords);
    }
    if !bytes.is_multiple_of(record_bytes) {
        return Err(AdmitError::PartialRecord { bytes, record_bytes });
    }
    Ok(bytes / record_bytes)
}

pub fn cut(
    kernel: &KernelFacts,
    (record_bytes, out_bytes): (u32, u32),
    rows: u64,
    wanted: Option<u32>,
) -> Result<RecordTiling, AdmitError> {
    let ops = kernel.ops.max(1);
    let row_bytes = u64::from(record_bytes) + u64::from(out_bytes);
    let group = u64::from(kernel.workgroup_size);
    let most = kernel.groups_max * group;
    let wanted = wanted.map(u64::from);
    let row = RowCost { flops: ops, bytes: row_bytes, rows_max: u64::MAX };
    let cut = tile_rows(rows, row, wanted, "tile_records")?.min(wanted.unwrap_or(most));
    // Whole workgroups, where one dispatch may take as much: a part of one takes as long.
    let whole = cut.next_multiple_of(group).min(rows);
    let is_light = whole.saturating_mul(ops) <= TILE_OPS_MAX && whole.saturating_mul(row_bytes) <= TILE_BYTES_AIM;
    let tile_rows = if wanted.is_none() && is_light { whole } else { cut };
    if tile_rows > most {
        return Err(AdmitError::TileRecords { most });
    }
    let (tile_ops, tile_bytes) = (tile_rows.saturating_mul(ops), tile_rows.saturating_mul(row_bytes));
    if tile_ops > TILE_OPS_MAX || tile_bytes > TILE_BYTES_MAX {
        let (ops_max, bytes_max) = (TILE_OPS_MAX, TILE_BYTES_MAX);
        return Err(AdmitError::RecordsTooHeavy { tile_rows, tile_ops, tile_bytes, ops_max, bytes_max });
    }
    let largest = tile_rows * u64::from(record_bytes.max(out_bytes));
    Ok(RecordTiling { tile_rows, row_flops: ops, device_bytes: largest, peak_bytes: 2 * tile_bytes })
}

/// Integers must be the same to the bit; floats differ between devices, and so may integers that follow from them, so
/// their customer says how far.
pub fn choose_check(kernel: &KernelFacts, wanted: Option<Check>) -> Result<Check, AdmitError> {
    match wanted {
        Some(Check::Exact) if kernel.floats => Err(AdmitError::NeedsTolerance),
        Some(Check::Tolerance { .. }) if !kernel.floats => Err(AdmitError::NothingToTolerate),
        Some(Check::Tolerance { integers: Some(_), .. }) if !kernel.answers_integers => {
            Err(AdmitError::NoIntegersToTolerate)
        }
        Some(Check::Tolerance { integers: None, .. }) | None if kernel.floats && !kernel.answers_floats => {
            Err(AdmitError::NeedsIntegerTolerance)
        }
        Some(check) => Ok(check),
        None if kernel.floats => Ok(Check::FLOATS),
        None => Ok(Check::Exact),
    }
}

#[cfg(test)]
mod tests {
    use wire::{Fraction, IntegerBits, IntegerTolerance};

    use super::*;

    const KERNEL: KernelFacts = KernelFacts {
        ops: 10,
        workgroup_size: 64,
        groups_max: 65_535,
        params_bytes: None,
        floats: false,
        answers_floats: false,
        answers_integers: true,
    };

    #[test]
    fn tiles_are_whole_workgroups_where_those_are_light() {
        let tile_rows = |ops, rows| cut(&KernelFacts { ops, ..KERNEL }, (4, 4), rows, None).map(|cut| cut.tile_rows);

        assert_eq!(tile_rows(10, 1000), Ok(64));
        assert_eq!(tile_rows(10, 10), Ok(10));
        assert_eq!(tile_rows(1_000_000, 1000), Ok(64));
        assert_eq!(tile_rows(10_000_000, 1000), Ok(2));
    }

    #[test]
    fn a_part_of_a_record_is_refused() {
        assert_eq!(count_records(12, 4), Ok(3));
        assert_eq!(count_records(13, 4), Err(AdmitError::PartialRecord { bytes: 13, record_bytes: 4 }));
        assert_eq!(count_records(0, 4), Err(AdmitError::NoRecords));
    }

    #[test]
    fn floats_need_a_tolerance_and_integers_none() {
        let floats = KernelFacts { floats: true, answers_floats: true, answers_integers: false, ..KERNEL };

        assert_eq!(choose_check(&KERNEL, None), Ok(Check::Exact));
        assert_eq!(choose_check(&KERNEL, Some(Check::FLOATS)), Err(AdmitError::NothingToTolerate));
        assert_eq!(choose_check(&floats, None), Ok(Check::FLOATS));
        assert_eq!(choose_check(&floats, Some(Check::Exact)), Err(AdmitError::NeedsTolerance));
    }

    #[test]
    fn integers_that_follow_from_floats_need_a_tolerance_of_their_own() {
        let to_integers = KernelFacts { floats: true, ..KERNEL };
        let to_both = KernelFacts { answers_floats: true, ..to_integers };
        let to_floats = KernelFacts { answers_integers: false, ..to_both };
        let integers = IntegerTolerance { units: 1, fraction: Fraction::default(), bits: IntegerBits::default() };
        let Check::Tolerance { rtol, atol, .. } = Check::FLOATS else { panic!("floats have a tolerance") };
        let stated = Check::Tolerance { rtol, atol, integers: Some(integers) };

        for unstated in [None, Some(Check::FLOATS)] {
            assert_eq!(choose_check(&to_integers, unstated), Err(AdmitError::NeedsIntegerTolerance));
        }
        assert_eq!(choose_check(&to_integers, Some(stated)), Ok(stated));
        assert_eq!(choose_check(&to_both, Some(stated)), Ok(stated));
        assert_eq!(choose_check(&to_both, None), Ok(Check::FLOATS), "whose integers are the same");
        assert_eq!(choose_check(&to_floats, Some(stated)), Err(AdmitError::NoIntegersToTolerate));
        assert_eq!(choose_check(&KERNEL, Some(stated)), Err(AdmitError::NothingToTolerate));
    }
}
