//! Integers that follow from floats: which of them may differ.

use std::collections::BTreeMap;

use client::Client;
use e2e::digits;
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use onnx::proto;
use prost::Message;
use wire::JobState;

use crate::engine_test;

/// Rows whose work is more than the server's own processor redoes at once.
const HEAVY_ROWS: u32 = 8000;
/// Of a heavy model's one row.
const LABELS: usize = 512;
const WIDTH: usize = 1024;
/// Products one after another: 21.5 GFLOP, which only checkers compute again.
const PRODUCTS: usize = 20;
const FLOAT: i32 = 1;
const INT32: i32 = 6;

fn node(op_type: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> proto::Node {
    let attribute =
        |(name, i): &(&str, i64)| proto::Attribute { name: (*name).to_owned(), i: *i, ..Default::default() };
    proto::Node {
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes.iter().map(attribute).collect(),
        ..Default::default()
    }
}

/// Of a shape that is not stated where there are no dimensions. `0` stands for any number of rows.
fn value(name: &str, elem_type: i32, dims: &[usize]) -> proto::ValueInfo {
    let dimension = |&size: &usize| proto::Dimension { value: (size > 0).then(|| i64::try_from(size).unwrap()) };
    let shape = (!dims.is_empty()).then(|| proto::Shape { dim: dims.iter().map(dimension).collect() });
    let tensor_type = Some(proto::TensorType { elem_type, shape });
    proto::ValueInfo { name: name.to_owned(), r#type: Some(proto::Type { tensor_type }) }
}

fn weights(name: &str, rows: usize, columns: usize, floats: Vec<f32>) -> proto::Tensor {
    let dims = [rows, columns].map(|size| i64::try_from(size).unwrap()).to_vec();
    proto::Tensor { name: name.to_owned(), dims, data_type: FLOAT, float_data: floats, ..Default::default() }
}

/// Between -1 and 1, in no order.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 32_768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A row has many labels of four, and of the first two each is as good as the other.
fn heavy_labels_model() -> Vec<u8> {
    let scale = (3.0 / f32::from(u16::try_from(WIDTH).unwrap())).sqrt();
    let layer = noise(WIDTH * WIDTH).into_iter().map(|weight| weight * scale).collect();
    let mut last = noise(WIDTH * 4);
    last.as_chunks_mut::<4>().0.iter_mut().for_each(|of_input| of_input[1] = of_input[0]);
    let name = |at: usize| if at == 0 { "x".to_owned() } else { format!("x{at}") };
    let mut nodes: Vec<proto::Node> =
        (0..PRODUCTS).map(|at| node("MatMul", &[&name(at), "layer"], &name(at + 1), &[])).collect();
    nodes.push(node("MatMul", &[&name(PRODUCTS), "last"], "scores", &[]));
    nodes.push(node("ArgMax", &["scores"], "class", &[("axis", 2), ("keepdims", 0)]));
    nodes.push(node("Cast", &["class"], "label", &[("to", INT32.into())]));
    let graph = proto::Graph {
        node: nodes,
        initializer: vec![weights("layer", WIDTH, WIDTH, layer), weights("last", WIDTH, 4, last)],
        input: vec![value("x", FLOAT, &[0, LABELS, WIDTH])],
        output: vec![value("label", INT32, &[])],
    };
    let opset_import = vec![proto::OperatorSet { domain: String::new(), version: 17 }];
    proto::Model { graph: Some(graph), opset_import, functions: Vec::new() }.encode_to_vec()
}

/// Of float32, in C order.
fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let shape = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    let head = format!("{head:<117}\n");
    let len = u16::try_from(head.len()).unwrap().to_le_bytes();
    let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, head.as_bytes(), &values].concat()
}

async fn submit(stack: &Stack, client: &Client, model: &[u8], input: &[u8], tile_rows: Option<u32>) -> wire::Job {
    let files = [("labels.onnx", model), ("rows.npy", input)];
    let mut hashes = Vec::new();
    for (name, bytes) in files {
        let file = stack.folder().join(name);
        std::fs::write(&file, bytes).unwrap();
        hashes.push(client.upload(&file).await.unwrap().hash);
    }
    let program = wire::Program::Infer(wire::Infer {
        model: hashes[0],
        input: Some(hashes[1]),
        inputs: BTreeMap::new(),
        tile_rows,
    });
    let request = wire::SubmitJob { name: "Labels".to_owned(), ..wire::SubmitJob::new(program) };
    client.submit(&request, &identity().device().to_string()).await.unwrap()
}

