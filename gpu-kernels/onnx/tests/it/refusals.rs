//! Each thing a model can have wrong is a refusal of its own, which names the place.

use onnx::proto::{self, Attribute, FLOAT, Model, Node, OperatorSet, Tensor};
use onnx::{Feed, Graph, ModelError, operators, rewritten};
use proptest::prelude::*;
use prost::Message;

use crate::build::{floats, int, ints, longs, model, node, noise, parse, value};

fn refusal(model: &Model, row: &[usize]) -> ModelError {
    parse(model)
        .and_then(|graph| graph.signature(&[Feed::Rows(row.to_vec())]))
        .expect_err("the model should be refused")
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    for bytes in [&b""[..], b"not a model", &[0xff; 40]] {
        assert!(matches!(Graph::parse(bytes), Err(ModelError::NotOnnx { .. })), "{bytes:?}");
    }
}

#[test]
fn an_old_operator_set_is_refused_with_its_number() {
    let mut old = model(vec![node("Relu", &["x"], "y", vec![])], vec![]);
    old.opset_import = vec![OperatorSet { domain: String::new(), version: 6 }];

    assert_eq!(refusal(&old, &[2]), ModelError::Opset { found: 6 });
}

#[test]
fn an_unknown_operator_is_refused_by_name_with_those_we_have() {
    let error = refusal(&model(vec![node("Fancy", &["x"], "y", vec![])], vec![]), &[2]);
    assert!(error.to_string().contains("operator Fancy"), "{error}");
    assert!(error.to_string().contains("Atanh, Attention, AveragePool, BatchNormalization"), "{error}");

    let error = refusal(&model(vec![node("NonZero", &["x"], "y", vec![])], vec![]), &[2]);
    assert!(error.to_string().contains("the shape of its output depends on values"), "{error}");
}

#[test]
fn an_unknown_attribute_is_refused() {
    let error = refusal(&model(vec![node("Relu", &["x"], "y", vec![int("surprise", 1)])], vec![]), &[2]);

    assert!(matches!(error, ModelError::UnsupportedAttribute { attribute, .. } if attribute == "surprise"));
}

#[test]
fn a_missing_feed_is_refused_with_the_names_of_all_inputs() {
    let mut two = model(vec![node("Add", &["x", "z"], "y", vec![])], vec![]);
    two.graph.as_mut().unwrap().input.push(value("z", FLOAT, &[]));

    let expected = ModelError::InputCount { names: vec!["x".into(), "z".into()], expected: 2, found: 1 };
    assert_eq!(refusal(&two, &[2]), expected);
}

#[test]
fn a_type_that_no_device_has_is_refused_by_name() {
    let mut double = model(vec![node("Relu", &["x"], "y", vec![])], vec![]);
    double.graph.as_mut().unwrap().input = vec![value("x", 11, &[None, Some(2)])];
    assert_eq!(refusal(&double, &[2]), ModelError::DataType { tensor: "x".into(), found: "float64" });

    let big = longs("k", &[1 << 40]);
    let error = refusal(&model(vec![node("Gather", &["x", "k"], "y", vec![])], vec![big]), &[2]);
    assert_eq!(error, ModelError::IntRange { tensor: "k".into(), value: 1 << 40 });

    let wide = model(vec![node("Sqrt", &["k"], "y", vec![])], vec![longs("k", &[1])]);
    let expected = ModelError::UnsupportedType { node: "Sqrt_of_y".into(), operator: "Sqrt".into(), dtype: "int64" };
    assert_eq!(refusal(&wide, &[2]), expected);
}

#[test]
fn a_shape_that_depends_on_the_data_is_refused_with_the_tensor() {
    let nodes = vec![node("Cast", &["x"], "s", vec![int("to", 7)]), node("Reshape", &["x", "s"], "y", vec![])];

    let expected = ModelError::NotConstant { node: "Reshape_of_y".into(), tensor: "s".into() };
    assert_eq!(refusal(&model(nodes, vec![]), &[2]), expected);
}

#[test]
fn a_row_of_another_shape_is_refused_with_both_shapes() {
    let mut fixed = model(vec![node("Relu", &["x"], "y", vec![])], vec![]);
    fixed.graph.as_mut().unwrap().input = vec![value("x", FLOAT, &[None, Some(3), None])];

    let expected = ModelError::InputShape { input: "x".into(), expected: "[3, any]".into(), found: "[4, 4]".into() };
    assert_eq!(refusal(&fixed, &[4, 4]), expected);
}

