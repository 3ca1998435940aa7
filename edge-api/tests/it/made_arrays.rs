//! Files that become arrays over the API, and orders of what they became.

use serde_json::{Value, json};

use crate::app::{Customer, TestApp, sample};
use crate::compile::SMALL;

/// The digits model reads float32 rows of [1, 8, 8].
async fn digits(ada: &Customer<'_>) -> wire::BlobHash {
    ada.blob(sample("digits.onnx")).await
}

fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), values].concat()
}

async fn quote(ada: &Customer<'_>, model: wire::BlobHash, input: &Value) -> Value {
    let program = json!({ "kind": "infer", "model": model, "input": input });
    ada.post("/v1/quotes", &json!({ "program": program })).await.json()
}

#[tokio::test]
async fn a_table_becomes_the_rows_of_an_order() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = digits(&ada).await;
    let line = |first: usize| (first..first + 64).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
    let table = ada.blob(format!("{}\n{}\n", line(1), line(2)).into_bytes()).await;

    let made = ada.post("/v1/arrays", &json!({ "file": table, "model": model })).await;

    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!((&made["kind"], &made["rows"], &made["unchanged"]), (&json!("csv"), &json!(2), &Value::Null), "{made}");
    assert_eq!(made["arrays"][0]["shape"], json!([2, 1, 8, 8]));
    assert_eq!(made["table"], json!({ "header": false, "delimiter": "," }));
    assert_eq!(quote(&ada, model, &made["blob"]["hash"]).await["rows"], 2);
    let path = format!("/v1/blobs/{}", made["blob"]["hash"].as_str().unwrap());
    let bytes = ada.get(&path).await.bytes;
    assert_eq!(u64::try_from(bytes.len()).unwrap(), made["blob"]["size"].as_u64().unwrap());
    assert_eq!(bytes[bytes.len() - 4..], 65f32.to_le_bytes());
}

#[tokio::test]
async fn what_a_job_reads_already_is_answered_as_it_is() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let (model, input) = (digits(&ada).await, ada.blob(sample("digits.npy")).await);

    let made = ada.post("/v1/arrays", &json!({ "file": input, "model": model, "cast": true })).await.json();

    assert_eq!((&made["unchanged"], &made["blob"]["hash"]), (&json!(true), &json!(input)), "{made}");
}

#[tokio::test]
async fn an_order_of_another_type_or_without_rows_axis_says_what_changes_that() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = digits(&ada).await;
    let double = ada.blob(npy("<f8", "(1, 1, 8, 8)", &[0; 512])).await;
    let integer = ada.blob(npy("<i4", "(1, 1, 8, 8)", &[0; 256])).await;
    let single = ada.blob(npy("<f4", "(1, 8, 8)", &[0; 256])).await;

    for (input, says, request) in [
        (double, "--cast", json!({ "cast": true })),
        (integer, "--cast", json!({ "cast": true })),
        (single, "--add-batch", json!({ "add_batch": true })),
    ] {
        let refused = quote(&ada, model, &json!(input)).await;
        assert!(refused["message"].as_str().unwrap().contains(says), "{refused}");
        let mut request = request;
        request["file"] = json!(input);
        request["model"] = json!(model);
        let made = ada.post("/v1/arrays", &request).await.json();
        assert_eq!(quote(&ada, model, &made["blob"]["hash"]).await["rows"], 1, "{made}");
    }
}

#[tokio::test]
async fn an_empty_file_is_refused_when_it_is_uploaded() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;

    let refused = ada.upload(Vec::new()).await;

    assert_eq!(refused.refusal(), "422 invalid_input");
    assert!(refused.json()["message"].as_str().unwrap().starts_with("the file is empty"));
}

#[tokio::test]
async fn a_file_that_is_refused_leaves_nothing_and_names_its_field() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let model = digits(&ada).await;
    let (text, other) = (ada.blob(b"a,b\n1,x\n".to_vec()).await, wire::BlobHash([7; 32]));
    let ask = async |request: Value| ada.post("/v1/arrays", &request).await.refusal();

    assert_eq!(ask(json!({ "file": text, "model": model })).await, "422 input_mismatch table.columns");
    assert_eq!(ask(json!({ "file": other, "model": model })).await, "422 unknown_blob file");
    assert_eq!(ask(json!({ "file": text, "model": other })).await, "422 unknown_blob model");
    assert_eq!(ask(json!({ "file": text, "model": text })).await, "422 invalid_model model");
    assert_eq!(ask(json!({ "file": text, "model": model, "input": "nothing" })).await, "422 input_mismatch input");
    let unknown = json!({ "file": text, "model": model, "table": { "colums": {} } });
    assert!(ask(unknown).await.starts_with("422 malformed_request table"));
    let staged = app.app.blobs.folder().unwrap().join("staging");
    assert!(std::fs::read_dir(staged).is_ok_and(|mut left| left.next().is_none()), "what was made so far is left");
}

