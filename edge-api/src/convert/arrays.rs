//! `.npy` and `.npz`: arrays that have names, types and shapes already, brought to those that the model reads.

use std::io::{Read, Write};

use npyz::{Endianness, TypeChar, TypeStr};
use wire::number::to;
use wire::{FileKind, MadeArray};
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::error::ConvertError;
use super::input::{Input, Reader};
use super::number::{Kind, Stored};
use super::order::{Made, Order};
use super::port::{Port, names, wanted};
use super::sink::{Head, Sink, check_bytes};
use crate::arrays::npy::{self, AnyArray};

/// Arrays in one file.
const ARRAYS_MAX: usize = 64;
/// What numpy calls an array that was given no name.
const UNNAMED: &str = "arr_0";
/// An array that is stored column by column is turned in memory.
const FORTRAN_BYTES_MAX: u64 = 256 << 20;
/// Values that are converted at a time.
const VALUES_AT_ONCE: usize = 1 << 14;

/// An array as it lies in the file.
struct Found {
    name: Option<String>,
    array: AnyArray,
    /// Its place among the file's entries.
    entry: usize,
}

/// An array, and what becomes of it.
struct Plan {
    array: AnyArray,
    entry: usize,
    stored: Stored,
    head: Head,
    made: MadeArray,
}

impl Plan {
    fn is_unchanged(&self) -> bool {
        let Self { array, stored, made, .. } = self;
        made.cast_from.is_none() && !made.batch_added && !array.is_fortran && !stored.big_endian
    }
}

pub fn make_of_npy(input: &Input, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    let ports = wanted(&order.ports, order.request.input.as_deref())?;
    let name = ports[0].name.clone();
    let head = input.read(0..npy::HEAD_BYTES).map_err(ConvertError::Fetch)?;
    let array = npy::parse_any(&head, input.size()).map_err(|error| ConvertError::ArrayFault { name, error })?;
    let plans = plan(&ports, vec![Found { name: None, array, entry: 0 }], order)?;
    if plans.iter().all(Plan::is_unchanged) {
        return Ok(made(FileKind::Npy, plans, true));
    }
    let mut sink = Sink::new(out, plans.len());
    for plan in &plans {
        copy(plan, &mut input.reader(plan.array.offset), &mut sink)?;
    }
    sink.finish()?;
    Ok(made(FileKind::Npy, plans, false))
}

pub fn make_of_npz(mut archive: ZipArchive<Reader>, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    let ports = wanted(&order.ports, order.request.input.as_deref())?;
    let (found, is_stored) = find(&mut archive)?;
    if let (Some(input), true) = (&order.request.input, found.len() != 1) {
        return Err(ConvertError::OneWanted { input: input.clone(), found: found.len() });
    }
    let plans = plan(&ports, found, order)?;
    // A job takes one of its `inputs` as `.npy` alone.
    if is_stored && order.request.input.is_none() && plans.iter().all(Plan::is_unchanged) {
        return Ok(made(FileKind::Npz, plans, true));
    }
    let mut sink = Sink::new(out, plans.len());
    for plan in &plans {
        let mut file = archive.by_index(plan.entry).map_err(|error| damaged(&error))?;
        skip(&mut file, plan.array.offset)?;
        copy(plan, &mut file, &mut sink)?;
        // The end is where a zip's reader compares what it has unpacked with what was packed.
        if file.read(&mut [0]).map_err(|error| damaged(&error))? != 0 {
            return Err(damaged(&"an array is longer than its head says"));
        }
    }
    sink.finish()?;
    Ok(made(FileKind::Npz, plans, false))
}

fn made(kind: FileKind, plans: Vec<Plan>, unchanged: bool) -> Made {
    Made { unchanged, ..Made::new(kind, plans.into_iter().map(|plan| plan.made).collect()) }
}

fn damaged(error: &impl ToString) -> ConvertError {
    ConvertError::DamagedFile { reason: error.to_string() }
}