#[test]
fn a_tensor_that_nothing_makes_is_refused() {
    let error = refusal(&model(vec![node("Relu", &["ghost"], "y", vec![])], vec![]), &[2]);
    assert_eq!(error, ModelError::MissingTensor { node: "Relu_of_y".into(), tensor: "ghost".into() });

    let cycle = vec![
        node("Add", &["x", "b"], "a", vec![]),
        node("Relu", &["a"], "b", vec![]),
        node("Relu", &["b"], "y", vec![]),
    ];
    assert!(matches!(refusal(&model(cycle, vec![]), &[2]), ModelError::MissingTensor { tensor, .. } if tensor == "b"));
}

#[test]
fn a_name_used_twice_is_refused() {
    let twice = vec![node("Relu", &["x"], "y", vec![]), node("Tanh", &["x"], "y", vec![])];

    assert_eq!(refusal(&model(twice, vec![]), &[2]), ModelError::DuplicateName { tensor: "y".into() });
}

/// A result is a file an output, called by its name.
#[test]
fn outputs_that_no_files_could_be_called_by_are_refused() {
    let relu = || model(vec![node("Relu", &["x"], "y", vec![])], vec![]);
    let mut twice = relu();
    twice.graph.as_mut().unwrap().output.push(value("y", FLOAT, &[]));
    assert_eq!(refusal(&twice, &[2]), ModelError::DuplicateName { tensor: "y".into() });

    let long = "y".repeat(70_000);
    let mut named = model(vec![node("Relu", &["x"], &long, vec![])], vec![]);
    named.graph.as_mut().unwrap().output = vec![value(&long, FLOAT, &[])];
    let error = refusal(&named, &[2]);
    assert!(matches!(error, ModelError::NotOnnx { .. }) && error.to_string().len() < 1000, "{error}");
}

#[test]
fn a_damaged_weight_is_refused() {
    let short = floats("w", &[2, 3], noise(5));
    let error = refusal(&model(vec![node("MatMul", &["x", "w"], "y", vec![])], vec![short]), &[2]);
    assert_eq!(error, ModelError::TensorSize { tensor: "w".into(), expected: 6, found: 5 });

    let huge = floats("w", &[i64::MAX, i64::MAX], vec![]);
    let error = refusal(&model(vec![node("MatMul", &["x", "w"], "y", vec![])], vec![huge]), &[2]);
    assert!(matches!(error, ModelError::TensorSize { .. }), "{error}");
}

#[test]
fn weights_in_another_file_are_refused() {
    let mut outside = floats("w", &[2, 3], vec![]);
    outside.data_location = 1;

    let error = refusal(&model(vec![node("MatMul", &["x", "w"], "y", vec![])], vec![outside]), &[2]);
    assert_eq!(error, ModelError::ExternalData { tensor: "w".into() });
}

#[test]
fn shapes_that_do_not_fit_are_refused_at_their_node() {
    let cases = [
        (node("MatMul", &["x", "w"], "y", vec![]), vec![floats("w", &[3, 3], noise(9))]),
        (node("Gemm", &["x", "w"], "y", vec![]), vec![floats("w", &[3, 3], noise(9))]),
        (node("Add", &["x", "w"], "y", vec![]), vec![floats("w", &[3], noise(3))]),
        (node("Concat", &["x", "w"], "y", vec![int("axis", 1)]), vec![floats("w", &[9, 9], noise(81))]),
        (node("Transpose", &["x"], "y", vec![ints("perm", &[0, 0])]), vec![]),
        (node("Softmax", &["x"], "y", vec![int("axis", 5)]), vec![]),
        (node("MaxPool", &["x"], "y", vec![ints("kernel_shape", &[2])]), vec![]),
        (node("Reshape", &["x", "s"], "y", vec![]), vec![longs("s", &[0, 7])]),
    ];
    for (node, constants) in cases {
        let name = node.name.clone();
        let error = refusal(&model(vec![node], constants), &[2]);
        assert!(matches!(&error, ModelError::Shape { node, .. } if *node == name), "{name}: {error}");
    }
}

#[test]
fn a_shape_product_that_overflows_is_refused() {
    let widen = vec![node("Add", &["x", "w"], "a", vec![]), node("Add", &["a", "v"], "y", vec![])];
    let constants = vec![floats("w", &[1, 1, 60_000, 1], vec![0.0; 60_000]), floats("v", &[60_000], vec![0.0; 60_000])];

    assert_eq!(refusal(&model(widen, constants), &[1, 1, 1]), ModelError::TooLarge { node: "Add_of_y".into() });

    let error =
        refusal(&model(vec![node("Reshape", &["x", "s"], "y", vec![])], vec![longs("s", &[i64::MAX, i64::MAX])]), &[2]);
    assert!(matches!(error, ModelError::Shape { .. }), "{error}");
}

