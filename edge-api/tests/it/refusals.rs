//! Bad input: each is refused by name and field before money is held.

use axum::body::Body;
use axum::http::Request;
use edge_api::server::Patience;
use onnx::proto::{FLOAT, Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use prost::Message;
use serde_json::{Value, json};

use crate::app::{Customer, TestApp, sample};
use crate::device::Device;

pub(crate) fn npy(descr: &str, fortran: &str, shape: &str, values: usize) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), &vec![0; 4 * values]].concat()
}

pub(crate) fn named(name: &str) -> ValueInfo {
    ValueInfo { name: name.to_owned(), r#type: None }
}

pub(crate) fn model(nodes: Vec<Node>, inputs: &[&str], initializer: Vec<Tensor>) -> Vec<u8> {
    let graph = Graph {
        node: nodes,
        initializer,
        input: inputs.iter().map(|name| named(name)).collect(),
        output: vec![named("y")],
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
}

pub(crate) fn node(op: &str, inputs: &[&str]) -> Node {
    Node {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec!["y".to_owned()],
        op_type: op.to_owned(),
        ..Node::default()
    }
}

/// The refusal expected of a model, an input and a number of rows a tile.
type Case = (&'static str, Vec<u8>, Vec<u8>, Option<u32>);

async fn quote(ada: &Customer<'_>, model: Vec<u8>, input: Vec<u8>, tile_rows: Option<u32>) -> (String, Value) {
    let (model, input) = (ada.blob(model).await, ada.blob(input).await);
    let mut program = json!({ "kind": "infer", "model": model, "input": input });
    if let Some(tile_rows) = tile_rows {
        program["tile_rows"] = json!(tile_rows);
    }
    let answer = ada.post("/v1/quotes", &json!({ "program": program })).await;
    (answer.refusal(), answer.json())
}

#[tokio::test]
async fn each_bad_input_is_refused_by_name_and_field() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let (digits, rows) = (|| sample("digits.onnx"), || sample("digits.npy"));
    let two_rows = || npy("<f4", "False", "(2, 3)", 6);
    let heavy = || {
        let weights = |dims: &[i64]| Tensor {
            dims: dims.to_vec(),
            data_type: FLOAT,
            float_data: vec![0.0; 60_000],
            name: "w".to_owned(),
            ..Tensor::default()
        };
        model(vec![node("Add", &["x", "w"])], &["x"], vec![weights(&[1, 60_000, 1])])
    };
    let mixing = || model(vec![Node { attribute: vec![], ..node("Transpose", &["x"]) }], &["x"], vec![]);
    let cases: Vec<Case> = vec![
        ("422 row_too_heavy model", heavy(), npy("<f4", "False", "(1, 300, 1, 1)", 300), None),
        ("422 invalid_model model", b"hello".to_vec(), rows(), None),
        ("422 unsupported_operator model", model(vec![node("NonZero", &["x"])], &["x"], vec![]), rows(), None),
        ("422 input_mismatch input", model(vec![node("Add", &["x", "z"])], &["x", "z"], vec![]), rows(), None),
        ("422 invalid_model model", mixing(), two_rows(), Some(1)),
        ("422 invalid_model model", heavy(), npy("<f4", "False", "(1, 60000)", 60_000), None),
        ("422 invalid_input input", digits(), npy("<f4", "False", "(2, 0)", 0), None),
        ("422 invalid_input input", digits(), b"not an array".to_vec(), None),
        ("422 invalid_input input", digits(), npy(">f4", "False", "(2, 1, 8, 8)", 128), None),
        ("422 invalid_input input", digits(), npy("<f8", "False", "(2, 1, 8, 8)", 256), None),
        ("422 invalid_input input", digits(), npy("|O", "False", "(2, 1, 8, 8)", 128), None),
        ("422 invalid_input input", digits(), npy("<f4", "True", "(2, 1, 8, 8)", 128), None),
        ("422 invalid_input input", digits(), npy("<f4", "False", "(2, 1, 8, 8)", 127), None),
        ("422 invalid_input input", digits(), npy("<f4", "False", "(4294967296, 4294967296, 8, 8)", 0), None),
        ("422 no_rows input", digits(), npy("<f4", "False", "(0, 1, 8, 8)", 0), None),
        ("422 input_mismatch input", digits(), npy("<f4", "False", "(2, 3, 8, 8)", 384), None),
        ("422 input_mismatch input", digits(), npy("<f4", "False", "(2, 64)", 128), None),
        ("422 invalid_tile_rows tile_rows", digits(), rows(), Some(0)),
        ("422 invalid_tile_rows tile_rows", digits(), rows(), Some(1798)),
    ];

    for (expected, model, input, tile_rows) in cases {
        let (refusal, body) = quote(&ada, model, input, tile_rows).await;
        assert_eq!(refusal, expected, "{body}");
        assert!(body["message"].as_str().unwrap().len() > 20, "{body}");
    }
    assert_eq!(ada.upload(Vec::new()).await.refusal(), "422 invalid_input", "an empty file is not even stored");
    assert_eq!(ada.held().await, 0);
}

#[tokio::test]
async fn an_unsupported_operator_is_named_with_those_we_have() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;

    let (_, body) = quote(&ada, model(vec![node("Fancy", &["x"])], &["x"], vec![]), sample("digits.npy"), None).await;

    let message = body["message"].as_str().unwrap();
    assert!(message.contains("operator Fancy") && message.contains("AveragePool, BatchNormalization"), "{message}");
}

#[tokio::test]
async fn a_shape_that_does_not_fit_is_told_with_both_shapes() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;

    let (_, body) = quote(&ada, sample("digits.onnx"), npy("<f4", "False", "(2, 3, 8, 8)", 384), None).await;

    let message = body["message"].as_str().unwrap();
    assert!(message.contains("[1, 8, 8]") && message.contains("[3, 8, 8]"), "{message}");
}

