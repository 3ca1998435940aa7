//! Jobs of several inputs: matched by name, and refused by name.

use std::io::Write;

use onnx::proto::{Dimension, FLOAT, INT64, Node, Shape, Tensor, TensorType, Type, ValueInfo};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::app::{Customer, TestApp};
use crate::refusals::{model, node};

/// An input as exporters declare it; `None` is a free size.
fn declared(name: &str, elem_type: i32, shape: &[Option<i64>]) -> ValueInfo {
    let dim = shape.iter().map(|&value| Dimension { value }).collect();
    let tensor_type = Some(TensorType { elem_type, shape: Some(Shape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}

fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), values].concat()
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut zip = zip::ZipWriter::new(&mut file);
    for (name, bytes) in arrays {
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    file.into_inner()
}

/// `y = a + b` over rows of three, where `b` counts rows too, unless it is fixed.
async fn add(ada: &Customer<'_>, b: ValueInfo) -> wire::BlobHash {
    add_of(ada, [declared("a", FLOAT, &[None, Some(3)]), b]).await
}

async fn add_of(ada: &Customer<'_>, inputs: [ValueInfo; 2]) -> wire::BlobHash {
    let mut bytes = model(vec![node("Add", &["a", "b"])], &[], vec![]);
    // The helper declares no types; here they matter.
    let mut proto: onnx::proto::Model = prost::Message::decode(bytes.as_slice()).unwrap();
    let graph = proto.graph.as_mut().unwrap();
    graph.input = inputs.to_vec();
    bytes = prost::Message::encode_to_vec(&proto);
    ada.blob(bytes).await
}

/// Exported for four rows at once, which it keeps apart.
fn of_four_rows() -> Vec<u8> {
    let named = |output: &str, node: Node| Node { output: vec![output.to_owned()], ..node };
    let nodes = vec![
        named("flat", node("Reshape", &["x", "long"])),
        named("twice", node("MatMul", &["flat", "two"])),
        node("Reshape", &["twice", "back"]),
    ];
    let shape = |name: &str, sizes: [i64; 2]| Tensor {
        dims: vec![2],
        data_type: INT64,
        int64_data: sizes.to_vec(),
        name: name.to_owned(),
        ..Tensor::default()
    };
    let (dims, float_data, name) = (vec![1, 1], vec![2.0], "two".to_owned());
    let two = Tensor { dims, data_type: FLOAT, float_data, name, ..Tensor::default() };
    let constants = vec![shape("long", [12, 1]), two, shape("back", [4, 3])];
    let mut proto: onnx::proto::Model = prost::Message::decode(model(nodes, &["x"], constants).as_slice()).unwrap();
    proto.graph.as_mut().unwrap().input = vec![declared("x", FLOAT, &[Some(4), Some(3)])];
    prost::Message::encode_to_vec(&proto)
}

fn rows(count: usize) -> Vec<u8> {
    npy("<f4", &format!("({count}, 3)"), &vec![0; count * 12])
}

async fn quote(ada: &Customer<'_>, program: Value) -> Value {
    let answer = ada.post("/v1/quotes", &json!({ "program": program })).await;
    answer.json()
}

#[tokio::test]
async fn arrays_are_fed_by_name_from_one_npz_or_from_a_file_each() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = add(&ada, declared("b", FLOAT, &[None, Some(3)])).await;
    let both = ada.blob(npz(&[("b", rows(4)), ("a", rows(4))])).await;
    let (a, b) = (ada.blob(rows(4)).await, ada.blob(rows(4)).await);

    for program in [
        json!({ "kind": "infer", "model": model, "input": both }),
        json!({ "kind": "infer", "model": model, "inputs": { "a": a, "b": b } }),
    ] {
        let quote = quote(&ada, program).await;
        let names: Vec<&str> =
            quote["inputs"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!((names, quote["rows"].as_u64()), (vec!["a", "b"], Some(4)), "{quote}");
        assert!(quote["peak_bytes"].as_u64() > Some(0));
    }
}

#[tokio::test]
async fn an_input_whose_size_the_model_fixes_is_shared_by_all_rows() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = add(&ada, declared("b", FLOAT, &[Some(3)])).await;
    let input = ada.blob(npz(&[("a", rows(4)), ("b", npy("<f4", "(3,)", &[0; 12]))])).await;

    let quote = quote(&ada, json!({ "kind": "infer", "model": model, "input": input })).await;

    let shared: Vec<Option<bool>> =
        quote["inputs"].as_array().unwrap().iter().map(|field| field["shared"].as_bool()).collect();
    assert_eq!(shared, [None, Some(true)], "{quote}");
}

#[tokio::test]
async fn inputs_that_fix_the_same_batch_have_rows_and_one_that_fixes_another_size_has_none() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let four = |name: &str| declared(name, FLOAT, &[Some(4), Some(3)]);
    let (same, other) =
        (add_of(&ada, [four("a"), four("b")]).await, add_of(&ada, [four("a"), declared("b", FLOAT, &[Some(3)])]).await);
    let (eight, three) = (ada.blob(rows(8)).await, ada.blob(npy("<f4", "(3,)", &[0; 12])).await);

    let both = quote(&ada, json!({ "kind": "infer", "model": same, "inputs": { "a": eight, "b": eight } })).await;
    let one = quote(&ada, json!({ "kind": "infer", "model": other, "inputs": { "a": eight, "b": three } })).await;

    for (found, shared) in [(both, false), (one, true)] {
        assert_eq!((&found["rows"], &found["outputs"][0]["shape"]), (&json!(8), &json!([3])), "{found}");
        assert_eq!(found["inputs"][1]["shared"].as_bool().unwrap_or_default(), shared, "{found}");
    }
}

