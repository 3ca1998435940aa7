//! A model of several inputs and outputs of several types, from the command to an `.npz`.

use std::io::Read;
use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::stack::{Stack, program};
use onnx::proto::{
    Attribute, Dimension, FLOAT, Graph, INT64, Model, Node, OperatorSet, Shape, TensorType, Type, ValueInfo,
};
use prost::Message;

fn declared(name: &str, elem_type: i32, shape: &[Option<i64>]) -> ValueInfo {
    let dim = shape.iter().map(|&value| Dimension { value }).collect();
    let tensor_type = Some(TensorType { elem_type, shape: Some(Shape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}

fn node(op: &str, inputs: [&str; 2], output: &str) -> Node {
    let input = inputs.map(str::to_owned).to_vec();
    Node { input, output: vec![output.to_owned()], op_type: op.to_owned(), ..Node::default() }
}

/// `sum = a + bias` over rows of three, and `twice = ids + ids` over rows of two whole numbers.
fn model() -> Vec<u8> {
    let graph = Graph {
        node: vec![node("Add", ["a", "bias"], "sum"), node("Add", ["ids", "ids"], "twice")],
        initializer: Vec::new(),
        input: vec![
            declared("a", FLOAT, &[None, Some(3)]),
            declared("ids", INT64, &[None, Some(2)]),
            declared("bias", FLOAT, &[Some(3)]),
        ],
        output: vec![declared("sum", FLOAT, &[]), declared("twice", INT64, &[])]
            .into_iter()
            .map(|output| ValueInfo { r#type: None, ..output })
            .collect(),
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
}

fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), values].concat()
}

const ROWS: u16 = 50;
const SOON: Duration = Duration::from_mins(3);

/// The model and its inputs as files, each input's named after it.
fn write_files(stack: &Stack) {
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(stack.folder().join(name), bytes).unwrap();
    let a: Vec<u8> = (0..ROWS * 3).flat_map(|i| f32::from(i).to_le_bytes()).collect();
    let ids: Vec<u8> = (0..ROWS * 2).flat_map(|i| (-i64::from(i)).to_le_bytes()).collect();
    let bias: Vec<u8> = [0.5f32, 1.5, 2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    write("model.onnx", model());
    write("a.npy", npy("<f4", &format!("({ROWS}, 3)"), &a));
    write("ids.npy", npy("<i8", &format!("({ROWS}, 2)"), &ids));
    write("bias.npy", npy("<f4", "(3,)", &bias));
}

#[tokio::test]
async fn a_model_of_three_inputs_and_two_outputs_gives_an_npz() {
    let mut stack = Stack::start().await;
    stack.start_worker("gpu", &[]);
    stack.start_worker("cpu", &["--backend", "cpu"]);
    let (_, key) = stack.customer().await.unwrap();
    let at = |name: &str| stack.folder().join(name).display().to_string();
    write_files(&stack);

    let output = tokio::process::Command::new(program("tessera"))
        .args(["--url", &stack.url(), "--key", &key, "infer", "--model", &at("model.onnx"), "--tile-rows", "7"])
        .args(["--input", &format!("a={}", at("a.npy")), "--input", &format!("ids={}", at("ids.npy"))])
        .args(["--input", &format!("bias={}", at("bias.npy")), "--output", &at("out.npz")])
        .output()
        .await
        .unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(at("out.npz")).unwrap()).unwrap();
    let mut array = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        let head = String::from_utf8_lossy(&bytes[10..128]).into_owned();
        (head, bytes[128..].to_vec())
    };
    let (head, sums) = array("sum.npy");
    assert!(head.contains("'<f4'") && head.contains("(50, 3,)"), "{head}");
    let expected = (0..ROWS * 3).flat_map(|i| (f32::from(i) + 0.5 + f32::from(i % 3)).to_le_bytes());
    assert_eq!(sums, expected.collect::<Vec<u8>>());
    let (head, twice) = array("twice.npy");
    assert!(head.contains("'<i8'") && head.contains("(50, 2,)"), "{head}");
    assert_eq!(twice, (0..ROWS * 2).flat_map(|i| (-2 * i64::from(i)).to_le_bytes()).collect::<Vec<u8>>());
    stack.check_ledger().await;
}

/// Two pictures against three texts: `scores = pictures · textsᵀ`, and the sum of all scores.
fn towers() -> Vec<u8> {
    let one = |op: &str, input: &str, output: &str| {
        let (input, output) = (vec![input.to_owned()], vec![output.to_owned()]);
        Node { input, output, op_type: op.to_owned(), ..Node::default() }
    };
    let free = |name: &str, shape: &[Option<i64>]| declared(name, FLOAT, shape);
    let graph = Graph {
        node: vec![
            one("Transpose", "texts", "turned"),
            node("MatMul", ["pictures", "turned"], "scores"),
            Node { attribute: vec![keepdims_off()], ..one("ReduceSum", "scores", "sum") },
        ],
        initializer: Vec::new(),
        input: vec![free("pictures", &[None, Some(4)]), free("texts", &[None, Some(4)])],
        output: ["scores", "sum"].map(|name| ValueInfo { name: name.to_owned(), r#type: None }).to_vec(),
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
}

fn keepdims_off() -> Attribute {
    Attribute { name: "keepdims".to_owned(), ..Attribute::default() }
}

/// Sends the towers' job by the command, and looks at what it downloads.
async fn match_pictures_to_texts(stack: &Stack, key: &str) {
    let at = |name: &str| stack.folder().join(name).display().to_string();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(at(name), bytes).unwrap();
    let whole =
        |values: &[u16]| -> Vec<u8> { values.iter().flat_map(|&value| f32::from(value).to_le_bytes()).collect() };
    write("towers.onnx", towers());
    write("pictures.npy", npy("<f4", "(2, 4)", &whole(&[1, 2, 3, 4, 5, 6, 7, 8])));
    write("texts.npy", npy("<f4", "(3, 4)", &whole(&[1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1])));

    let output = tokio::process::Command::new(program("tessera"))
        .args(["--url", &stack.url(), "--key", key, "infer", "--model", &at("towers.onnx")])
        .args([
            "--input",
            &format!("pictures={}", at("pictures.npy")),
            "--input",
            &format!("texts={}", at("texts.npy")),
        ])
        .args(["--output", &at("scores.npz")])
        .output()
        .await
        .unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(at("scores.npz")).unwrap()).unwrap();
    let expected = [("scores.npy", "(2, 3,)", whole(&[1, 2, 10, 5, 6, 26])), ("sum.npy", "()", whole(&[50]))];
    for (name, shape, values) in expected {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        let head = String::from_utf8_lossy(&bytes[10..128]).into_owned();
        assert!(head.contains(&format!("'shape': {shape}")), "{name}: {head}");
        assert_eq!(bytes[128..], values, "{name}");
    }
}

#[tokio::test]
async fn arrays_without_rows_are_computed_as_they_are_by_machines() {
    for arguments in [&[] as &[&str], &["--backend", "cpu"]] {
        let mut stack = Stack::start().await;
        stack.start_worker("only", arguments);
        let (_, key) = stack.customer().await.unwrap();
        match_pictures_to_texts(&stack, &key).await;
        stack.check_ledger().await;
    }
}

#[tokio::test]
async fn arrays_without_rows_are_computed_as_they_are_by_tabs() {
    for (gpu, with) in [(Gpu::Swiftshader, "software"), (Gpu::None, "cpu")] {
        let stack = Stack::start().await;
        let (_, key) = stack.customer().await.unwrap();
        let browser = Browser::start(gpu).await;
        browser.lend(&stack.url(), with).await;
        match_pictures_to_texts(&stack, &key).await;
        stack.check_ledger().await;
        browser.close().await;
    }
}

#[tokio::test]
async fn the_portal_takes_a_file_for_each_input_of_a_model() {
    let mut stack = Stack::start().await;
    stack.start_worker("cpu", &["--backend", "cpu"]);
    write_files(&stack);
    let (client, key) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    let at = |name: &str| stack.folder().join(name);

    browser.choose("#model", &at("model.onnx")).await;
    let several = ["a.npy", "ids.npy"].map(|name| at(name).display().to_string()).join("\n");
    browser.choose("#input", several.as_ref()).await;
    let refused = browser.text_where(".quote", SOON, |text| text.contains("bias")).await;
    assert!(!refused.contains("credits"), "{refused}");
    let several = ["a.npy", "ids.npy", "bias.npy"].map(|name| at(name).display().to_string()).join("\n");
    browser.choose("#input", several.as_ref()).await;
    browser.text_where("#input-state", SOON, |text| text.contains("bias ← bias.npy")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("int64 [2]")).await;
    browser.press("Submit").await;
    browser.text_where("[data-testid=state]", SOON, |state| state == "Done").await;

    let jobs = client.jobs(None).await.unwrap();
    let wire::Program::Infer(wire::Infer { input: None, inputs, .. }) = &jobs.jobs[0].program else {
        panic!("{jobs:?}")
    };
    assert_eq!(inputs.keys().collect::<Vec<_>>(), ["a", "bias", "ids"]);
    browser.close().await;
}
