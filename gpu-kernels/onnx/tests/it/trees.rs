//! Ensembles of trees: what is wrong with one is refused by its attribute.

use onnx::proto::{Attribute, Model, Node, Tensor, Type, UINT8};
use onnx::{Feed, ModelError};

use proptest::prelude::*;

use crate::build::{floats, int, ints, model, node, parse};

fn reals(name: &str, values: &[f32]) -> Attribute {
    Attribute { name: name.to_owned(), floats: values.to_vec(), ..Default::default() }
}

fn words(name: &str, values: &[&str]) -> Attribute {
    let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    Attribute { name: name.to_owned(), strings, ..Default::default() }
}

fn stored(name: &str, tensor: Tensor) -> Attribute {
    Attribute { name: name.to_owned(), t: Some(tensor), ..Default::default() }
}

/// `x0 <= 0.5 ? 1 : 2`, with some attributes put in place of its own.
fn tree(op: &str, of: &str, others: Vec<Attribute>) -> Model {
    let mut attributes = vec![
        ints("nodes_treeids", &[0, 0, 0]),
        ints("nodes_nodeids", &[0, 1, 2]),
        ints("nodes_featureids", &[0, 0, 0]),
        words("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
        reals("nodes_values", &[0.5, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0]),
        ints(&format!("{of}_treeids"), &[0, 0]),
        ints(&format!("{of}_nodeids"), &[1, 2]),
        ints(&format!("{of}_ids"), &[0, 0]),
        reals(&format!("{of}_weights"), &[1.0, 2.0]),
    ];
    for other in others {
        attributes.retain(|attribute| attribute.name != other.name);
        attributes.push(other);
    }
    model(vec![Node { domain: "ai.onnx.ml".to_owned(), ..node(op, &["x"], "y", attributes) }], vec![])
}

#[track_caller]
fn check_refusal(model: &Model, named: &str, says: &str) {
    let found = parse(model).and_then(|graph| graph.signature(&[Feed::Rows(vec![4])]));
    let Err(ModelError::UnsupportedAttribute { attribute, reason, .. }) = &found else { panic!("{found:?}") };

    assert_eq!(attribute, named);
    assert!(reason.contains(says), "{reason}");
}

#[test]
fn a_tree_that_is_none_is_refused_by_the_attribute_that_is_wrong() {
    let regressor = |others| tree("TreeEnsembleRegressor", "target", others);
    assert!(parse(&regressor(vec![])).unwrap().signature(&[Feed::Rows(vec![4])]).is_ok());

    check_refusal(&regressor(vec![ints("nodes_treeids", &[0, 0])]), "nodes_treeids", "differ in length");
    check_refusal(&regressor(vec![ints("nodes_nodeids", &[0, 1, 1])]), "nodes_nodeids", "one number");
    check_refusal(&regressor(vec![ints("nodes_truenodeids", &[7, 0, 0])]), "nodes_truenodeids", "not there");
    check_refusal(&regressor(vec![ints("nodes_truenodeids", &[0, 0, 0])]), "nodes_truenodeids", "goes round");
    check_refusal(&regressor(vec![ints("nodes_truenodeids", &[2, 0, 0])]), "nodes_truenodeids", "not one root");
    check_refusal(&regressor(vec![ints("target_ids", &[0, 1])]), "target_ids", "out of range");
    check_refusal(&regressor(vec![ints("target_nodeids", &[1, 9])]), "nodes_truenodeids", "not there");
    check_refusal(&regressor(vec![reals("target_weights", &[1.0])]), "nodes_treeids", "differ in length");
    check_refusal(
        &regressor(vec![words("nodes_modes", &["BRANCH_SIDEWAYS", "LEAF", "LEAF"])]),
        "nodes_modes",
        "LEAF or",
    );
    check_refusal(&regressor(vec![int("n_targets", 1 << 40)]), "n_targets", "8 million");
    check_refusal(&regressor(vec![int("surprise", 1)]), "surprise", "not known");
    let circle = vec![
        words("nodes_modes", &["BRANCH_LEQ", "BRANCH_LEQ", "BRANCH_LEQ"]),
        ints("nodes_truenodeids", &[1, 2, 1]),
        ints("nodes_falsenodeids", &[2, 2, 1]),
    ];
    check_refusal(&regressor(circle), "nodes_truenodeids", "goes round");
}

#[test]
fn a_classifier_names_its_classes_by_whole_numbers() {
    let classifier = |others| tree("TreeEnsembleClassifier", "class", others);
    let two = || ints("classlabels_int64s", &[3, 8]);
    assert!(parse(&classifier(vec![two()])).unwrap().signature(&[Feed::Rows(vec![4])]).is_ok());

    check_refusal(&classifier(vec![words("classlabels_strings", &["a", "b"])]), "classlabels_strings", "strings");
    check_refusal(&classifier(vec![two(), ints("class_ids", &[0, 1])]), "class_ids", "two classes");
    check_refusal(&classifier(vec![two(), reals("base_values", &[0.0, 1.0])]), "base_values", "one base value");
    let odd = Attribute { name: "post_transform".into(), s: b"PROBIT".to_vec(), ..Default::default() };
    check_refusal(&classifier(vec![two(), odd]), "post_transform", "NONE, LOGISTIC or SOFTMAX");
}

#[test]
fn a_table_of_classes_by_name_is_given_as_the_table() {
    let mut classifier = tree("TreeEnsembleClassifier", "class", vec![ints("classlabels_int64s", &[3, 8])]);
    let graph = classifier.graph.as_mut().unwrap();
    graph.node[0].output = vec!["label".to_owned(), "table".to_owned()];
    let zip = node("ZipMap", &["table"], "y", vec![words("classlabels_strings", &["no", "yes"])]);
    graph.node.push(Node { domain: "ai.onnx.ml".to_owned(), ..zip });
    graph.output[0].r#type = Some(Type { tensor_type: None });
    let graph = parse(&classifier).unwrap();
    let signature = graph.signature(&[Feed::Rows(vec![1])]).unwrap();
    let plan = graph.plan(2, &[Feed::Rows(vec![1])]).unwrap();

    assert_eq!((signature.outputs[0].shape.as_slice(), signature.mixed_by), ([2].as_slice(), None));
    let rows = [0.25f32, 0.75].map(f32::to_bits);
    assert_eq!(crate::floats(&plan.run(&[&rows])[0]), [0.0, 1.0, -1.0, 2.0]);
}

/// Attributes of trees with what no exporter would write.
fn odd_trees() -> impl Strategy<Value = Vec<Attribute>> {
    let number = || prop_oneof![8 => -1i64..6, 1 => Just(i64::MIN), 1 => Just(1 << 40)];
    let names = [
        "nodes_treeids",
        "nodes_nodeids",
        "nodes_featureids",
        "nodes_truenodeids",
        "nodes_falsenodeids",
        "nodes_missing_value_tracks_true",
        "nodes_trueleafs",
        "nodes_falseleafs",
        "leaf_targetids",
        "tree_roots",
        "target_treeids",
        "target_nodeids",
        "target_ids",
        "class_ids",
        "classlabels_int64s",
    ];
    let list = (proptest::sample::select(names.to_vec()), proptest::collection::vec(number(), 3))
        .prop_map(|(name, values)| ints(name, &values));
    let count = (proptest::sample::select(vec!["n_targets", "aggregate_function", "post_transform"]), number())
        .prop_map(|(name, value)| int(name, value));
    let modes = proptest::collection::vec(proptest::sample::select(vec!["BRANCH_LEQ", "BRANCH_EQ", "LEAF"]), 3)
        .prop_map(|modes| words("nodes_modes", &modes));
    let tensors = (proptest::sample::select(vec!["nodes_splits", "leaf_weights", "membership_values"]), 0..4usize)
        .prop_map(|(name, len)| stored(name, floats("", &[i64::try_from(len).unwrap()], vec![f32::NAN; len])));
    let kinds = proptest::collection::vec(0..8i32, 3).prop_map(|modes| {
        stored("nodes_modes", Tensor { dims: vec![3], data_type: UINT8, int32_data: modes, ..Default::default() })
    });
    proptest::collection::vec(prop_oneof![6 => list, 2 => count, 2 => modes, 2 => tensors, 1 => kinds], 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Whatever the lists say, the answer is a plan or a refusal.
    #[test]
    fn no_trees_make_the_reader_panic(op in 0..3usize, odd in odd_trees()) {
        let (op, of) = [
            ("TreeEnsemble", "leaf"), ("TreeEnsembleRegressor", "target"), ("TreeEnsembleClassifier", "class"),
        ][op];
        if let Ok(graph) = parse(&tree(op, of, odd)) {
            drop(graph.signature(&[Feed::Rows(vec![4])]));
        }
    }
}
