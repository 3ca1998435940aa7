//! What branches, turns or stands for other nodes is gone once there is a plan.

use onnx::proto::{self, Attribute, FLOAT, Function, Model, Node, OperatorSet, Tensor};
use onnx::{Feed, ModelError};

use crate::build::{floats, int, ints, longs, model, node, parse, value};
use crate::{bits, floats as as_floats};

fn body(nodes: Vec<Node>, initializer: Vec<Tensor>, inputs: &[&str], outputs: &[&str]) -> proto::Graph {
    let ports = |names: &[&str]| names.iter().map(|name| value(name, FLOAT, &[])).collect();
    proto::Graph { node: nodes, initializer, input: ports(inputs), output: ports(outputs) }
}

fn holds(name: &str, graph: proto::Graph) -> Attribute {
    Attribute { name: name.to_owned(), g: Some(graph), ..Default::default() }
}

fn run(model: &Model, row: &[usize], input: &[f32]) -> Result<Vec<f32>, ModelError> {
    let plan = parse(model)?.plan(1, &[Feed::Rows(row.to_vec())])?;
    Ok(as_floats(&plan.run(&[&bits(input)])[0]))
}

fn wide(yes: &str, no: &str) -> Vec<Node> {
    let sizes = vec![
        node("Shape", &["x"], "shape", vec![]),
        node("Gather", &["shape", "last"], "width", vec![]),
        node("Greater", &["width", "three"], "is_wide", vec![]),
    ];
    let branch = |op: &str| body(vec![node(op, &["x"], "inner", vec![])], vec![], &[], &["inner"]);
    let choice =
        node("If", &["is_wide"], "y", vec![holds("then_branch", branch(yes)), holds("else_branch", branch(no))]);
    sizes.into_iter().chain([choice]).collect()
}

#[test]
fn a_branch_that_shapes_decide_is_the_only_one_planned() {
    let constants = || vec![longs("last", &[-1]), longs("three", &[3])];
    // The other branch may hold what nothing here can run.
    let model = model(wide("Neg", "Fancy"), constants());
    assert_eq!(run(&model, &[4], &[1.0, 2.0, 3.0, 4.0]).unwrap(), [-1.0, -2.0, -3.0, -4.0]);

    let error = run(&model, &[2], &[1.0, 2.0]).expect_err("the branch that is taken cannot run");
    assert!(matches!(error, ModelError::UnsupportedOperator { operator, .. } if operator == "Fancy"));
}

#[test]
fn a_branch_that_values_decide_is_refused_with_the_tensor() {
    let branch = |op: &str| body(vec![node(op, &["x"], "inner", vec![])], vec![], &[], &["inner"]);
    let nodes = vec![
        node("ReduceMax", &["x"], "most", vec![int("keepdims", 0)]),
        node("Cast", &["most"], "flag", vec![int("to", 9)]),
        node("If", &["flag"], "y", vec![holds("then_branch", branch("Neg")), holds("else_branch", branch("Relu"))]),
    ];

    let expected = ModelError::NotConstant { node: "If_of_y".into(), tensor: "flag".into() };
    assert_eq!(run(&model(nodes, vec![]), &[2], &[1.0, 2.0]).unwrap_err(), expected);
}

/// Doubles what it carries and keeps each turn's: `x·2, x·4, …`.
fn doubling(turns: i64, condition: &str) -> Model {
    let nodes = vec![
        node("Add", &["carried", "carried"], "twice", vec![]),
        node("Identity", &["going"], "on", vec![]),
        node("Identity", &["twice"], "kept", vec![]),
    ];
    let inner = body(nodes, vec![], &["turn", "going", "carried"], &["on", "twice", "kept"]);
    let mut repeat = node("Loop", &["turns", condition, "x"], "last", vec![holds("body", inner)]);
    repeat.output.push("all".to_owned());
    let fold = node("Transpose", &["all"], "y", vec![ints("perm", &[1, 0, 2])]);
    model(vec![repeat, fold], vec![longs("turns", &[turns])])
}

#[test]
fn a_loop_is_unrolled_and_keeps_what_each_turn_gave() {
    assert_eq!(run(&doubling(3, ""), &[2], &[1.0, 5.0]).unwrap(), [2.0, 10.0, 4.0, 20.0, 8.0, 40.0]);
}

