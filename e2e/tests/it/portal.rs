//! The portal when things go wrong, and when there is a lot to show.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::browser::{Browser, Gpu, Look};
use e2e::digits;
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use wire::{Infer, Privacy, Program, SubmitJob};

const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_session_lost_in_mid_form_loses_nothing_that_was_typed() {
    let stack = Stack::start().await;
    let (_, key) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.find("#name").await.send_keys("A name that took thought").await.unwrap();
    browser.choose("#model", &digits::file("digits.onnx")).await;
    browser.text_where("#model-state", SOON, |state| state.contains(" · ")).await;

    browser.sign_out().await;
    browser.choose("#input", &digits::file("digits.npy")).await;
    browser.text_where("[aria-labelledby=account-title]", SOON, |card| card.contains("You need an account")).await;
    browser.find("#key").await.send_keys(&key).await.unwrap();
    browser.press("Sign in").await;

    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("0.000001")).await;
    let name = browser.script("return document.getElementById('name').value").await;
    assert_eq!(name, "A name that took thought");
    browser.press("Submit").await;
    browser.text_where("h1", SOON, |title| title.starts_with("A name that took thought")).await;
    browser.close().await;
}

#[tokio::test]
async fn what_was_typed_is_there_again_when_the_page_is_loaded_anew() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::None).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.find("#name").await.send_keys("A name that took thought").await.unwrap();
    browser.find("#limit").await.send_keys("0.25").await.unwrap();

    browser.page.refresh().await.unwrap();

    browser.text_where("[data-testid=put-back]", SOON, |said| said.contains("Files have to be chosen")).await;
    let typed = "return ['name', 'limit'].map((id) => document.getElementById(id).value)";
    let before = serde_json::json!(["A name that took thought", "0.25"]);
    until("what was typed", SOON, async || (browser.script(typed).await == before).then_some(())).await;
    browser.close().await;
}

