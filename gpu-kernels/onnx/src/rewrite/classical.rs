//! Classical models in ONNX's domain for them: scaling, feature selection, encoders, linear models.
//! Definitions: <https://onnx.ai/onnx/operators/#ai-onnx-ml>

use gpu_kernels::number::to;

use super::scores::{WHOLE_CLASSES, transform};
use super::trees;
use super::writer::{WriteFn, Writer, int, ints};
use crate::proto;

pub(super) const DOMAIN: &str = "ai.onnx.ml";

/// In order.
pub(super) const OPERATORS: &[(&str, WriteFn)] = &[
    ("ArrayFeatureExtractor", choose_features),
    ("Binarizer", binarize),
    ("FeatureVectorizer", join_features),
    ("Imputer", impute),
    ("LabelEncoder", encode_labels),
    ("LinearClassifier", classify),
    ("LinearRegressor", regress),
    ("Normalizer", normalize),
    ("OneHotEncoder", encode_one_hot),
    ("Scaler", scale),
    ("TreeEnsemble", trees::ensemble),
    ("TreeEnsembleClassifier", trees::classify),
    ("TreeEnsembleRegressor", trees::regress),
    ("ZipMap", keep_table),
];

/// A list of floats that an attribute holds.
fn floats(w: &mut Writer<'_>, name: &str) -> String {
    let floats = w.attribute(name).map(|attribute| attribute.floats.clone()).unwrap_or_default();
    w.floats(floats)
}

fn choose_features(w: &mut Writer<'_>) {
    let (x, places) = (w.input(0), w.input(1));
    let list = w.ints(&[-1]);
    let places = w.op("Reshape", &[&places, &list]);
    let chosen = w.op_with("Gather", &[&x, &places], vec![int("axis", -1)]);
    // A single list of indices gives one row.
    let rows = w.op_with("Shape", &[&places], vec![]);
    let shape = w.op_with("Concat", &[&list, &rows], vec![int("axis", 0)]);
    w.give("Reshape", &[&chosen, &shape], vec![]);
}

fn join_features(w: &mut Writer<'_>) {
    // Their widths are those of the inputs.
    w.passed(&["inputdimensions"]);
    let inputs: Vec<String> = (0..w.node.input.len()).map(|i| w.input(i)).collect();
    let inputs: Vec<String> = inputs.iter().map(|input| w.float32(input)).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    w.give("Concat", &inputs, vec![int("axis", 1)]);
}

/// Whether each value equals each of the keys, along a new last axis.
fn compare(w: &mut Writer<'_>, keys: &str) -> String {
    let (x, last) = (w.input(0), w.ints(&[-1]));
    let x = w.op("Unsqueeze", &[&x, &last]);
    let keys = w.op("CastLike", &[keys, &x]);
    w.op("Equal", &[&x, &keys])
}

fn encode_one_hot(w: &mut Writer<'_>) {
    let kinds = w.attribute("cats_int64s").map(|attribute| attribute.ints.clone()).unwrap_or_default();
    if kinds.is_empty() {
        return w.refuse("cats_strings", "strings have no place on a device");
    }
    if w.int("zeros", 1) == 0 {
        return w.refuse("zeros", "an unknown kind ends no run: it must be 1");
    }
    let kinds = w.ints(&kinds);
    let same = compare(w, &kinds);
    w.give("Cast", &[&same], vec![int("to", i64::from(proto::FLOAT))]);
}

fn encode_labels(w: &mut Writer<'_>) {
    let list = |w: &mut Writer<'_>, of: &str| -> Option<String> {
        let whole = w.attribute(&format!("{of}_int64s")).map(|attribute| attribute.ints.clone());
        if let Some(whole) = whole.filter(|whole| !whole.is_empty()) {
            return Some(w.ints(&whole));
        }
        w.attribute(&format!("{of}_floats")).map(|attribute| attribute.floats.clone()).map(|list| w.floats(list))
    };
    let (Some(keys), Some(values)) = (list(w, "keys"), list(w, "values")) else {
        return w.refuse("keys_strings", "strings have no place on a device: keys and values must be numbers");
    };
    let (whole, real) = (w.int("default_int64", -1), w.float("default_float", -0.0));
    let whole = w.ints(&[whole]);
    let real = w.scalar(real);
    let otherwise = if w.attribute("values_int64s").is_some() { whole } else { real };
    let same = compare(w, &keys);
    let places = w.op_with("Cast", &[&same], vec![int("to", i64::from(proto::INT32))]);
    let place = w.op_with("ArgMax", &[&places], vec![int("axis", -1), int("keepdims", 0)]);
    let found = w.op("Gather", &[&values, &place]);
    let last = w.ints(&[-1]);
    let known = w.op_with("ReduceMax", &[&places, &last], vec![int("keepdims", 0)]);
    let known = w.op_with("Cast", &[&known], vec![int("to", i64::from(proto::BOOL))]);
    w.give("Where", &[&known, &found, &otherwise], vec![]);
}