/// Another of four labels.
fn lie(label: &mut f32) {
    *label = f32::from_bits((label.to_bits() + 1) % 4);
}

/// The digits' model with the likeliest class of each for its answer.
fn labels_model() -> Vec<u8> {
    let mut model = proto::Model::decode(&std::fs::read(digits::file("digits.onnx")).unwrap()[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let logits = graph.output[0].name.clone();
    graph.node.push(node("ArgMax", &[&logits], "class", &[("axis", 1), ("keepdims", 0)]));
    // To 32 bits.
    graph.node.push(node("Cast", &["class"], "label", &[("to", INT32.into())]));
    graph.output = vec![value("label", INT32, &[])];
    model.encode_to_vec()
}

engine_test! {
    async fn one_wrong_label_among_thousands_is_found_though_a_checker_computes_the_tile(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let job = submit(&stack, &client, &labels_model(), &digits::repeated(9), Some(HEAVY_ROWS)).await;
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();

        let (_, settled) = liar.work(|labels| labels[7] = f32::from_bits((labels[7].to_bits() + 1) % 10)).await.unwrap();

        assert!(!settled, "its label lies near no tie");
        stack.start_worker("honest", &["--backend", "cpu"]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn of_a_tile_that_only_checkers_compute_a_label_may_differ_near_a_tie_and_nowhere_else(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let rows = npy(&[1, LABELS, WIDTH], &noise(LABELS * WIDTH));
        let job = submit(&stack, &client, &heavy_labels_model(), &rows, None).await;
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();

        let (_, settled) = liar
            .work(|labels| lie(labels.iter_mut().find(|label| label.to_bits() > 1).unwrap()))
            .await
            .unwrap();
        assert!(!settled, "one of 512 lies near no tie");

        let mut other_way = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (_, settled) = other_way
            .work(|labels| {
                let ties: Vec<&mut f32> = labels.iter_mut().filter(|label| label.to_bits() == 0).collect();
                assert!(ties.len() > 20, "a hundredth of all would be less");
                // More than a hundredth, and few enough: a tie that comes out the same way in ten runs is taken for none, which
                // of some hundreds one or another would.
                ties.into_iter().take(8).for_each(|label| *label = f32::from_bits(1));
            })
            .await
            .unwrap();
        assert!(settled, "each of them lies near a tie");
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
    }
}

/// A row has numbers around a million, cast to integers.
fn large_integers_model() -> Vec<u8> {
    const INPUTS: usize = 64;
    let million = proto::Tensor { dims: Vec::new(), ..weights("million", 1, 1, vec![1e6]) };
    let graph = proto::Graph {
        node: vec![
            node("MatMul", &["x", "layer"], "y", &[]),
            node("Mul", &["y", "million"], "large", &[]),
            node("Cast", &["large"], "whole", &[("to", INT32.into())]),
        ],
        initializer: vec![weights("layer", INPUTS, INPUTS, noise(INPUTS * INPUTS)), million],
        input: vec![value("x", FLOAT, &[0, INPUTS])],
        output: vec![value("whole", INT32, &[])],
    };
    let opset_import = vec![proto::OperatorSet { domain: String::new(), version: 17 }];
    proto::Model { graph: Some(graph), opset_import, functions: Vec::new() }.encode_to_vec()
}

engine_test! {
    async fn a_number_that_a_model_is_uncertain_of_may_be_off_by_as_much_and_by_no_more(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let rows = npy(&[40, 64], &noise(40 * 64));
        let job = submit(&stack, &client, &large_integers_model(), &rows, Some(20)).await;
        let shift = |by: u32| {
            move |numbers: &mut Vec<f32>| {
                numbers.iter_mut().for_each(|number| *number = f32::from_bits(number.to_bits().wrapping_add(by)));
            }
        };

        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (_, settled) = liar.work(shift(100_000)).await.unwrap();
        assert!(!settled, "a tenth of it is a lie");
        let mut honest = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (_, settled) = honest.work(shift(1)).await.unwrap();
        assert!(settled, "the last of seven digits is as another order of summing makes it");

        stack.start_worker("worker", &["--backend", "gpu"]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        let detail = client.job_detail(job.id).await.unwrap();
        assert_eq!(detail.disputes.len(), 1, "the worker's order of summing is no lie");
    }
}