#[test]
fn a_reshape_that_fixes_the_batch_is_refused_at_its_node() {
    let fixed = model(vec![node("Reshape", &["x", "s"], "y", vec![])], vec![longs("s", &[1, -1])]);

    assert_eq!(refusal(&fixed, &[2]), ModelError::MixesRows { node: "Reshape_of_y".into() });
}

#[test]
fn biases_of_another_shape_are_refused_at_their_recurrent_layer() {
    for shape in [&[2][..], &[], &[1, 3], &[2, 2]] {
        let len = shape.iter().product::<i64>();
        let biases = floats("b", shape, noise(usize::try_from(len).unwrap()));
        let weights = ["w", "r"].map(|name| floats(name, &[1, 1, 1], noise(1)));
        let layer = node("RNN", &["x", "w", "r", "b"], "y", vec![int("hidden_size", 1), int("layout", 1)]);
        let net = model(vec![layer], [weights.to_vec(), vec![biases]].concat());

        assert!(matches!(refusal(&net, &[3, 1]), ModelError::Shape { .. }), "{shape:?}");
    }
}

/// What a plan would need is known before any of it is made.
#[test]
fn a_walk_that_is_too_long_is_refused_before_it_begins() {
    let refused = |model: Model, feed| parse(&model).unwrap().signature(&[feed]).unwrap_err();
    let port = || value("a", FLOAT, &[]);
    let body = proto::Graph { input: vec![port()], output: vec![port()], ..Default::default() };
    let body = Attribute { name: "body".to_owned(), g: Some(body), ..Default::default() };
    let scan = model(vec![node("Scan", &["x"], "y", vec![body, int("num_scan_inputs", 1)])], vec![]);
    assert!(matches!(refused(scan, Feed::Whole(vec![1 << 30, 1])), ModelError::Unrolled { .. }));

    let nothing = floats("none", &[1 << 30, 0], vec![]);
    let nodes =
        vec![node("SplitToSequence", &["none"], "list", vec![]), node("SequenceLength", &["list"], "y", vec![])];
    let found = refused(model(nodes, vec![nothing]), Feed::Rows(vec![2]));
    assert_eq!(found, ModelError::TooLarge { node: "SplitToSequence_of_list".into() });
}

#[test]
fn a_filter_that_reaches_too_far_is_refused_before_it_is_written_down() {
    let scales = floats("s", &[4], vec![1.0, 1.0, 1e-30, 1.0]);
    for antialiased in ["linear", "cubic"] {
        let mode = Attribute { name: "mode".to_owned(), s: antialiased.into(), ..Default::default() };
        let shrink = node("Resize", &["x", "", "s"], "y", vec![mode, int("antialias", 1)]);
        let error = refusal(&model(vec![shrink], vec![scales.clone()]), &[1, 4, 4]);
        assert_eq!(error, ModelError::TooLarge { node: "Resize_of_y".into() });
    }
}

#[test]
fn a_refusal_is_short_however_much_is_wrong() {
    let zeros = longs("zeros", &vec![0; 50_000]);
    for op in ["Expand", "Tile", "Reshape"] {
        let error = refusal(&model(vec![node(op, &["x", "zeros"], "y", vec![])], vec![zeros.clone()]), &[2]);
        assert!(error.to_string().len() < 1000, "{op}: {} bytes", error.to_string().len());
    }
    let split = model(vec![node("Split", &["x", "zeros"], "y", vec![])], vec![zeros]);
    let error = refusal(&split, &[2]);
    assert!(error.to_string().len() < 1000, "{} bytes", error.to_string().len());
}

#[test]
fn a_row_without_values_is_refused() {
    let relu = model(vec![node("Relu", &["x"], "y", vec![])], vec![]);

    assert!(matches!(refusal(&relu, &[0]), ModelError::Shape { .. }));
}

/// Attributes that operators read, with values that no exporter would write.
fn odd_attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let names = [
        "axis",
        "axes",
        "perm",
        "to",
        "k",
        "group",
        "pads",
        "strides",
        "dilations",
        "kernel_shape",
        "keepdims",
        "split",
        "batch_dims",
        "size",
        "blocksize",
        "hidden_size",
        "layout",
        "num_heads",
        "num_groups",
        "block_size",
        "p",
        "ceil_mode",
        "upper",
        "exclusive",
        "output_padding",
        "output_shape",
        "starts",
        "ends",
        "repeats",
        "scales",
        "kv_num_heads",
        "K",
        "N",
        "bits",
        "do_rotary",
        "unidirectional",
        "qkv_hidden_sizes",
        "num_scan_inputs",
        "scan_input_axes",
        "coefficients",
        "intercepts",
        "classlabels_ints",
    ];
    let number = || prop_oneof![-3i64..6, Just(i64::MIN), Just(i64::MAX), Just(1 << 33)];
    let list = proptest::collection::vec(number(), 0..5);
    let one = (proptest::sample::select(names.to_vec()), number(), list).prop_map(|(name, i, ints)| Attribute {
        name: name.to_owned(),
        i,
        f: 2.5,
        ints,
        floats: vec![0.5, 2.0, -1.0, 1e30],
        ..Default::default()
    });
    proptest::collection::vec(one, 0..4)
}