#[tokio::test]
async fn arrays_whose_rows_belong_together_are_one_row_as_they_are() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let wider = add(&ada, declared("b", FLOAT, &[None, None, Some(3)])).await;
    let (a, b) = (ada.blob(rows(4)).await, ada.blob(npy("<f4", "(2, 1, 3)", &[0; 24])).await);
    let program = json!({ "kind": "infer", "model": wider, "inputs": { "a": a, "b": b } });

    let found = quote(&ada, program).await;

    assert_eq!((found["rows"].as_u64(), found["tiles"].as_u64()), (Some(1), Some(1)), "{found}");
    let output = &found["outputs"][0];
    assert_eq!((&output["shape"], &output["whole"]), (&json!([2, 4, 3]), &json!(true)), "{found}");
}

#[tokio::test]
async fn a_model_that_is_computed_whole_passes_its_check() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    // Each of its three rows is multiplied by other factors.
    let factors = Tensor {
        dims: vec![3, 2],
        data_type: FLOAT,
        float_data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        name: "factors".to_owned(),
        ..Tensor::default()
    };
    let bytes = model(vec![node("Mul", &["x", "factors"])], &["x"], vec![factors]);
    let mut proto: onnx::proto::Model = prost::Message::decode(bytes.as_slice()).unwrap();
    proto.graph.as_mut().unwrap().input = vec![declared("x", FLOAT, &[Some(3), Some(2)])];
    let model = ada.blob(prost::Message::encode_to_vec(&proto)).await;
    let input = ada.blob(npy("<f4", "(3, 2)", &[0; 24])).await;

    let found = quote(&ada, json!({ "kind": "infer", "model": model, "input": input })).await;
    let checked = ada.post("/v1/models/check", &json!({ "model": model })).await.json();

    assert_eq!(found["rows"], json!(1), "{found}");
    let plan = &checked["plan"];
    assert_eq!((&plan["outputs"], &plan["mixes_rows"]), (&found["outputs"], &json!(true)), "{checked}");
    assert_eq!(plan["outputs"][0]["shape"], json!([3, 2]), "{checked}");
}

#[tokio::test]
async fn a_model_of_a_fixed_batch_charges_for_the_rows_that_fill_its_last_turn() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = ada.blob(of_four_rows()).await;
    let work = async |count: usize| {
        let input = ada.blob(rows(count)).await;
        let found = quote(&ada, json!({ "kind": "infer", "model": model, "input": input })).await;
        assert_eq!((found["rows"].as_u64(), found["outputs"][0]["shape"].clone()), (Some(count as u64), json!([3])));
        found["flops"].as_u64().unwrap()
    };

    let four = work(4).await;

    assert_eq!(work(8).await, 2 * four);
    assert_eq!(work(1).await, four, "a turn that is not full costs as much");
}

#[tokio::test]
async fn arrays_that_do_not_fit_are_refused_by_name() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = add(&ada, declared("b", FLOAT, &[None, Some(3)])).await;
    let ints = add(&ada, declared("b", INT64, &[None, Some(3)])).await;
    let long = (1u64 << 40).to_le_bytes().repeat(12);
    let mut packed = std::io::Cursor::new(Vec::new());
    let mut zip = zip::ZipWriter::new(&mut packed);
    zip.start_file("notes.txt", SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored))
        .unwrap();
    zip.finish().unwrap();
    let file = async |bytes: Vec<u8>| json!(ada.blob(bytes).await);
    let (four, five) = (file(rows(4)).await, file(rows(5)).await);
    let cases = [
        ("input_mismatch inputs", "'b' is missing", json!({ "model": model, "inputs": { "a": four } })),
        (
            "input_mismatch inputs",
            "no input 'c'",
            json!({ "model": model, "inputs": { "a": four, "b": four, "c": four } }),
        ),
        ("input_mismatch inputs.b", "same number", json!({ "model": model, "inputs": { "a": four, "b": five } })),
        ("input_mismatch inputs.b", "astype('int64')", json!({ "model": ints, "inputs": { "a": four, "b": four } })),
        (
            "invalid_input inputs.b",
            "fit 32 bits",
            json!({ "model": ints, "inputs": { "a": four, "b": file(npy("<i8", "(4, 3)", &long)).await } }),
        ),
        ("invalid_input inputs", "not both", json!({ "model": model, "input": four, "inputs": { "a": four } })),
        ("invalid_input input", "send the rows", json!({ "model": model })),
        ("input_mismatch input", "a, b", json!({ "model": model, "input": four })),
        (
            "input_mismatch input",
            "'b' is missing",
            json!({ "model": model, "input": file(npz(&[("a", rows(4))])).await }),
        ),
        ("invalid_input input", "no .npy", json!({ "model": model, "input": file(packed.into_inner()).await })),
        ("invalid_input input", "not a .npz", json!({ "model": model, "input": file(b"PK\x03\x04".to_vec()).await })),
        (
            "invalid_input input",
            "not a .npy",
            json!({ "model": model, "input": file(npz(&[("a", b"no".to_vec())])).await }),
        ),
        ("no_rows inputs.a", "no rows", json!({ "model": model, "inputs": { "a": file(rows(0)).await, "b": four } })),
        (
            "unknown_blob inputs.a",
            "no such blob",
            json!({ "model": model, "inputs": { "a": "ab".repeat(32), "b": four } }),
        ),
    ];
    for (expected, says, mut program) in cases {
        program["kind"] = json!("infer");
        let refusal = quote(&ada, program).await;

        let found = format!(
            "{} {}",
            refusal["code"].as_str().unwrap_or_default(),
            refusal["field"].as_str().unwrap_or_default()
        );
        assert_eq!(found, expected, "{refusal}");
        assert!(refusal["message"].as_str().unwrap().contains(says), "{says}: {refusal}");
    }
}
