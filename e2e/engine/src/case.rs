//! One of ONNX's backend cases: a model, its inputs, and the answers it must give.

use gpu_kernels::dtype::DType;
use onnx::{Feed, Graph, ModelError, NOT_SUPPORTED, Plan, Tensor, proto};
use prost::Message;

/// One set of inputs with its answers.
struct Set {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

pub struct Case {
    graph: Graph,
    sets: Vec<Set>,
    rtol: f32,
    atol: f32,
}

/// The result of a case on one backend.
pub enum Outcome {
    Passed,
    Failed(String),
    /// The group it is listed under, and why.
    Unsupported(String, String),
}

/// Why a case's files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("{0} is missing")]
    Missing(String),
    #[error("the tolerance is not two numbers")]
    Tolerance,
    #[error(transparent)]
    Data(#[from] prost::DecodeError),
}

/// What this network does not support is told apart from failures.
fn refused(error: &ModelError) -> Outcome {
    unsupported(error).unwrap_or_else(|| Outcome::Failed(error.to_string()))
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

impl Case {
    /// Reads a case by its files: `model.onnx`, `tolerance`, `test_data_set_0/input_0.pb` and so on. A
    /// model that is not supported gives its outcome at once.
    pub fn read(mut file: impl FnMut(&str) -> Option<Vec<u8>>) -> Result<Result<Self, Outcome>, CaseError> {
        let mut need = |name: &str| file(name).ok_or_else(|| CaseError::Missing(name.to_owned()));
        let graph = match Graph::parse(&need("model.onnx")?) {
            Ok(graph) => graph,
            Err(ModelError::NotOnnx { reason }) if reason.contains("operator set") => {
                return Ok(Err(Outcome::Unsupported("other domains".to_owned(), reason)));
            }
            Err(error) => return Ok(Err(refused(&error))),
        };
        let tolerance = String::from_utf8_lossy(&need("tolerance")?).into_owned();
        let numbers: Option<Vec<f32>> = tolerance.split_whitespace().map(|number| number.parse().ok()).collect();
        let Some(&[rtol, atol]) = numbers.as_deref() else { return Err(CaseError::Tolerance) };
        let mut sets = Vec::new();
        for index in 0.. {
            let mut read = |kind| read_tensors(&mut file, index, kind);
            match (read("input")?, read("output")?) {
                (Ok(inputs), Ok(outputs)) if inputs.is_empty() && outputs.is_empty() => break,
                (Ok(inputs), Ok(outputs)) => sets.push(Set { inputs, outputs }),
                (Err(error), _) | (_, Err(error)) => return Ok(Err(refused(&error))),
            }
        }
        if sets.is_empty() {
            return Err(CaseError::Missing("test_data_set_0".to_owned()));
        }
        Ok(Ok(Self { graph, sets, rtol, atol }))
    }

    /// Runs the model on each set of inputs, and compares its outputs with the expected ones.
    pub async fn check(&self, mut run: impl AsyncFnMut(Plan, &[&[u32]]) -> Result<Vec<Vec<u32>>, String>) -> Outcome {
        for set in &self.sets {
            let (plan, fed) = match plan(self, set) {
                Ok(planned) => planned,
                Err(error) => return refused(&error),
            };
            let described: Vec<(DType, Vec<usize>)> =
                plan.outputs.iter().map(|&id| (plan.values[id].dtype, plan.values[id].shape.clone())).collect();
            let inputs: Vec<&[u32]> = fed.iter().map(|&index| set.inputs[index].words.as_ref()).collect();
            let found = match run(plan, &inputs).await {
                Ok(found) => found,
                Err(why) => return Outcome::Failed(why),
            };
            for (((dtype, shape), words), expected) in described.iter().zip(&found).zip(&set.outputs) {
                if let Some(why) = difference(self, *dtype, shape, words, expected) {
                    return Outcome::Failed(why);
                }
            }
        }
        Outcome::Passed
    }
}

fn read_tensors(
    file: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    set: usize,
    kind: &str,
) -> Result<Result<Vec<Tensor>, ModelError>, CaseError> {
    let mut tensors = Vec::new();
    for index in 0.. {
        let Some(bytes) = file(&format!("test_data_set_{set}/{kind}_{index}.pb")) else { break };
        let proto = proto::Tensor::decode(&bytes[..])?;
        match Tensor::parse(&format!("{kind} {index}"), &proto) {
            Ok(tensor) => tensors.push(tensor),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(tensors))
}

/// Plans for inputs that are fed at run time, except those that shapes depend on. Returns which inputs are fed.
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
    unreachable!("every iteration makes one more input known")
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
    let index = words.iter().zip(expected.words.iter()).position(|(&a, &b)| !close(a, b))?;
    Some(format!("value {index}: {} where {} was expected", show(words[index]), show(expected.words[index])))
}