fn skip(file: &mut ZipFile<'_, Reader>, bytes: u64) -> Result<(), ConvertError> {
    std::io::copy(&mut file.take(bytes), &mut std::io::sink()).map_err(|error| damaged(&error))?;
    Ok(())
}

/// The arrays of an archive, and whether all lie in it as they are.
fn find(archive: &mut ZipArchive<Reader>) -> Result<(Vec<Found>, bool), ConvertError> {
    if archive.len() > ARRAYS_MAX {
        return Err(ConvertError::TooManyInFile { what: "arrays", found: to(archive.len()), most: to(ARRAYS_MAX) });
    }
    let mut found: Vec<Found> = Vec::with_capacity(archive.len());
    let mut is_stored = true;
    for entry in 0..archive.len() {
        let raw = archive.by_index_raw(entry).map_err(|error| damaged(&error))?;
        let Some(name) = raw.name().strip_suffix(".npy").map(str::to_owned) else {
            return Err(ConvertError::NotArray { name: raw.name().to_owned() });
        };
        if raw.encrypted() || !matches!(raw.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ConvertError::Packing { name });
        }
        if found.iter().any(|other| other.name.as_ref() == Some(&name)) {
            return Err(ConvertError::Twice { name });
        }
        is_stored &= raw.compression() == CompressionMethod::Stored;
        let size = raw.size();
        drop(raw);
        let mut head = Vec::new();
        let file = archive.by_index(entry).map_err(|error| damaged(&error))?;
        file.take(npy::HEAD_BYTES).read_to_end(&mut head).map_err(|error| damaged(&error))?;
        let array = npy::parse_any(&head, size);
        let array = array.map_err(|error| ConvertError::ArrayFault { name: name.clone(), error })?;
        found.push(Found { name: Some(name), array, entry });
    }
    Ok((found, is_stored))
}

/// What becomes of each array, in the model's order.
fn plan(ports: &[&Port], mut found: Vec<Found>, order: &Order) -> Result<Vec<Plan>, ConvertError> {
    let all: Vec<Port> = ports.iter().map(|port| (*port).clone()).collect();
    if let ([only], [array]) = (ports, &mut found[..])
        && (array.name.is_none() || array.name.as_deref() == Some(UNNAMED) || order.request.input.is_some())
    {
        array.name = Some(only.name.clone());
    }
    if found.iter().any(|array| array.name.is_none()) {
        return Err(ConvertError::Unnamed { names: names(&all) });
    }
    let is_known = |name: &str| ports.iter().any(|port| port.name == name);
    if let Some(name) = found.iter().filter_map(|array| array.name.clone()).find(|name| !is_known(name)) {
        return Err(ConvertError::UnknownInput { name, names: names(&all) });
    }
    let mut plans = Vec::with_capacity(ports.len());
    for port in ports {
        let place = found.iter().position(|array| array.name.as_ref() == Some(&port.name));
        let missing = || ConvertError::MissingInput { name: port.name.clone(), names: names(&all) };
        plans.push(fit(port, found.swap_remove(place.ok_or_else(missing)?), order)?);
    }
    let heads: Vec<Head> = plans.iter().map(|plan| plan.head.clone()).collect();
    check_bytes(&heads, order.most)?;
    Ok(plans)
}

