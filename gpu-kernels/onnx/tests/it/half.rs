//! Half floats: what a node hands to the next is a float32, as onnxruntime's CPU keeps it.

use gpu_kernels::dtype::DType;
use onnx::Feed;
use onnx::forward::Session;
use onnx::proto::{Attribute, FLOAT, Model, Node, OperatorSet, Tensor};

use crate::build::{floats as stored, int, ints, model, node, noise, parse};
use crate::{assert_close, bits, floats, gpu, no_pause};

const FLOAT16: i32 = 10;
/// Half a unit in a half float's last place.
const HALF_ULP: f32 = 1.0 / 2048.0;

/// Values that half floats hold, some of them with squares that none does.
fn outliers(len: usize) -> Vec<f32> {
    let scaled = noise(len).into_iter().map(|value| (value * 256.0).round() / 64.0);
    scaled.enumerate().map(|(i, value)| if i % 16 == 3 { 795.0 } else { value }).collect()
}

/// `nodes` over `x` and the constants, all of them cast to a type first.
fn cast_to(dtype: i32, opset: i64, nodes: &[Node], constants: &[Tensor]) -> Model {
    let names = constants.iter().map(|constant| constant.name.as_str());
    let cast = |name: &str| node("Cast", &[name], &format!("{name}_cast"), vec![int("to", i64::from(dtype))]);
    let renamed = nodes.iter().cloned().map(|mut node| {
        for input in &mut node.input {
            if input == "x" || constants.iter().any(|constant| constant.name == *input) {
                input.push_str("_cast");
            }
        }
        node
    });
    let mut model = model(std::iter::once("x").chain(names).map(cast).chain(renamed).collect(), constants.to_vec());
    model.opset_import = vec![OperatorSet { domain: String::new(), version: opset }];
    model
}

fn on_the_cpu(model: &Model, row: &[usize], input: &[f32]) -> (DType, Vec<f32>) {
    let rows = input.len() / row.iter().product::<usize>();
    let plan = parse(model).unwrap().plan(rows, &[Feed::Rows(row.to_vec())]).unwrap();
    (plan.values[plan.outputs[0]].dtype, floats(&plan.run(&[&bits(input)])[0]))
}

fn on_the_device(model: &Model, row: &[usize], input: &[f32]) -> Option<Vec<f32>> {
    let mut gpu = gpu()?;
    let rows = input.len() / row.iter().product::<usize>();
    let mut session = Session::new(parse(model).unwrap(), vec![Feed::Rows(row.to_vec())]).unwrap();
    Some(floats(&pollster::block_on(session.run(&mut gpu, rows, &[&bits(input)], no_pause)).unwrap()[0]))
}

/// Nodes in half floats answer what they do in float32, rounded.
#[track_caller]
fn check(label: &str, opset: i64, row: &[usize], nodes: &[Node], constants: &[Tensor]) {
    let input = outliers(3 * row.iter().product::<usize>());
    let (_, expected) = on_the_cpu(&cast_to(FLOAT, opset, nodes, constants), row, &input);
    let halves = cast_to(FLOAT16, opset, nodes, constants);

    let (dtype, found) = on_the_cpu(&halves, row, &input);

    assert_eq!(dtype, DType::F16, "{label}");
    assert!(expected.iter().all(|value| value.is_finite()), "{label}: {expected:?}");
    assert_close(label, &found, &expected, 1e-6, 1.01 * HALF_ULP);
    if let Some(found) = on_the_device(&halves, row, &input) {
        assert_close(label, &found, &expected, 1e-6, 2.02 * HALF_ULP);
    }
}

fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: value, ..Default::default() }
}

/// A value a channel.
fn channels(name: &str, len: u8) -> Tensor {
    stored(name, &[i64::from(len)], (0..len).map(|i| 0.5 + f32::from(i) / 16.0).collect())
}

#[test]
fn normalizations_of_half_floats_do_not_overflow() {
    let last = || vec![int("axis", -1)];
    let wide = [channels("s", 16), channels("b", 16)];
    for (op, opset, inputs) in [
        ("LayerNormalization", 17, &["x", "s", "b"][..]),
        ("RMSNormalization", 23, &["x", "s"]),
        ("SimplifiedLayerNormalization", 17, &["x", "s"]),
    ] {
        check(op, opset, &[5, 16], &[node(op, inputs, "y", last())], &wide);
    }
    let image = [channels("s", 4), channels("b", 4)];
    let instance = node("InstanceNormalization", &["x", "s", "b"], "y", vec![]);
    check("InstanceNormalization", 17, &[4, 4, 8], &[instance], &image);
    let group = node("GroupNormalization", &["x", "s", "b"], "y", vec![int("num_groups", 2)]);
    check("GroupNormalization", 21, &[4, 4, 8], &[group], &image);
    let each = node("MeanVarianceNormalization", &["x"], "y", vec![ints("axes", &[2, 3])]);
    check("MeanVarianceNormalization", 13, &[4, 4, 8], &[each], &[]);
    for p in [1, 2] {
        let of_lines = node("LpNormalization", &["x"], "y", vec![int("axis", 2), int("p", p)]);
        check("LpNormalization", 17, &[5, 16], &[of_lines], &[]);
    }
    let around = node("LRN", &["x"], "y", vec![int("size", 3), float("alpha", 0.01)]);
    check("LRN", 17, &[4, 4, 8], &[around], &[]);
}

