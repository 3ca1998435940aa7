//! Every operator against onnxruntime: `cases/make.py` made the models and the answers.

use onnx::forward::Session;
use onnx::{Feed, Graph};

use crate::{assert_close, bits, floats, gpu, no_pause};

struct Case {
    name: String,
    graph: Graph,
    rows: usize,
    row: Vec<usize>,
    input: Vec<f32>,
    shape: Vec<usize>,
    output: Vec<f32>,
}

fn read_tensor(bytes: &mut &[u8]) -> (Vec<usize>, Vec<f32>) {
    let mut word = || {
        let (head, rest) = bytes.split_at(4);
        *bytes = rest;
        u32::from_le_bytes(head.try_into().unwrap())
    };
    let rank = word();
    let shape: Vec<usize> = (0..rank).map(|_| word().try_into().unwrap()).collect();
    let values = (0..shape.iter().product()).map(|_| f32::from_bits(word())).collect();
    (shape, values)
}

fn cases() -> Vec<Case> {
    let folder = crate::folder().join("tests/cases");
    let mut models: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "onnx"))
        .collect();
    models.sort();
    models
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let data = std::fs::read(path.with_extension("bin")).unwrap();
            let mut data = &data[..];
            let (mut input_shape, input) = read_tensor(&mut data);
            let (shape, output) = read_tensor(&mut data);
            let row = input_shape.split_off(1);
            let graph = Graph::parse(&std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
            Case { name, graph, rows: input_shape[0], row, input, shape, output }
        })
        .collect()
}

#[test]
fn the_cpu_agrees_with_onnxruntime_on_every_operator() {
    let cases = cases();
    assert!(cases.len() > 50, "only {} cases were found", cases.len());
    for case in cases {
        let plan = case
            .graph
            .plan(case.rows, &[Feed::Rows(case.row)])
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));

        let output = plan.run(&[&bits(&case.input)]).remove(0);

        assert_eq!(plan.values[plan.outputs[0]].shape, case.shape, "{}", case.name);
        assert_close(&case.name, &floats(&output), &case.output, 1e-6, 1e-5);
    }
}

#[test]
fn the_device_agrees_with_onnxruntime_on_every_operator() {
    let Some(mut gpu) = gpu() else { return };
    for case in cases() {
        let mut session = Session::new(case.graph, vec![Feed::Rows(case.row)]).unwrap();

        let output = pollster::block_on(session.run(&mut gpu, case.rows, &[&bits(&case.input)], no_pause))
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));

        assert_close(&case.name, &floats(&output[0]), &case.output, 2e-6, 1e-5);
    }
}

#[test]
fn only_models_that_mix_rows_are_said_to_mix_them() {
    for case in cases() {
        let feeds = [Feed::Rows(case.row)];
        let signature = case.graph.signature(&feeds).unwrap_or_else(|error| panic!("{}: {error}", case.name));

        let expected = (case.name == "mixes_rows").then(|| "Softmax_0".to_owned());
        assert_eq!(signature.mixed_by, expected, "{}", case.name);
        assert_eq!(signature.outputs[0].shape, case.shape[1..], "{}", case.name);
    }
}

#[test]
fn rows_that_are_said_to_be_apart_are_computed_alone_as_in_a_batch() {
    for case in cases() {
        let feeds = [Feed::Rows(case.row.clone())];
        if case.graph.signature(&feeds).unwrap().mixed_by.is_some() {
            continue;
        }
        let len: usize = case.row.iter().product();
        let input = bits(&case.input);
        let rows: Vec<&[u32]> = input.chunks(len).take(3).collect();
        let together = case.graph.plan(rows.len(), &feeds).unwrap().run(&[&rows.concat()]).remove(0);
        let alone = case.graph.plan(1, &feeds).unwrap();
        let alone: Vec<u32> = rows.iter().flat_map(|row| alone.run(&[row]).remove(0)).collect();

        assert_close(&case.name, &floats(&together), &floats(&alone), 1e-5, 1e-5);
    }
}