#[tokio::test]
async fn arrays_beyond_what_is_stored_are_refused_before_they_are_made() {
    let app = TestApp::sqlite_with(|config| config.blob_bytes_max = 40_000).await;
    let ada = app.customer("Ada").await;
    let model = digits(&ada).await;
    let line = vec!["1"; 64].join(",") + "\n";
    let table = ada.blob(line.repeat(200).into_bytes()).await;

    let refused = ada.post("/v1/arrays", &json!({ "file": table, "model": model })).await;

    assert_eq!(refused.refusal(), "422 too_large file");
    assert!(refused.json()["message"].as_str().unwrap().contains("51200 bytes"), "{}", refused.json());
}

#[tokio::test]
async fn a_file_that_takes_more_memory_than_a_child_has_is_refused_and_the_server_goes_on() {
    let app = TestApp::sqlite_with(|config| config.compile.compile_bytes_max = 200 << 20).await;
    let ada = app.customer("Ada").await;
    let model = digits(&ada).await;
    // A picture of 90 megapixels of one colour, which takes a few bytes in its file.
    let mut picture = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(9000, 9900).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let file = ada.blob(picture.into_inner()).await;

    let refused = ada.post("/v1/arrays", &json!({ "file": file, "model": model })).await;

    assert_eq!(refused.refusal(), "422 too_large file", "{}", refused.json());
    assert!(refused.json()["message"].as_str().unwrap().contains("more than 200 MB"), "{}", refused.json());
    let small = ada.blob(npy("<f8", "(1, 1, 8, 8)", &[0; 512])).await;
    let made = ada.post("/v1/arrays", &json!({ "file": small, "model": model, "cast": true })).await;
    assert_eq!(made.status, 201);
}

#[tokio::test]
async fn arrays_count_among_an_accounts_files_and_those_beyond_its_room_are_not_kept() {
    let model_bytes = u64::try_from(sample("digits.onnx").len()).unwrap();
    let app = TestApp::sqlite_with(|config| config.limits.account_bytes_max = model_bytes + 30_000).await;
    let ada = app.customer("Ada").await;
    let model = digits(&ada).await;
    let line = vec!["1"; 64].join(",") + "\n";
    let table = ada.blob(line.repeat(200).into_bytes()).await;
    let kept = || std::fs::read_dir(app.app.blobs.folder().unwrap().join("blobs")).unwrap().count();
    let before = kept();

    let refused = ada.post("/v1/arrays", &json!({ "file": table, "model": model })).await;

    assert_eq!(refused.refusal(), "507 storage_full", "{}", refused.json());
    assert_eq!(kept(), before, "what is refused is not kept");
}

#[tokio::test]
async fn what_was_stored_empty_before_is_refused_by_name_where_it_is_used() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let (model, rows, empty) = (digits(&ada).await, ada.blob(sample("digits.npy")).await, ada.empty_blob().await);
    let kernel = ada.blob(SMALL.into()).await;
    let infer = |model, input| json!({ "program": { "kind": "infer", "model": model, "input": input } });
    let map = |kernel, input| json!({ "program": { "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 } });

    for (path, request, expected) in [
        ("/v1/models/check", json!({ "model": empty }), "422 invalid_model model"),
        ("/v1/arrays", json!({ "file": empty, "model": model }), "422 invalid_input file"),
        ("/v1/quotes", infer(empty, rows), "422 invalid_model model"),
        ("/v1/quotes", infer(model, empty), "422 invalid_input input"),
        ("/v1/quotes", map(empty, rows), "422 invalid_kernel kernel"),
        ("/v1/quotes", map(kernel, empty), "422 no_rows input"),
    ] {
        assert_eq!(ada.post(path, &request).await.refusal(), expected, "{path} {request}");
    }
}
