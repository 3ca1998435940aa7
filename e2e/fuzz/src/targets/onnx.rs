//! Models: refused in words, or planned within bounds; and what is planned runs, row by row as all rows at once.

use std::io::{Cursor, Write};

use anyhow::{Context, ensure};
use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::gpu_program::Package;
use onnx::{Feed, Graph, Plan, Port, Signature, Tensor};
use prost::Message;
use zip::write::SimpleFileOptions;

use crate::draw::Draw;
use crate::{model, mutate};

/// Models that are in use.
const SEEDS: [(&[u8], &[usize]); 2] = [
    (include_bytes!("../../../samples/digits/digits.onnx"), &[1, 8, 8]),
    (include_bytes!("../../../samples/relu/relu.onnx"), &[1]),
];

/// What a refusal may say in bytes beside what the model itself says, since it names what it is about.
const REFUSAL_MAX: usize = 20_000;
/// Values of one tensor, and calls of a plan, as the planner promises.
const VALUES_MAX: usize = 1 << 31;
const STEPS_MAX: usize = 20_000;
/// What is light enough to be computed here.
const FLOPS_MAX: u64 = 1 << 24;
const BYTES_MAX: u64 = 1 << 24;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    let (bytes, rows) = file(draw);
    draw.show("a model", &bytes);
    draw.show("its rows", &format!("{rows:?}"));
    let graph = match Graph::parse(&bytes) {
        Ok(graph) => graph,
        Err(error) => return check_refusal(&bytes, &error),
    };
    let feeds = feeds(draw, &graph.inputs, &rows);
    draw.show("what it is fed", &format!("{feeds:?}"));
    let signature = match graph.signature(&feeds) {
        Ok(signature) => signature,
        Err(error) => return check_refusal(&bytes, &error),
    };
    let batch = draw.pick(&[1, 2, 3, 5, 64, 1000]);
    let plan = match graph.plan(batch, &feeds) {
        Ok(plan) => plan,
        Err(error) => return check_refusal(&bytes, &error),
    };
    draw.is_taken = true;
    check_plan(&plan, &signature, batch, &feeds)?;
    if signature.mixed_by.is_none() && feeds.iter().any(|feed| matches!(feed, Feed::Rows(_))) {
        check_rows(draw, &graph, &feeds)?;
    }
    Ok(())
}

fn check_refusal(model: &[u8], error: &onnx::ModelError) -> anyhow::Result<()> {
    let words = error.to_string();
    ensure!(
        words.len() <= model.len() + REFUSAL_MAX,
        "a refusal of {} bytes: {}",
        words.len(),
        words.chars().take(200).collect::<String>()
    );
    Ok(())
}

/// A model's file, and rows that it may be fed with.
pub(crate) fn file(draw: &mut Draw) -> (Vec<u8>, Vec<Vec<usize>>) {
    if draw.one_in(12) {
        let (bytes, row) = draw.pick(&SEEDS);
        return (mutate::bytes(draw, bytes.to_vec(), &[]), vec![row.to_vec()]);
    }
    let (mut model, rows) = model::model(draw);
    if draw.one_in(5) {
        model::change_numbers(draw, &mut model);
    }
    let mut bytes = model.encode_to_vec();
    if draw.one_in(20) {
        bytes = mutate::bytes(draw, bytes, &[]);
    }
    if draw.one_in(20) {
        bytes = packed(draw, &bytes);
    }
    (bytes, rows)
}

/// With the files in which it keeps its tensors.
fn packed(draw: &mut Draw, model: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut zip = zip::ZipWriter::new(&mut file);
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let size = draw.size(300);
    let weights = draw.bytes(size);
    let (folder, name) = (draw.pick(&["", "", "m/", "../"]), draw.pick(&["weights.bin", "x", "b.onnx"]));
    let files = [(format!("{folder}model.onnx"), model), (format!("{folder}{name}"), &weights)];
    for (name, content) in files {
        if zip.start_file(name, stored).is_ok() {
            zip.write_all(content).expect("writing to memory should not fail");
        }
    }
    zip.finish().expect("writing to memory should not fail");
    let bytes = file.into_inner();
    if draw.one_in(3) { mutate::bytes(draw, bytes, &[]) } else { bytes }
}

fn feeds(draw: &mut Draw, inputs: &[Port], rows: &[Vec<usize>]) -> Vec<Feed> {
    let feed = |draw: &mut Draw, (place, port): (usize, &Port)| {
        let row = rows.get(place).cloned().unwrap_or_default();
        let row = if draw.one_in(20) { (0..draw.below(4)).map(|_| draw.size(9)).collect() } else { row };
        let whole = if draw.one_in(4) { row.clone() } else { [&[1], row.as_slice()].concat() };
        match draw.below(12) {
            0 => Feed::Whole(whole),
            1 => {
                let row = whole;
                let len: usize = row.iter().fold(1, |len: usize, size| len.saturating_mul(*size));
                let words = (0..len.min(1 << 16)).map(|_| word(draw, port.dtype)).collect::<Vec<u32>>();
                let shape = if words.len() == len { row } else { vec![words.len()] };
                Feed::Known(Tensor { dtype: port.dtype, shape, words: words.into() })
            }
            _ => Feed::Rows(row),
        }
    };
    inputs.iter().enumerate().map(|port| feed(draw, port)).collect()
}