#[tokio::test]
async fn what_is_not_there_or_not_ones_own_is_not_found() {
    let app = TestApp::sqlite().await;
    let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
    let job = ada.submit(&ada.digits().await, "a").await.json();
    let (id, unknown) = (job["id"].as_str().unwrap(), "01a204cd-e905-7e4a-a5ab-abea1bf0e30f");

    for path in
        [format!("/v1/jobs/{id}"), format!("/v1/jobs/{unknown}"), "/v1/jobs/42".to_owned(), "/v1/nothing".to_owned()]
    {
        assert_eq!(bob.get(&path).await.refusal(), "404 not_found", "{path}");
    }
    let foreign = json!({ "program": job["program"] });
    assert_eq!(bob.post("/v1/quotes", &foreign).await.refusal(), "422 unknown_blob model");
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;

    assert_eq!(
        ada.post("/v1/jobs", &json!({ "program": { "kind": "dance" } })).await.refusal(),
        "422 malformed_request program.kind"
    );
    let mut long = ada.digits().await;
    long["name"] = json!("x".repeat(129));
    assert_eq!(ada.submit(&long, "a").await.refusal(), "422 malformed_request name");
    long["name"] = json!("fine");
    assert_eq!(ada.submit(&long, &"k".repeat(129)).await.refusal(), "422 malformed_request idempotency-key");
    assert_eq!(ada.submit(&long, "a  b").await.refusal(), "422 malformed_request idempotency-key");
}

