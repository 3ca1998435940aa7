//! Customers' kernels: checked in place, quoted by their fuel, refused with line and column.

use serde_json::{Value, json};

use crate::app::TestApp;

pub(crate) const KERNEL: &str = "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    for (var i = 0u; i < source[id.x]; i++) { result[id.x] += i; }
}
";

#[tokio::test]
async fn anybody_may_have_a_kernel_checked_and_hears_line_and_column() {
    let app = TestApp::sqlite().await;
    let check = async |kernel: &str| {
        let body = json!({ "kernel": kernel, "record_bytes": 4, "out_bytes": 4, "fuel": 1000 });
        app.send(crate::app::post("/v1/kernels/check", &body)).await.json()
    };

    let good = check(KERNEL).await;
    let bad = check(&KERNEL.replace("i++", "i+")).await;

    assert_eq!((good["loops"].clone(), good["workgroup_size"].clone()), (json!([5]), json!(64)), "{good}");
    assert!(good["ops"].as_u64() > Some(1000));
    assert_eq!(bad["code"], "invalid_kernel", "{bad}");
    assert_eq!(bad["place"]["line"], 5, "{bad}");
    assert!(bad["place"]["column"].as_u64() > Some(1));
}

#[tokio::test]
async fn a_number_that_no_kernel_could_keep_to_is_refused_by_its_own_field() {
    let app = TestApp::sqlite().await;
    for (field, value, expected) in [
        ("fuel", 10_000_001_u32, "422 row_too_heavy fuel"),
        ("record_bytes", 3, "422 malformed_request record_bytes"),
        ("out_bytes", 4_294_967_292, "422 malformed_request out_bytes"),
    ] {
        let mut body = json!({ "kernel": KERNEL, "record_bytes": 4, "out_bytes": 4, "fuel": 1000 });
        body[field] = json!(value);
        let answer = app.send(crate::app::post("/v1/kernels/check", &body)).await;
        assert_eq!(answer.refusal(), expected, "{}", answer.json());
    }
}

#[tokio::test]
async fn a_map_job_is_quoted_by_its_fuel_and_refused_by_field() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let floats = KERNEL.replace("result: array<u32>", "result: array<f32>").replace("+= i", "+= f32(i)");
    let sine = KERNEL.replace("+= i", "+= u32(sin(f32(i)))");
    let params = KERNEL.replace("@compute", "@group(0) @binding(2) var<uniform> params: vec4u;\n@compute");
    let blob = async |bytes: &[u8]| json!(ada.blob(bytes.to_vec()).await);
    let (kernel, floats, sine) =
        (blob(KERNEL.as_bytes()).await, blob(floats.as_bytes()).await, blob(sine.as_bytes()).await);
    let (params, input, five) = (blob(params.as_bytes()).await, blob(&[0; 4000]).await, blob(&[0; 5]).await);
    let base = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
    let with = |changes: Value| {
        let mut program = base.clone();
        changes.as_object().unwrap().iter().for_each(|(field, value)| program[field] = value.clone());
        program
    };
    let quote =
        async |program: Value| ada.post("/v1/quotes", &json!({ "program": program, "privacy": "own" })).await.json();

    let small = quote(with(json!({ "fuel": 100 }))).await;
    let large = quote(with(json!({ "fuel": 100_000 }))).await;

    assert_eq!((small["rows"].clone(), small["checked_by"].clone()), (json!(1000), json!("owner")), "{small}");
    assert!(large["flops"].as_u64() > Some(100 * small["flops"].as_u64().unwrap()), "{large}");
    let few = quote(with(json!({ "fuel": 100, "tile_records": 10 }))).await;
    let heavy = quote(with(json!({ "fuel": 10_000_000 }))).await;
    let tiles = [&small, &few, &heavy].map(|quote| quote["tiles"].as_u64().unwrap());
    assert_eq!(tiles, [16, 100, 1000], "whole workgroups of 64, as few as are wanted, or a moment's work");
    let cases = [
        ("invalid_kernel kernel", with(json!({ "kernel": blob(b"fn main() {").await }))),
        ("invalid_kernel kernel", with(json!({ "kernel": blob(&[0xff, 0xfe]).await }))),
        ("invalid_kernel kernel", with(json!({ "kernel": blob(&vec![b' '; 70_000]).await }))),
        ("malformed_request record_bytes", with(json!({ "record_bytes": 0 }))),
        ("malformed_request record_bytes", with(json!({ "record_bytes": 6 }))),
        ("malformed_request out_bytes", with(json!({ "out_bytes": 4_294_967_292_u32 }))),
        ("invalid_input input", with(json!({ "input": five }))),
        ("invalid_params params", with(json!({ "kernel": params }))),
        ("invalid_params params", with(json!({ "kernel": params, "params": five }))),
        ("invalid_params params", with(json!({ "params": five }))),
        ("invalid_kernel check", with(json!({ "kernel": floats, "check": { "kind": "exact" } }))),
        ("invalid_kernel check", with(json!({ "kernel": sine }))),
        ("invalid_kernel check", with(json!({ "check": { "kind": "tolerance", "rtol": 0.1, "atol": 0.0 } }))),
        ("row_too_heavy fuel", with(json!({ "fuel": 10_000_001 }))),
        ("row_too_heavy kernel", with(json!({ "fuel": 10_000_000, "tile_records": 1000 }))),
        ("invalid_tile_rows tile_records", with(json!({ "tile_records": 0 }))),
        ("unknown_blob kernel", with(json!({ "kernel": "ab".repeat(32) }))),
    ];
    for (expected, program) in cases {
        let refusal = quote(program).await;
        let found = format!(
            "{} {}",
            refusal["code"].as_str().unwrap_or_default(),
            refusal["field"].as_str().unwrap_or_default()
        );
        assert_eq!(found, expected, "{refusal}");
    }
    let malformed = ada
        .post(
            "/v1/quotes",
            &json!({ "program": with(json!({ "check": { "kind": "tolerance", "rtol": -1.0, "atol": 0.0 } })) }),
        )
        .await;
    assert_eq!(malformed.refusal(), "422 malformed_request program.check.rtol");
    let for_strangers = ada.post("/v1/quotes", &json!({ "program": base })).await;
    assert_eq!(for_strangers.refusal(), "422 no_device_fits kernel", "nobody could check it");
}