#[test]
fn sums_of_squares_and_of_exponentials_of_half_floats_do_not_overflow() {
    for op in ["ReduceL2", "ReduceLogSumExp"] {
        check(op, 13, &[5, 16], &[node(op, &["x"], "y", vec![ints("axes", &[2])])], &[]);
    }
    let root = [node("ReduceSumSquare", &["x"], "q", vec![ints("axes", &[2])]), node("Sqrt", &["q"], "y", vec![])];
    check("the root of ReduceSumSquare", 13, &[5, 16], &root, &[]);
    for op in ["Softmax", "LogSoftmax"] {
        check(op, 13, &[5, 16], &[node(op, &["x"], "y", vec![int("axis", -1)])], &[]);
    }
    let pool = node("LpPool", &["x"], "y", vec![ints("kernel_shape", &[2, 2])]);
    check("LpPool", 17, &[4, 4, 8], &[pool], &[]);
}

#[test]
fn a_layer_norm_written_out_in_half_floats_does_not_overflow() {
    let constants =
        [stored("two", &[], vec![2.0]), stored("e", &[], vec![1.0 / 65_536.0]), channels("s", 16), channels("b", 16)];
    for (square, by) in [("Pow", "two"), ("Mul", "d")] {
        let mean = || vec![ints("axes", &[-1])];
        let nodes = [
            node("ReduceMean", &["x"], "m", mean()),
            node("Sub", &["x", "m"], "d", vec![]),
            node(square, &["d", by], "q", vec![]),
            node("ReduceMean", &["q"], "v", mean()),
            node("Add", &["v", "e"], "w", vec![]),
            node("Sqrt", &["w"], "r", vec![]),
            node("Div", &["d", "r"], "u", vec![]),
            node("Mul", &["u", "s"], "g", vec![]),
            node("Add", &["g", "b"], "y", vec![]),
        ];
        check(square, 13, &[5, 16], &nodes, &constants);
    }
}

#[test]
fn half_floats_do_not_overflow_between_nodes_of_any_kind() {
    let shrink = || stored("k", &[], vec![1.0 / 4096.0]);
    let after = |nodes: Vec<Node>| {
        let square = node("Mul", &["x", "x"], "q", vec![]);
        let scaled = node("Mul", &["t", "k"], "y", vec![]);
        [vec![square], nodes, vec![scaled]].concat()
    };
    let copied = [
        node("Transpose", &["q"], "p", vec![ints("perm", &[0, 2, 1])]),
        node("Concat", &["p", "q"], "t", vec![int("axis", 1)]),
    ];
    check("copies", 13, &[16, 16], &after(copied.to_vec()), &[shrink()]);
    let weights = stored("w", &[16, 4], outliers(64));
    check("a product", 13, &[5, 16], &after(vec![node("MatMul", &["q", "w"], "t", vec![])]), &[shrink(), weights]);
    let filters = stored("w", &[2, 4, 3, 3], noise(72));
    check("a convolution", 13, &[4, 4, 8], &after(vec![node("Conv", &["q", "w"], "t", vec![])]), &[shrink(), filters]);
    let sum = node("ReduceSum", &["q", "axis"], "t", vec![]);
    let mut model = cast_to(FLOAT16, 13, &after(vec![sum]), &[shrink()]);
    model.graph.as_mut().unwrap().initializer.push(crate::build::longs("axis", &[2]));
    let (_, found) = on_the_cpu(&model, &[2, 2], &[795.0, 795.0, 2.0, 2.0]);
    assert_eq!(found, [308.5, 0.001_953_125]);
}

#[test]
fn what_a_model_answers_in_half_floats_is_rounded_to_them() {
    let twice = cast_to(FLOAT16, 13, &[node("Add", &["x", "x"], "y", vec![])], &[]);

    let (_, found) = on_the_cpu(&twice, &[3], &[0.1, 40_000.0, -1024.25]);

    assert_eq!(found, [0.199_951_17, f32::INFINITY, -2048.0]);
    if let Some(device) = on_the_device(&twice, &[3], &[0.1, 40_000.0, -1024.25]) {
        assert_eq!(device, found);
    }
}

/// Models that imitate half floats, or bfloats, in float32 mean the rounding.
#[test]
fn a_cast_to_half_floats_and_back_rounds() {
    let to = |dtype: i32| vec![int("to", i64::from(dtype))];
    for (half, expected) in
        [(FLOAT16, [0.099_975_586, 1000.5, f32::INFINITY]), (16, [0.100_097_656, 1000.0, 630_784.0])]
    {
        let nodes = vec![
            node("Cast", &["x"], "h", to(half)),
            node("Transpose", &["h"], "t", vec![ints("perm", &[1, 0])]),
            node("Cast", &["t"], "y", to(FLOAT)),
        ];
        let input = [0.1, 1000.3, 632_025.0];

        assert_eq!(on_the_cpu(&model(nodes.clone(), vec![]), &[3], &input).1, expected);
    }
}
