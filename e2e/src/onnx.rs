//! ONNX's own backend node cases on every backend of this machine. Prints how many passed, failed
//! and are not supported, with their names; fails if one failed.

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use gpu_kernels::budget;
use gpu_kernels::dtype::DType;
use gpu_kernels::gpu::Gpu;
use gpu_kernels::graph::forward::run_plan;
use gpu_kernels::graph::{Feed, Graph, ModelError, NOT_SUPPORTED, Plan, Tensor, onnx};
use prost::Message;

#[derive(clap::Parser)]
struct Arguments {
    /// Folders of cases, as `e2e/onnx/cases.py` and `models.py` write them.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Leave the GPU out.
    #[arg(long)]
    cpu: bool,
}

/// One set of inputs with its answers.
struct Set {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

struct Case {
    name: String,
    graph: Graph,
    sets: Vec<Set>,
    rtol: f32,
    atol: f32,
}

/// What came of a case on one backend.
enum Outcome {
    Passed,
    Failed(String),
    /// The group it is listed under, and why.
    Unsupported(String, String),
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut folders = Vec::new();
    for folder in &arguments.folders {
        for entry in fs::read_dir(folder).with_context(|| format!("no cases in {}", folder.display()))? {
            folders.push(entry?.path());
        }
    }
    folders.retain(|folder| folder.is_dir() && folder.to_string_lossy().contains(&arguments.only));
    folders.sort();
    anyhow::ensure!(!folders.is_empty(), "there is no case");
    let mut failed = run_backend("cpu", &folders, |plan, inputs| Ok(plan.run(inputs)))?;
    if !arguments.cpu {
        match pollster::block_on(Gpu::open(budget::NATIVE)) {
            Err(error) => println!("SKIP {error}"),
            Ok(mut gpu) => {
                let name = format!("{} on {}", gpu.info.backend, gpu.info.name);
                failed |= run_backend(&name, &folders, |plan, inputs| {
                    pollster::block_on(run_plan(&mut gpu, &plan, inputs)).map_err(|error| error.to_string())
                })?;
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run_backend(
    backend: &str,
    folders: &[PathBuf],
    mut run: impl FnMut(Plan, &[&[u32]]) -> Result<Vec<Vec<u32>>, String>,
) -> anyhow::Result<bool> {
    let mut passed = 0;
    let mut failed = Vec::new();
    let mut unsupported: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let outcome = match read_case(folder)? {
            Err(outcome) => outcome,
            Ok(case) => check(&case, &mut run),
        };
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(why) => failed.push(format!("{name}: {why}")),
            Outcome::Unsupported(group, why) => unsupported.entry(format!("{group}: {why}")).or_default().push(name),
        }
    }
    println!("== {backend}");
    for (group, names) in &unsupported {
        println!("unsupported {group}\n    {}", names.join(" "));
    }
    for line in &failed {
        println!("FAILED {line}");
    }
    let left_out: usize = unsupported.values().map(Vec::len).sum();
    println!("{backend}: {passed} passed, {} failed, {left_out} unsupported", failed.len());
    Ok(!failed.is_empty())
}

fn unsupported(error: &ModelError) -> Option<Outcome> {
    let group = match error {
        ModelError::UnsupportedOperator { operator, .. } => {
            let reason = NOT_SUPPORTED.iter().find(|(name, _)| name == operator).map_or("", |(_, reason)| *reason);
            let reason = if reason.is_empty() { "it is not built yet" } else { reason };
            return Some(Outcome::Unsupported(operator.clone(), reason.to_owned()));
        }
        ModelError::UnsupportedType { operator, dtype, .. } => format!("{operator} of {dtype}"),
        ModelError::DataType { found, .. } => format!("type {found}"),
        ModelError::UnsupportedAttribute { attribute, reason, .. } => format!("attribute {attribute} ({reason})"),
        ModelError::IntRange { .. } => "int64 beyond 32 bits".to_owned(),
        ModelError::Opset { found } => format!("operator set {found}"),
        _ => return None,
    };
    Some(Outcome::Unsupported(group, "not built".to_owned()))
}

fn read_case(folder: &Path) -> anyhow::Result<Result<Case, Outcome>> {
    let bytes = fs::read(folder.join("model.onnx"))?;
    let graph = match Graph::parse(&bytes) {
        Ok(graph) => graph,
        Err(ModelError::NotOnnx { reason }) if reason.contains("operator set") => {
            return Ok(Err(Outcome::Unsupported("other domains".to_owned(), reason)));
        }
        Err(error) => return Ok(Err(unsupported(&error).unwrap_or_else(|| Outcome::Failed(error.to_string())))),
    };
    let tolerance = fs::read_to_string(folder.join("tolerance"))?;
    let mut tolerance = tolerance.split_whitespace().map(str::parse::<f32>);
    let (rtol, atol) = (tolerance.next().context("rtol")??, tolerance.next().context("atol")??);
    let mut sets = Vec::new();
    for index in 0.. {
        let data = folder.join(format!("test_data_set_{index}"));
        if !data.is_dir() {
            break;
        }
        match (read_tensors(&data, "input")?, read_tensors(&data, "output")?) {
            (Ok(inputs), Ok(outputs)) => sets.push(Set { inputs, outputs }),
            (Err(error), _) | (_, Err(error)) => {
                return Ok(Err(unsupported(&error).unwrap_or_else(|| Outcome::Failed(error.to_string()))));
            }
        }
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Ok(Case { name, graph, sets, rtol, atol }))
}

fn read_tensors(folder: &Path, kind: &str) -> anyhow::Result<Result<Vec<Tensor>, ModelError>> {
    let mut tensors = Vec::new();
    for index in 0.. {
        let file = folder.join(format!("{kind}_{index}.pb"));
        if !file.is_file() {
            break;
        }
        let proto = onnx::Tensor::decode(&fs::read(file)?[..])?;
        match Tensor::parse(&format!("{kind} {index}"), &proto) {
            Ok(tensor) => tensors.push(tensor),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(tensors))
}

fn check(case: &Case, run: &mut impl FnMut(Plan, &[&[u32]]) -> Result<Vec<Vec<u32>>, String>) -> Outcome {
    for set in &case.sets {
        let (plan, fed) = match plan(case, set) {
            Ok(planned) => planned,
            Err(error) => return unsupported(&error).unwrap_or_else(|| Outcome::Failed(error.to_string())),
        };
        let described: Vec<(DType, Vec<usize>)> =
            plan.outputs.iter().map(|&id| (plan.values[id].dtype, plan.values[id].shape.clone())).collect();
        let inputs: Vec<&[u32]> = fed.iter().map(|&index| set.inputs[index].words.as_ref()).collect();
        let found = match run(plan, &inputs) {
            Ok(found) => found,
            Err(why) => return Outcome::Failed(why),
        };
        for (((dtype, shape), words), expected) in described.iter().zip(&found).zip(&set.outputs) {
            if let Some(why) = difference(case, *dtype, shape, words, expected) {
                return Outcome::Failed(why);
            }
        }
    }
    assert!(!case.sets.is_empty(), "{} has no data", case.name);
    Outcome::Passed
}

/// Everything is fed at run time, but what shapes depend on. Returns which inputs are fed.
fn plan(case: &Case, set: &Set) -> Result<(Plan, Vec<usize>), ModelError> {
    let mut feeds: Vec<Feed> = set.inputs.iter().map(|tensor| Feed::Whole(tensor.shape.clone())).collect();
    for _ in 0..=feeds.len() {
        match case.graph.plan(1, &feeds) {
            Err(ModelError::NotConstant { node, tensor }) => {
                let named = case.graph.inputs.iter().position(|port| port.name == tensor);
                let open = |index: &usize| matches!(feeds[*index], Feed::Whole(_));
                let small = |index: &usize| set.inputs[*index].shape.len() <= 1;
                let next = named.filter(open).into_iter().chain((0..feeds.len()).filter(open).filter(small)).next();
                let Some(index) = next else { return Err(ModelError::NotConstant { node, tensor }) };
                feeds[index] = Feed::Known(set.inputs[index].clone());
            }
            Ok(plan) => {
                let fed = (0..feeds.len()).filter(|&index| matches!(feeds[index], Feed::Whole(_))).collect();
                return Ok((plan, fed));
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("every turn makes one more input known")
}

fn difference(case: &Case, dtype: DType, shape: &[usize], words: &[u32], expected: &Tensor) -> Option<String> {
    if (dtype, shape) != (expected.dtype, &expected.shape[..]) {
        return Some(format!(
            "{} {shape:?} where {} {:?} was expected",
            dtype.name(),
            expected.dtype.name(),
            expected.shape
        ));
    }
    let show = |word: u32| {
        if dtype.is_float() { f32::from_bits(word).to_string() } else { word.cast_signed().to_string() }
    };
    // The answers of half types were rounded after every step, ours after the last one of a node: two
    // units in the last place are allowed.
    let rtol = match dtype {
        DType::F16 => case.rtol.max(f32::exp2(-9.0)),
        DType::BF16 => case.rtol.max(f32::exp2(-6.0)),
        _ => case.rtol,
    };
    let close = |a: u32, b: u32| {
        let (x, y) = (f32::from_bits(a), f32::from_bits(b));
        let same = || x.total_cmp(&y).is_eq() || (x.is_nan() && y.is_nan());
        let near = || same() || (x - y).abs() <= case.atol + rtol * y.abs();
        a == b || (dtype.is_float() && near())
    };
    let place = words.iter().zip(expected.words.iter()).position(|(&a, &b)| !close(a, b))?;
    Some(format!("place {place}: {} where {} was expected", show(words[place]), show(expected.words[place])))
}