#[tokio::test]
async fn a_field_or_a_parameter_that_there_is_none_of_is_refused_by_name() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;

    let mut order = ada.digits().await;
    order["privcy"] = json!("own");
    assert_eq!(ada.post("/v1/jobs", &order).await.refusal(), "422 malformed_request privcy");
    let mut order = ada.digits().await;
    order["program"]["tile_row"] = json!(4);
    assert_eq!(ada.post("/v1/quotes", &order).await.refusal(), "422 malformed_request name");
    order.as_object_mut().unwrap().remove("name");
    assert_eq!(ada.post("/v1/quotes", &order).await.refusal(), "422 malformed_request program.tile_row");
    for (path, expected) in [
        ("/v1/jobs?sate=done", "400 malformed_request sate"),
        ("/v1/jobs?limit=ten", "400 malformed_request limit"),
        ("/v1/jobs?limit=0", "422 malformed_request limit"),
        ("/v1/jobs?limit=101", "422 malformed_request limit"),
        ("/v1/account/entries?limit=201", "422 malformed_request limit"),
        ("/v1/public/devices?online=yes", "422 malformed_request online"),
        ("/v1/public/receipts?limit=501", "422 malformed_request limit"),
        ("/v1/public/receipts?class=tab", "400 malformed_request class"),
        ("/v1/public/overview?range=1y", "422 malformed_request range"),
    ] {
        let answer = ada.get(path).await;
        assert_eq!(answer.refusal(), expected, "{path}: {}", answer.json());
    }
    for path in ["/v1/jobs?limit=100", "/v1/public/devices?class=&online=1", "/v1/public/receipts?limit=500"] {
        assert_eq!(ada.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_refused_in_the_one_shape() {
    let app = TestApp::sqlite().await;

    let answer = app.send(Request::delete("/v1/jobs").body(Body::empty()).unwrap()).await;

    assert_eq!(answer.refusal(), "405 method_not_allowed");
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}

#[tokio::test]
async fn what_opens_no_socket_is_refused_in_the_one_shape() {
    let app = TestApp::sqlite().await;

    let answer = app.get("/v1/devices/socket").await;

    assert_eq!(answer.refusal(), "400 malformed_request");
    assert!(answer.json()["message"].as_str().unwrap().contains("WebSocket"));
}

#[tokio::test]
async fn nan_and_infinity_in_data_are_data() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let mut input = npy("<f4", "False", "(2, 1, 8, 8)", 128);
    let at = input.len() - 8;
    input[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    input[at + 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let (model, input) = (ada.blob(sample("digits.onnx")).await, ada.blob(input).await);

    let quote =
        ada.post("/v1/quotes", &json!({ "program": { "kind": "infer", "model": model, "input": input } })).await.json();

    assert_eq!(quote["rows"].as_i64(), Some(2));
}

/// An order for a model of fifteen outputs, each with a name of so many characters and two more.
async fn with_names_of(ada: &Customer<'_>, chars: usize) -> Value {
    let names: Vec<String> = (10..25).map(|n| format!("{n}{}", "y".repeat(chars))).collect();
    let nodes = names.iter().map(|name| Node { output: vec![name.clone()], ..node("Relu", &["x"]) }).collect();
    let mut proto = Model::decode(model(nodes, &["x"], vec![]).as_slice()).unwrap();
    proto.graph.as_mut().unwrap().output = names.iter().map(|name| named(name)).collect();
    let model = ada.blob(proto.encode_to_vec()).await;
    let input = ada.blob(npy("<f4", "False", "(8, 3)", 24)).await;
    json!({ "program": { "kind": "infer", "model": model, "input": input }, "privacy": "own" })
}

#[tokio::test]
async fn names_that_make_a_lease_too_long_are_refused_and_the_longest_that_are_not_go_through() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let (mut fits, mut too_long) = (10, 1_000);
    while too_long - fits > 1 {
        let chars = usize::midpoint(fits, too_long);
        let quote = ada.post("/v1/quotes", &with_names_of(&ada, chars).await).await;
        let bound = if quote.status == 200 { &mut fits } else { &mut too_long };
        *bound = chars;
    }

    let mut refused = with_names_of(&ada, too_long).await;
    let quote = ada.post("/v1/quotes", &refused).await;
    assert_eq!(quote.refusal(), "422 too_large model");
    let message = quote.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("shorter names") && message.contains("at most 16384"), "{message}");
    assert_eq!(
        ada.post("/v1/trials", &json!({ "program": refused["program"] })).await.refusal(),
        "422 too_large model"
    );
    refused["name"] = json!("Too long");
    assert_eq!(ada.submit(&refused, "a").await.refusal(), "422 too_large model");
    assert_eq!(ada.held().await, 0);

    let address = app.listen(Patience::default()).await;
    let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    let mut longest = with_names_of(&ada, fits).await;
    longest["name"] = json!("Long");
    let job = ada.submit(&longest, "b").await.json();
    let lease = device.take_lease().await;
    assert!(lease.token.len() > 16_000, "{} bytes", lease.token.len());
    assert_eq!(app.get(&format!("/v1/leases/{}/input", lease.token)).await.status, 200);
    device.commit_zeros(&app, &lease).await;
    assert_eq!(device.settled().await, lease.lease);
    let id = job["id"].as_str().unwrap();
    assert!(ada.get(&format!("/v1/jobs/{id}")).await.json()["verified_tiles"].as_u64() > Some(0));
}

/// The variants of an enum as serde names them, out of a file's text.
fn reasons(file: &str, name: &str) -> Vec<String> {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join(file)).unwrap();
    let body = text.split(&format!("pub enum {name} {{")).nth(1).unwrap().split("\n}\n").next().unwrap();
    let mut found = Vec::new();
    let mut renamed = None;
    for line in body.lines().filter_map(|line| line.strip_prefix("    ")) {
        if let Some(rest) = line.strip_prefix("#[serde(rename = \"") {
            renamed = rest.split('"').next();
        }
        if line.starts_with(char::is_uppercase) {
            let variant: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            let snake = variant.chars().enumerate().fold(String::new(), |mut snake, (i, c)| {
                if c.is_uppercase() && i > 0 {
                    snake.push('_');
                }
                snake.push(c.to_ascii_lowercase());
                snake
            });
            found.push(renamed.take().map_or(snake, str::to_owned));
        }
    }
    assert!(!found.is_empty(), "{file}");
    found
}

