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

#[tokio::test]
async fn every_shader_compiles_in_chromium() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&stack.url()).await;
    let kernels = all_kernels();
    let texts: Vec<String> = kernels.iter().map(gpu_kernels::kernels::Kernel::shader).collect();

    browser.page.execute(COMPILE, vec![texts.into()]).await.unwrap();
    let said = until("the compiler", Duration::from_secs(60), async || {
        browser.script("return window.said").await.as_array().cloned()
    })
    .await;

    assert_eq!(said.len(), kernels.len(), "{said:?}");
    let refused: Vec<_> = kernels.iter().zip(&said).filter(|(_, said)| *said != "").collect();
    assert!(refused.is_empty(), "{refused:?}");
    browser.close().await;
}