/// A body for whatever holds one: it reads what is outside, itself, or nothing.
fn odd_body() -> impl Strategy<Value = proto::Graph> {
    let name = || proptest::sample::select(vec!["x", "a", "b", "i1", "flags", "f1", "out"]);
    let op = proptest::sample::select(vec!["Identity", "Add", "Relu", "Shape", "SequenceInsert", "Loop"]);
    let names = || proptest::collection::vec(name(), 0..4);
    (op, names(), names(), names()).prop_map(|(op, read, taken, given)| {
        let ports = |names: &[&str]| names.iter().map(|name| value(name, FLOAT, &[])).collect();
        proto::Graph {
            node: vec![node(op, &read, "out", vec![])],
            initializer: vec![],
            input: ports(&taken),
            output: ports(&given),
        }
    })
}

/// A node of any operator, also of those that are said in others.
fn odd_node() -> impl Strategy<Value = Node> {
    let own = operators().map(|op| (String::new(), op.to_owned()));
    let others = rewritten().map(|(domain, op)| (domain.to_owned(), op.to_owned()));
    let op = proptest::sample::select(own.chain(others).collect::<Vec<_>>());
    let names = vec!["x", "x", "f0", "f1", "f3", "f4", "none", "i1", "i2", "far", "u8", "flags", ""];
    let inputs = proptest::collection::vec(proptest::sample::select(names), 1..7);
    (op, inputs, odd_attributes(), odd_body()).prop_map(|((domain, op), inputs, mut attributes, body)| {
        for name in ["body", "then_branch", "else_branch"] {
            if matches!(op.as_str(), "If" | "Loop" | "Scan") {
                attributes.push(Attribute { name: name.to_owned(), g: Some(body.clone()), ..Default::default() });
            }
        }
        Node { domain, ..node(&op, &inputs, "y", attributes) }
    })
}

/// Constants of many kinds and shapes, by name.
fn odd_constants() -> Vec<Tensor> {
    let mut constants = vec![
        floats("f0", &[], vec![2.0]),
        floats("f1", &[3], noise(3)),
        floats("f3", &[2, 3, 3], noise(18)),
        floats("f4", &[4, 3, 2, 2], noise(48)),
        floats("none", &[0, 3], vec![]),
        longs("i1", &[1]),
        longs("i2", &[-1, 2]),
        longs("far", &[i64::MAX, i64::MIN, 1 << 30]),
    ];
    constants.push(Tensor {
        dims: vec![3],
        data_type: 2,
        int32_data: vec![0, 7, 255],
        name: "u8".into(),
        ..Default::default()
    });
    constants.push(Tensor {
        dims: vec![3],
        data_type: 9,
        int32_data: vec![0, 1, 1],
        name: "flags".into(),
        ..Default::default()
    });
    constants
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, ..ProptestConfig::default() })]

    #[test]
    fn no_node_of_any_operator_makes_the_planner_panic(
        node in odd_node(),
        row in proptest::collection::vec(1usize..5, 0..4),
    ) {
        let model = model(vec![node], odd_constants());
        if let Ok(graph) = parse(&model) {
            let feeds = [Feed::Rows(row.clone())];
            drop(graph.signature(&feeds));
            if let Ok(plan) = graph.plan(2, &feeds) {
                // What was planned also runs.
                let input = vec![1.0f32.to_bits(); 2 * row.iter().product::<usize>()];
                if plan.device_bytes() < 1 << 24 && plan.flops() < 1 << 26 {
                    plan.run(&[&input]);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(graph) = Graph::parse(&bytes) {
            drop(graph.signature(&[Feed::Rows(vec![3])]));
        }
    }

    #[test]
    fn no_damage_to_a_real_model_makes_the_parser_panic(place in 0usize..4000, byte in any::<u8>()) {
        let window = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        let nodes = vec![node("Conv", &["x", "w"], "c", vec![]), node("MaxPool", &["c"], "p", window), node("Flatten", &["p"], "y", vec![])];
        let mut bytes = model(nodes, vec![floats("w", &[2, 1, 3, 3], noise(18))]).encode_to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(graph) = Graph::parse(&bytes) {
            drop(graph.signature(&[Feed::Rows(vec![1, 9, 9])]));
        }
    }
}
