//! Strangers' text is compiled apart: what it takes is taken from a process that can go.

use std::time::{Duration, Instant};

use onnx::proto::{INT64, Node, Tensor};
use serde_json::{Value, json};

use crate::app::{Answer, Customer, TestApp, post, sample};
use crate::refusals::{model, node};
use crate::until::until;

/// naga multiplies constants out: this one is two billion bytes.
const HUGE: &str = "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
const huge = -array<i32, 536870911>();
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = u32(huge[0]) + source[id.x]; }
";
pub(crate) const SMALL: &str = "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = source[id.x]; }
";

async fn check(app: &TestApp, kernel: &str) -> Answer {
    app.send(post("/v1/kernels/check", &json!({ "kernel": kernel, "record_bytes": 4, "out_bytes": 4 }))).await
}

async fn quote(ada: &Customer<'_>, model: Vec<u8>) -> Answer {
    let (model, input) = (ada.blob(model).await, ada.blob(sample("digits.npy")).await);
    ada.post("/v1/quotes", &json!({ "program": { "kind": "infer", "model": model, "input": input } })).await
}

/// The largest that this process has ever been, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_kernel_that_takes_gigabytes_to_compile_is_refused_and_the_server_goes_on() {
    let app = TestApp::sqlite().await;
    let before = peak_kib();

    let refused = check(&app, HUGE).await;

    assert_eq!(refused.refusal(), "422 invalid_kernel kernel");
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("takes more than 1024 MB or 30 seconds to compile here"), "{message}");
    assert!(peak_kib() < before + (512 << 10), "the server took {} KiB", peak_kib() - before);
    assert_eq!(check(&app, SMALL).await.json()["workgroup_size"], 64, "another child takes over");
}

#[tokio::test]
async fn an_order_with_such_a_kernel_is_refused_by_field() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let (kernel, input) = (ada.blob(HUGE.into()).await, ada.blob(vec![0; 400]).await);
    let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });

    let refused = ada.submit(&json!({ "program": program, "name": "Huge" }), "a").await;

    assert_eq!(refused.refusal(), "422 invalid_kernel kernel");
    assert_eq!(ada.held().await, 0);
}

#[tokio::test]
async fn a_model_that_takes_more_memory_than_a_child_has_is_refused() {
    let app = TestApp::sqlite_with(|config| config.compile.compile_bytes_max = 16 << 20).await;
    let ada = app.customer("Ada").await;

    let refused = quote(&ada, sample("digits.onnx")).await.json();

    assert_eq!((refused["code"].clone(), refused["field"].clone()), (json!("invalid_model"), json!("model")));
    assert!(refused["message"].as_str().unwrap().contains("takes more than 16 MB"), "{refused}");
}

/// A few bytes of a model that are a gigabyte of constants once they are planned.
#[tokio::test]
async fn a_small_model_that_grows_when_it_is_planned_grows_in_a_child() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let size = Tensor {
        dims: vec![1],
        data_type: INT64,
        int64_data: vec![1 << 28],
        name: "s".to_owned(),
        ..Tensor::default()
    };
    let ones = Node { output: vec!["c".to_owned()], ..node("ConstantOfShape", &["s"]) };
    let square = Node { output: vec!["d".to_owned()], ..node("Mul", &["c", "c"]) };
    let mean = Node { output: vec!["m".to_owned()], ..node("ReduceMean", &["d"]) };
    let model = model(vec![ones, square, mean, node("Add", &["x", "m"])], &["x"], vec![size]);
    let before = peak_kib();

    let answer = quote(&ada, model).await;

    assert!(answer.status.is_success() || answer.status.as_u16() == 422, "{}", answer.refusal());
    assert!(peak_kib() < before + (512 << 10), "the server took {} KiB", peak_kib() - before);
}

fn script(folder: &std::path::Path, text: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("compiler");
    std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// A child that never answers.
fn sleeper(folder: &std::path::Path) -> std::path::PathBuf {
    script(folder, "exec sleep 600")
}

/// Short of memory, a system kills whom it finds.
#[tokio::test]
async fn a_child_that_was_killed_while_nobody_asked_it_is_nobodys_refusal() {
    let folder = tempfile::TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("echo $$ >> {}\nexec {} \"$@\"", pids.display(), env!("CARGO_BIN_EXE_edge-api"));
    let program = script(folder.path(), &text);
    let app = TestApp::sqlite_with(|config| config.compile.compiler = Some(program)).await;
    let ada = app.customer("Ada").await;
    assert!(quote(&ada, sample("digits.onnx")).await.status.is_success());
    assert!(check(&app, SMALL).await.status.is_success());
    let pids: Vec<String> = std::fs::read_to_string(pids).unwrap().lines().map(str::to_owned).collect();
    assert!(pids.len() >= 2, "the model's and the kernels': {pids:?}");

    for pid in &pids {
        assert!(std::process::Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
        until("it is dead", Duration::from_secs(10), async || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        })
        .await;
    }

    let answer = quote(&ada, sample("digits.onnx")).await;
    assert!(answer.status.is_success(), "{}", answer.refusal());
    assert_eq!(check(&app, SMALL).await.json()["workgroup_size"], 64);
}

#[tokio::test]
async fn a_child_that_does_not_answer_in_time_is_stopped() {
    let folder = tempfile::TempDir::new().unwrap();
    let program = sleeper(folder.path());
    let app = TestApp::sqlite_with(|config| {
        config.compile.compiler = Some(program);
        config.compile.compile_seconds = 1;
    })
    .await;
    let begun = Instant::now();

    let refused = check(&app, SMALL).await;

    assert_eq!(refused.refusal(), "422 invalid_kernel kernel");
    assert!(refused.json()["message"].as_str().unwrap().contains("or 1 seconds"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_missing_compiler_is_the_servers_fault() {
    let app = TestApp::sqlite_with(|config| config.compile.compiler = Some("/nowhere".into())).await;

    assert_eq!(check(&app, SMALL).await.refusal(), "500 internal");
}

#[tokio::test]
async fn whoever_leaves_in_the_middle_leaves_no_half_read_answer_to_the_next() {
    let app = TestApp::sqlite().await;
    for _ in 0..20 {
        let left = tokio::time::timeout(Duration::from_millis(3), check(&app, SMALL)).await;
        drop(left);
        assert_eq!(check(&app, SMALL).await.json()["workgroup_size"], 64);
    }
}

#[tokio::test]
async fn children_serve_one_model_after_another_and_many_at_once() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let other = [sample("digits.onnx"), Vec::new()].concat();

    let (first, second, kernel) =
        tokio::join!(quote(&ada, sample("digits.onnx")), quote(&ada, other), check(&app, SMALL));

    let rows = |answer: &Answer| answer.json()["rows"].clone();
    assert_eq!((rows(&first), rows(&second)), (json!(1797), json!(1797)));
    assert_eq!(kernel.json()["workgroup_size"], 64);
    assert_eq!(quote(&ada, b"no model".to_vec()).await.refusal(), "422 invalid_model model");
    let again: Value = quote(&ada, sample("digits.onnx")).await.json();
    assert_eq!(again["rows"], 1797);
}
