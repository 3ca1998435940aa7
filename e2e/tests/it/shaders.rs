//! A browser's compiler of shaders is stricter than ours.

use e2e::browser::{Browser, Gpu};
use e2e::stack::Stack;
use e2e::until::until;
use std::time::Duration;

use crate::all_kernels::all_kernels;

/// What the compiler says of each text, joined; empty where it says nothing.
const COMPILE: &str = "window.said = null; const [texts] = arguments; (async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter.requestDevice();
    const said = [];
    for (const code of texts) {
        const module = device.createShaderModule({ code });
        const info = await module.getCompilationInfo();
        const errors = info.messages.filter((message) => message.type === 'error');
        said.push(errors.map((message) => `${message.lineNum}: ${message.message}`).join('; '));
    }
    return said;
})().then((said) => { window.said = said; }, (error) => { window.said = [String(error)]; });";

async fn compile(texts: Vec<String>) -> Vec<serde_json::Value> {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    // An origin is all that it needs.
    browser.page.goto(&stack.url()).await.unwrap();
    browser.page.execute(COMPILE, vec![texts.into()]).await.unwrap();
    let said = until("the compiler", Duration::from_mins(5), async || {
        browser.script("return window.said").await.as_array().cloned()
    })
    .await;
    browser.close().await;
    said
}

#[tokio::test]
async fn every_shader_compiles_in_chromium() {
    let kernels = all_kernels();

    let said = compile(kernels.iter().map(gpu_kernels::kernels::Kernel::shader).collect()).await;

    assert_eq!(said.len(), kernels.len(), "{said:?}");
    let refused: Vec<_> = kernels.iter().zip(&said).filter(|(_, said)| *said != "").collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// Kernels near what the gate refuses: long chains, deep nests, numbers at their ends.
fn extreme_bodies() -> Vec<String> {
    let nest = |open: &str, times: usize| format!("{}{}", open.repeat(times), "}".repeat(times));
    let around = |open: &str, times: usize| format!("{}x{}", open.repeat(times), ")".repeat(times));
    let mut bodies = vec![
        format!("result[id.x] = x{};", "+x".repeat(3000)),
        format!("result[id.x] = {};", around("abs(", 120)),
        format!("result[id.x] = {}x;", "~".repeat(3000)),
        format!("var a = array<u32, 4>(); result[id.x] = {}0{};", "a[".repeat(100), "]".repeat(100)),
        format!("let v = vec2u(x); result[id.x] = v{}.x;", ".xy".repeat(3000)),
        format!("if x > 0{} {{ result[id.x] = 1u; }}", "&&x>0".repeat(500)),
        nest("if x > 1u {", 58),
        nest("loop { break; ", 29),
        nest("switch x { default: {", 29).replace('}', "}}"),
    ];
    let values = [f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), 0.0, -0.0, 0.1, 16_777_217.0, 1e-20, 1e20];
    bodies.extend(values.map(|value| format!("result[id.x] = bitcast<u32>(f32(x) + {:e}f);", f64::from(value))));
    bodies.push("result[id.x] = bitcast<u32>(i32(x) + i32(-2147483648)) + 4294967295u;".to_owned());
    bodies
}

#[tokio::test]
async fn what_the_gate_writes_compiles_in_chromium() {
    let contract = gate::Contract { record_bytes: 4, out_bytes: 4, fuel: Some(1000) };
    let bodies = extreme_bodies();
    let admitted = bodies.iter().map(|body| {
        let source = format!(
            "@group(0) @binding(0) var<storage, read> source: array<u32>;
            @group(0) @binding(1) var<storage, read_write> result: array<u32>;
            @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
            let x = source[id.x]; {body} }}"
        );
        gate::admit(&source, contract).unwrap_or_else(|error| panic!("{error}: {body:.60}")).kernel.wgsl
    });

    let said = compile(admitted.collect()).await;

    assert_eq!(said.len(), bodies.len(), "{said:?}");
    let refused: Vec<_> = bodies
        .iter()
        .zip(&said)
        .filter(|(_, said)| *said != "")
        .map(|(body, said)| format!("{body:.60}: {said:.200}"))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}