#[test]
fn every_reason_of_a_refusal_is_said_in_chinese() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let read = |file: &str| std::fs::read_to_string(std::path::Path::new(&folder).join(file)).unwrap();
    let table = read("../web/src/text/reasons.rs");
    // What these say is said by whoever found it, below.
    let others = ["unsupported_operator", "invalid_model", "model_input", "invalid_kernel", "unreadable_array"];
    let mut all = reasons("rules/src/admission/error.rs", "AdmitError");
    all.retain(|reason| !others.contains(&reason.as_str()));
    all.extend(reasons("../gpu-kernels/onnx/src/error.rs", "ModelError"));
    all.extend(reasons("src/arrays/npy.rs", "NpyError"));
    all.extend(reasons("src/arrays/npz.rs", "NpzError"));
    all.extend(reasons("src/convert/error.rs", "ConvertError"));
    all.retain(|reason| reason != "fetch");
    all.extend(reasons("src/convert/error.rs", "ConvertError"));
    // What these say is said by whoever reads arrays, or to nobody.
    all.retain(|reason| !["array_fault", "fetch"].contains(&reason.as_str()));
    let gate = read("../gpu-kernels/gate/src/reason.rs");
    let codes = gate.split("const MESSAGES").nth(1).unwrap().split("\n];").next().unwrap().split("(\"").skip(1);
    all.extend(codes.filter_map(|rest| rest.split('"').next()).map(str::to_owned));

    let missing: Vec<String> = all.into_iter().filter(|reason| !table.contains(&format!("\"{reason}\","))).collect();

    assert!(missing.is_empty(), "web/src/text/reasons.rs lacks {missing:?}");
}

#[tokio::test]
async fn a_refusal_says_what_it_names_apart_from_its_words() {
    let app = TestApp::sqlite().await;
    let check = async |source: &str| {
        let customer = app.customer("Ada").await;
        let request = serde_json::json!({ "kernel": source, "record_bytes": 4, "out_bytes": 4, "fuel": 100 });
        customer.post("/v1/kernels/check", &request).await.json()
    };

    let refused = check("fn main() { let x = foo; }").await;

    assert_eq!(refused["code"], "invalid_kernel", "{refused}");
    assert_eq!(refused["detail"]["reason"], "unknown_identifier");
    assert_eq!(refused["detail"]["arguments"]["name"], "foo");
    assert_eq!(refused["place"]["line"], 1);
}