#[tokio::test]
async fn every_refusal_of_the_order_form_stands_at_its_field() {
    let stack = Stack::start().await;
    let (_, key) = stack.customer().await.unwrap();
    let empty = stack.folder().join("empty.npy");
    std::fs::write(&empty, []).unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    let error = async |css: &str, part: &str| {
        browser.text_where(css, SOON, |text| text.contains(part)).await;
    };

    browser.choose("#input", &empty).await;
    error("#input-error", "the file is empty").await;
    browser.drop_files("label[for=model]", &[stack.folder()]).await;
    error("#model-error", "this is a folder").await;
    browser.drop_files("label[for=model]", &[&digits::file("labels.npy")]).await;
    error("#input-state", "labels.npy").await;
    browser.choose("#model", &digits::file("digits.onnx")).await;
    error("#input-error", "as float32").await;
    browser.drop_files("label[for=input]", &[&digits::file("digits.onnx"), &digits::file("digits.npy")]).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;
    let script = "const name = document.getElementById('name'); name.removeAttribute('maxlength'); name.value = 'x'.repeat(129); name.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.script(script).await;
    browser.press("Submit").await;
    error("#name-error", "at most 128 characters").await;
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn an_order_that_the_balance_cannot_cover_says_so_and_stays() {
    let stack = Stack::start().await;
    let (_, key) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.choose("#model", &digits::file("digits.onnx")).await;
    browser.choose("#input", &digits::file("digits.npy")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;
    sqlx::query("update account set posted = held where kind = 'customer'")
        .execute(&stack.database().await)
        .await
        .unwrap();

    browser.press("Submit").await;
    browser.text_where("form.card > .error", SOON, |text| text.contains("this account has less")).await;

    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;
    browser.close().await;
}

#[tokio::test]
async fn a_dropped_connection_says_so_mends_itself_and_shows_the_end() {
    let mut stack = Stack::start().await;
    let (client, key) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/{}", stack.url(), job.id)).await;
    browser.text_where("[data-testid=obstacle]", SOON, |why| why.contains("No device is connected")).await;

    stack.kill_edge();
    browser.text_where("main", SOON, |page| page.contains("The connection was lost")).await;
    stack.start_edge().await;
    stack.start_worker("worker", &[]);

    browser.text_where("[data-testid=state]", Duration::from_mins(3), |state| state == "Done").await;
    browser.text_where("main", SOON, |page| !page.contains("The connection was lost")).await;
    browser.close().await;
}

#[tokio::test]
async fn a_job_of_a_million_tiles_is_drawn_within_a_frame() {
    let stack = Stack::start().await;
    let (client, key) = stack.customer().await.unwrap();
    let input = stack.folder().join("million.npy");
    std::fs::write(&input, digits::column(1_000_000)).unwrap();
    let order = SubmitJob {
        program: Program::Infer(Infer {
            model: client.upload(&digits::relu()).await.unwrap().hash,
            input: Some(client.upload(&input).await.unwrap().hash),
            inputs: BTreeMap::new(),
            tile_rows: Some(1),
        }),
        privacy: Privacy::Open,
        name: "A million".to_owned(),
        limit: None,
        deadline_seconds: None,
        file_names: BTreeMap::new(),
    };
    let job = client.submit(&order, "million").await.unwrap();
    assert_eq!(job.tiles, 1_000_000);
    let browser = Browser::start(Gpu::None).await;
    browser.look(Look { width: 1280, height: 900, dark: false }).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/{}", stack.url(), job.id)).await;
    let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
    browser.script("window.frames_drawn = 0; const step = () => { window.frames_drawn += 1; requestAnimationFrame(step); }; requestAnimationFrame(step);").await;

    let busy_before = browser.metric("TaskDuration").await;
    let frames_before = browser.script("return window.frames_drawn").await.as_f64().unwrap();
    for _ in 0..12 {
        device.work(|_| {}).await.unwrap();
    }
    let is_some = |tiles: &str| tiles.replace(',', "").parse().is_ok_and(|tiles: u64| tiles > 0);
    browser.text_where("[data-testid=verified]", SOON, is_some).await;
    let busy = browser.metric("TaskDuration").await - busy_before;
    let frames = browser.script("return window.frames_drawn").await.as_f64().unwrap() - frames_before;

    let nodes = browser.script("return document.querySelectorAll('.mosaic *').length").await;
    assert_eq!(nodes, 3, "a state is a node, however many tiles there are");
    assert!(busy / frames * 1000.0 < 16.0, "{:.1} ms a frame over {frames} frames", busy / frames * 1000.0);
    browser.close().await;
}

#[tokio::test]
async fn a_machine_is_linked_by_its_code_and_its_guests_earnings_come_along() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, key) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    stack.kill_workers();
    let (lender, lender_key) = stack.customer().await.unwrap();
    let before = lender.account().await.unwrap();

    let code = lender.device_code().await.unwrap();
    stack.start_worker("worker", &["--code", &code.code.to_lowercase()]);
    let after = until("the claim", SOON, async || {
        lender.account().await.ok().filter(|account| account.available > before.available)
    })
    .await;
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&lender_key).await.unwrap()).await;
    browser.open(&format!("{}/account", stack.url())).await;

    // All of the job: its work is worth less than a micro-credit, and a tenth of that is nothing.
    let earned = after.available.micros() - before.available.micros();
    assert_eq!(earned, 1);
    browser.text_where("[aria-labelledby=devices]", SOON, |devices| devices.contains("llvmpipe")).await;
    browser.text_where("[aria-labelledby=credits]", SOON, |credits| credits.contains("Claimed from a guest")).await;
    assert_ne!(key, lender_key);
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_device_code_that_nobody_made_is_refused_with_what_to_do() {
    let stack = Stack::start().await;
    let (device, nonce) = Scripted::open(&stack.url(), identity()).await.unwrap();
    let mut device = device;
    let hello = device.signed(nonce, wire::Hello { code: Some("AAAA-AAAA".to_owned()), ..device.hello(nonce) });

    device.say(&wire::FromDevice::Hello(Box::new(hello))).await.unwrap();
    let answer = device.hear().await.unwrap();

    match answer {
        wire::ToDevice::Close { code, message } => {
            assert_eq!(code, wire::ErrorCode::UnknownCode);
            assert!(message.contains("make another on the lend page"), "{message}");
        }
        other => panic!("expected a close, heard {other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_run_again_with_changes_and_downloaded_as_text() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, key) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/{}", stack.url(), job.id)).await;

    browser.press("CSV").await;
    let file = String::from_utf8(browser.downloaded("csv").await).unwrap();
    assert_eq!(file.lines().count(), 1798);
    browser.press("Run again with changes").await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;
    browser.click("#privacy-own").await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("Devices that can run it now\n0")).await;
    browser.press("Submit").await;
    browser.text_where("[data-testid=obstacle]", SOON, |why| !why.is_empty()).await;
    browser.text_where("main", SOON, |page| page.contains("Own")).await;

    let first: Vec<f32> = file.lines().nth(1).unwrap().split(',').skip(1).map(|value| value.parse().unwrap()).collect();
    for (a, b) in first.iter().zip(&digits::expected()) {
        assert!((a - b).abs() <= 1e-5 + 1e-4 * b.abs(), "{a} where onnxruntime has {b}");
    }
    browser.close().await;
}