/// A value such as somebody might send: few models are made for numbers without an end.
fn word(draw: &mut Draw, dtype: DType) -> u32 {
    let small = u16::try_from(draw.below(256)).unwrap_or(0);
    match dtype.repr() {
        Repr::F32 => (f32::from(small) / 64.0 - 2.0).to_bits(),
        Repr::U32 if dtype == DType::Bool => u32::from(small % 2),
        Repr::I32 | Repr::U32 => u32::from(small % 4),
    }
}

fn check_plan(plan: &Plan, signature: &Signature, batch: usize, feeds: &[Feed]) -> anyhow::Result<()> {
    for value in &plan.values {
        let len = value.shape.iter().try_fold(1usize, |len, size| len.checked_mul(*size));
        ensure!(len.is_some_and(|len| len < VALUES_MAX), "a tensor of {:?}", value.shape);
    }
    ensure!(plan.steps.len() <= STEPS_MAX, "{} steps", plan.steps.len());
    ensure!(plan.outputs.len() == signature.outputs.len(), "{} outputs", plan.outputs.len());
    let has_rows = feeds.iter().any(|feed| matches!(feed, Feed::Rows(_)));
    for (&id, field) in plan.outputs.iter().zip(&signature.outputs) {
        let rows = if has_rows { batch } else { 1 };
        let expected = rows * field.shape.iter().product::<usize>();
        let value = &plan.values[id];
        ensure!(
            value.len() == expected,
            "'{}' has {:?}, and {:?} a row of {rows}",
            field.name,
            value.shape,
            field.shape
        );
        ensure!(value.dtype == field.dtype, "'{}' is {:?}, not {:?}", field.name, value.dtype, field.dtype);
    }
    let (device, largest) = (plan.device_bytes(), plan.buffer_bytes_max());
    ensure!(largest <= device, "a buffer of {largest} bytes in {device}");
    let (program, constants) = plan.gpu_program();
    let package = Package::new(program, &constants, [device, largest], |bytes| *blake3::hash(bytes).as_bytes());
    drop(package);
    if plan.flops() <= FLOPS_MAX && device <= BYTES_MAX {
        let inputs: Vec<Vec<u32>> = plan.inputs.iter().map(|&id| vec![0; plan.values[id].len()]).collect();
        let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
        let found = plan.run(&inputs);
        let fits = found.iter().zip(&plan.outputs).all(|(words, &id)| words.len() == plan.values[id].len());
        ensure!(fits, "an output is not as long as the plan says");
    }
    Ok(())
}

/// What the edge relies on where it draws a tile: a row alone is the row among others.
fn check_rows(draw: &mut Draw, graph: &Graph, feeds: &[Feed]) -> anyhow::Result<()> {
    let (Ok(two), Ok(one)) = (graph.plan(2, feeds), graph.plan(1, feeds)) else { return Ok(()) };
    if two.flops() > FLOPS_MAX || two.device_bytes() > BYTES_MAX {
        return Ok(());
    }
    let fed = |plan: &Plan, place: usize| plan.inputs.get(place).map_or(0, |&id| plan.values[id].len());
    let (mut together, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for (place, &id) in one.inputs.iter().enumerate() {
        let dtype = one.values[id].dtype;
        let words: Vec<u32> = (0..fed(&two, place)).map(|_| word(draw, dtype)).collect();
        if one.shared[place] {
            [&mut first, &mut second].into_iter().for_each(|inputs| inputs.push(words.clone()));
        } else {
            let (a, b) = words.split_at(fed(&one, place));
            first.push(a.to_vec());
            second.push(b.to_vec());
        }
        together.push(words);
    }
    let run = |plan: &Plan, inputs: &[Vec<u32>]| plan.run(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let (together, first, second) = (run(&two, &together), run(&one, &first), run(&one, &second));
    for (place, found) in together.iter().enumerate() {
        let apart = [first[place].as_slice(), &second[place]].concat();
        let dtype = two.values[two.outputs[place]].dtype;
        ensure!(found.len() == apart.len(), "two rows give {} values, and {} one by one", found.len(), apart.len());
        for (at, (a, b)) in found.iter().zip(&apart).enumerate() {
            is_near(*a, *b, dtype).with_context(|| format!("value {at} of output {place}, together and alone"))?;
        }
    }
    Ok(())
}

fn is_near(a: u32, b: u32, dtype: DType) -> anyhow::Result<()> {
    if dtype.repr() != Repr::F32 {
        ensure!(a == b, "{a} and {b}");
        return Ok(());
    }
    let (a, b) = (f32::from_bits(a), f32::from_bits(b));
    let is_same = a.total_cmp(&b).is_eq() || (a.is_nan() && b.is_nan());
    let near = is_same || (a - b).abs() <= 1e-5 + 1e-4 * b.abs();
    ensure!(near, "{a} and {b}");
    Ok(())
}