#[test]
fn a_loop_that_does_not_end_is_refused() {
    let error = run(&doubling(i64::from(i32::MAX), ""), &[2], &[1.0, 5.0]).expect_err("it turns too often");
    assert!(matches!(error, ModelError::Unrolled { .. } | ModelError::TooLong { .. }), "{error}");

    let bare = body(vec![], vec![], &["turn", "going", "carried"], &["going", "carried"]);
    let endless = node("Loop", &["", "", "x"], "y", vec![holds("body", bare)]);
    let error = run(&model(vec![endless], vec![]), &[1], &[1.0]).expect_err("it never ends");
    assert_eq!(error, ModelError::Unrolled { node: "Loop_of_y".into() });
}

#[test]
fn a_scan_walks_an_axis() {
    let nodes = vec![node("Add", &["sum", "next"], "more", vec![]), node("Identity", &["more"], "so_far", vec![])];
    let inner = body(nodes, vec![], &["sum", "next"], &["more", "so_far"]);
    let attributes = vec![
        holds("body", inner),
        int("num_scan_inputs", 1),
        ints("scan_input_axes", &[1]),
        ints("scan_output_axes", &[1]),
    ];
    let mut scan = node("Scan", &["zero", "x"], "total", attributes);
    scan.output.push("y".to_owned());
    let model = model(vec![scan], vec![floats("zero", &[1], vec![0.0])]);

    assert_eq!(run(&model, &[4], &[1.0, 2.0, 3.0, 4.0]).unwrap(), [1.0, 3.0, 6.0, 10.0]);
}

#[test]
fn lists_of_tensors_are_kept_by_the_plan() {
    let nodes = vec![
        node("SplitToSequence", &["x"], "parts", vec![int("axis", 1)]),
        node("SequenceAt", &["parts", "back"], "end", vec![]),
        node("SequenceInsert", &["parts", "end", "front"], "longer", vec![]),
        node("ConcatFromSequence", &["longer"], "y", vec![int("axis", 1)]),
    ];
    let constants = || vec![longs("back", &[-1]), longs("front", &[0])];
    assert_eq!(run(&model(nodes.clone(), constants()), &[3], &[1.0, 2.0, 3.0]).unwrap(), [3.0, 1.0, 2.0, 3.0]);

    let wrong = vec![nodes[0].clone(), node("Relu", &["parts"], "y", vec![])];
    let error = run(&model(wrong, vec![]), &[3], &[1.0, 2.0, 3.0]).expect_err("a list is no tensor");
    assert_eq!(error, ModelError::DataType { tensor: "parts".into(), found: "a sequence, map or optional" });
}

fn function(name: &str, nodes: Vec<Node>) -> Function {
    Function {
        name: name.to_owned(),
        domain: "mine".to_owned(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: nodes,
        opset_import: vec![OperatorSet { domain: String::new(), version: 17 }],
        ..Default::default()
    }
}

fn of_mine(node: Node) -> Node {
    Node { domain: "mine".to_owned(), ..node }
}

#[test]
fn a_model_s_own_functions_are_written_out_with_their_attributes() {
    let slope = Attribute { name: "alpha".into(), ref_attr_name: "slope".into(), ..Default::default() };
    let mut leaky = function("Leak", vec![node("LeakyRelu", &["a"], "b", vec![slope])]);
    leaky.attribute_proto = vec![Attribute { name: "slope".into(), f: 0.5, ..Default::default() }];
    let twice =
        function("Twice", vec![of_mine(node("Leak", &["a"], "t", vec![])), node("Add", &["t", "t"], "b", vec![])]);
    let given = Attribute { name: "slope".into(), f: 0.25, ..Default::default() };
    let nodes = vec![of_mine(node("Twice", &["x"], "t", vec![])), of_mine(node("Leak", &["t"], "y", vec![given]))];
    let mut model = model(nodes, vec![]);
    model.functions = vec![leaky, twice];

    assert_eq!(run(&model, &[2], &[-4.0, 3.0]).unwrap(), [-1.0, 6.0]);
}

#[test]
fn a_function_that_uses_itself_is_refused() {
    let nodes = ["s", "b"].map(|output| of_mine(node("Again", &["a"], output, vec![])));
    let mut model = model(vec![of_mine(node("Again", &["x"], "y", vec![]))], vec![]);
    model.functions = vec![function("Again", nodes.to_vec())];

    let error = run(&model, &[2], &[1.0, 2.0]).expect_err("it never ends");
    assert!(error.to_string().contains("function Again uses itself"), "{error}");
}