/// One column for each class; the classes' names stay in the model.
fn keep_table(w: &mut Writer<'_>) {
    w.passed(&["classlabels_int64s", "classlabels_strings"]);
    let x = w.input(0);
    w.give("Identity", &[&x], vec![]);
}

fn binarize(w: &mut Writer<'_>) {
    let (x, threshold) = (w.input(0), w.float("threshold", 0.0));
    let threshold = w.scalar(threshold);
    let above = w.op("Greater", &[&x, &threshold]);
    w.give("CastLike", &[&above, &x], vec![]);
}

fn impute(w: &mut Writer<'_>) {
    let missing = w.float("replaced_value_float", 0.0);
    let (x, values) = (w.input(0), floats(w, "imputed_value_floats"));
    let away = if missing.is_nan() {
        w.op("IsNaN", &[&x])
    } else {
        let missing = w.scalar(missing);
        w.op("Equal", &[&x, &missing])
    };
    w.give("Where", &[&away, &values, &x], vec![]);
}

fn scale(w: &mut Writer<'_>) {
    let x = w.input(0);
    let (x, offset, scale) = (w.float32(&x), floats(w, "offset"), floats(w, "scale"));
    let moved = w.op("Sub", &[&x, &offset]);
    w.give("Mul", &[&moved, &scale], vec![]);
}

fn normalize(w: &mut Writer<'_>) {
    let norm = w.attribute("norm").map_or("MAX", |attribute| str::from_utf8(&attribute.s).unwrap_or("?"));
    let x = w.input(0);
    let x = w.float32(&x);
    match norm {
        "L1" | "L2" => {
            let p = if norm == "L1" { 1 } else { 2 };
            w.give("LpNormalization", &[&x], vec![int("axis", -1), int("p", p)]);
        }
        "MAX" => {
            let axis = w.ints(&[-1]);
            let most = w.op("ReduceMax", &[&x, &axis]);
            w.give("Div", &[&x, &most], vec![]);
        }
        _ => w.refuse("norm", "it must be L1, L2 or MAX"),
    }
}

/// `x · coefficientsᵀ + intercepts`, with `rows` lines of coefficients.
fn linear(w: &mut Writer<'_>, rows: i64) -> String {
    let x = w.input(0);
    let (x, all, shift) = (w.float32(&x), floats(w, "coefficients"), floats(w, "intercepts"));
    let shape = w.ints(&[rows, -1]);
    let all = w.op("Reshape", &[&all, &shape]);
    let all = w.op_with("Transpose", &[&all], vec![ints("perm", &[1, 0])]);
    let product = w.op("MatMul", &[&x, &all]);
    if w.attribute("intercepts").is_none_or(|attribute| attribute.floats.is_empty()) {
        return product;
    }
    w.op("Add", &[&product, &shift])
}

fn regress(w: &mut Writer<'_>) {
    let rows = w.int("targets", 1);
    let y = linear(w, rows);
    transform(w, &y, w.node.output[0].clone());
}

fn classify(w: &mut Writer<'_>) {
    w.passed(&["multi_class"]);
    let labels = w.attribute("classlabels_ints").map(|attribute| attribute.ints.clone()).unwrap_or_default();
    if w.attribute("classlabels_strings").is_some() {
        return w.refuse("classlabels_strings", WHOLE_CLASSES);
    }
    let lines = w.attribute("intercepts").map_or(0, |attribute| attribute.floats.len());
    if labels.is_empty() || lines != labels.len() {
        return w.refuse("classlabels_ints", "a class is a whole number, with its own line of coefficients");
    }
    let scores = linear(w, to(lines));
    let best = w.op_with("ArgMax", &[&scores], vec![int("axis", -1), int("keepdims", 0)]);
    let labels = w.ints(&labels);
    let label = w.node.output.first().cloned().unwrap_or_default();
    w.emit("Gather", &[&labels, &best], vec![label], vec![]);
    match w.node.output.get(1).filter(|name| !name.is_empty()).cloned() {
        Some(output) => transform(w, &scores, output),
        None => {
            w.passed(&["post_transform"]);
        }
    }
}