/// One array, as its input reads it.
fn fit(port: &Port, found: Found, order: &Order) -> Result<Plan, ConvertError> {
    let Found { array, entry, .. } = found;
    let name = port.name.clone();
    let stored = stored(&array.value)
        .ok_or_else(|| ConvertError::NotNumbers { name: name.clone(), found: array.value.to_string() })?;
    let is_cast = stored.name() != port.dtype.name();
    if is_cast && !order.request.cast {
        return Err(ConvertError::NeedsCast { name, wanted: port.dtype.name(), found: stored.name() });
    }
    let mut shape = array.shape.clone();
    let lacks_batch = match &port.shape {
        Some(declared) => declared.len() == shape.len() + 1,
        None => order.request.add_batch,
    };
    if lacks_batch && !order.request.add_batch {
        return Err(ConvertError::NeedsBatch { name, shape });
    }
    if lacks_batch {
        shape.insert(0, 1);
    }
    if shape.first() == Some(&0) {
        return Err(ConvertError::NoRows { name });
    }
    let bytes = array.shape.iter().fold(to::<u64>(stored.bytes), |bytes, &size| bytes.saturating_mul(size));
    if array.is_fortran && bytes > FORTRAN_BYTES_MAX {
        return Err(ConvertError::FortranTooLarge { name, bytes, most: FORTRAN_BYTES_MAX });
    }
    let cast_from = is_cast.then(|| stored.name());
    let made =
        MadeArray { name: name.clone(), dtype: port.dtype, shape: shape.clone(), cast_from, batch_added: lacks_batch };
    Ok(Plan { array, entry, stored, head: Head { name, dtype: port.dtype, shape }, made })
}

fn stored(value: &TypeStr) -> Option<Stored> {
    let (kind, sizes): (Kind, &[u64]) = match value.type_char() {
        TypeChar::Bool => (Kind::Bool, &[1]),
        TypeChar::Int => (Kind::Int, &[1, 2, 4, 8]),
        TypeChar::Uint => (Kind::Uint, &[1, 2, 4, 8]),
        TypeChar::Float => (Kind::Float, &[2, 4, 8]),
        _ => return None,
    };
    let bytes = value.size_field();
    let big_endian = value.endianness() == Endianness::Big && bytes > 1;
    sizes.contains(&bytes).then(|| Stored { kind, bytes: to(bytes), big_endian })
}

/// Writes an array whose values follow in `bytes`.
fn copy(plan: &Plan, bytes: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), ConvertError> {
    sink.begin(&plan.head)?;
    let Plan { stored, array, .. } = plan;
    let values: u64 = array.shape.iter().product();
    if array.is_fortran {
        let mut whole = vec![0; to::<usize>(values) * stored.bytes];
        bytes.read_exact(&mut whole).map_err(|error| damaged(&error))?;
        return convert(plan, 0, &turned(&whole, &array.shape, stored.bytes), sink);
    }
    let mut buffer = vec![0; VALUES_AT_ONCE * stored.bytes];
    let mut at = 0;
    while at < values {
        let count = (values - at).min(to(VALUES_AT_ONCE));
        let piece = &mut buffer[..to::<usize>(count) * stored.bytes];
        bytes.read_exact(piece).map_err(|error| damaged(&error))?;
        convert(plan, at, piece, sink)?;
        at += count;
    }
    Ok(())
}

/// Writes values, of which the first is the array's `first`.
fn convert(plan: &Plan, first: u64, values: &[u8], sink: &mut Sink<'_>) -> Result<(), ConvertError> {
    let Plan { stored, head, .. } = plan;
    if plan.made.cast_from.is_none() && !stored.big_endian {
        return sink.write(values);
    }
    let mut out = Vec::with_capacity(values.len());
    for (index, value) in (first..).zip(values.chunks_exact(stored.bytes)) {
        let number = stored.read(value);
        number.write(head.dtype, &mut out).map_err(|_misfit| ConvertError::ValueMisfit {
            name: head.name.clone(),
            value: number.to_string(),
            row: index / head.row_len(),
            wanted: head.dtype.name(),
        })?;
    }
    sink.write(&out)
}

/// Values of which the first axis runs fastest, so that the last does.
fn turned(values: &[u8], shape: &[u64], bytes: usize) -> Vec<u8> {
    let shape: Vec<usize> = shape.iter().map(|&size| to(size)).collect();
    let strides: Vec<usize> =
        shape.iter().scan(bytes, |stride, size| Some(std::mem::replace(stride, *stride * size))).collect();
    let mut out = Vec::with_capacity(values.len());
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    while out.len() < values.len() {
        out.extend_from_slice(&values[from..from + bytes]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}
