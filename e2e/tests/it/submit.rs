use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::digits;
use e2e::stack::Stack;

const SOON: Duration = Duration::from_mins(1);
const DONE_WITHIN: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_customer_submits_the_digits_job_watches_it_fill_in_and_downloads_the_right_result() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;

    browser.open_account().await;
    browser.choose("#model", &digits::file("digits.onnx")).await;
    browser.choose("#input", &digits::file("digits.npy")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;
    browser.press("Submit").await;

    browser.text_where("[data-testid=verified]", DONE_WITHIN, |tiles| tiles != "0").await;
    browser.text_where("[data-testid=state]", DONE_WITHIN, |state| state == "Done").await;
    let waiting = browser.script("return document.querySelector('.mosaic .waiting').getAttribute('d')").await;
    assert_eq!(waiting, "", "the mosaic should be full");
    let all = "Not verified\n0\nComputed, being checked\n0\nVerified\n225";
    browser.text_where(".legend", SOON, |legend| legend == all).await;
    browser.press("Download result").await;
    let file = browser.downloaded("npy").await;

    let found = digits::floats(&file);
    let expected = digits::expected();
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-5 + 1e-4 * b.abs(), "{a} where onnxruntime has {b}");
    }
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_customer_begins_on_their_own_device_at_once_and_it_works_for_that_job_alone() {
    let stack = Stack::start().await;
    let (stranger, _) = stack.customer().await.unwrap();
    let before = stack.submit_digits(&stranger, 1, None).await.unwrap();
    let (client, key) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.choose("#model", &digits::file("digits.onnx")).await;
    browser.choose("#input", &digits::file("digits.npy")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;

    browser.click("#begin-here").await;
    browser.press("Submit").await;
    browser.text_where("[data-testid=state]", DONE_WITHIN, |state| state == "Done").await;

    let own = client.jobs(None).await.unwrap().jobs.remove(0);
    assert_eq!((own.devices, own.verified_tiles), (1, own.tiles));
    let stranger = stranger.job(before.id).await.unwrap();
    assert_eq!((stranger.devices, stranger.verified_tiles), (0, 0), "the device was not lent to others");
    stack.check_settled_once(&own).await;
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_machine_without_a_gpu_lends_its_cpu_and_its_receipts_say_so() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let (client, _) = stack.customer().await.unwrap();

    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    let result = stack.folder().join("result.npy");
    client.download(job.id, &result).await.unwrap();

    assert_eq!((ended.state, ended.verified_tiles), (wire::JobState::Done, ended.tiles));
    for (a, b) in digits::floats(&std::fs::read(result).unwrap()).iter().zip(&digits::expected()) {
        assert!((a - b).abs() <= 1e-5 + 1e-4 * b.abs(), "{a} where onnxruntime has {b}");
    }
    let receipts = client.public_receipts().await.unwrap();
    assert!(!receipts.rows.is_empty() && receipts.rows.iter().all(|receipt| receipt.backend == "cpu"));
    stack.check_ledger().await;
}

#[tokio::test]
async fn a_published_job_is_whole_without_javascript_and_a_private_one_is_not_there() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    let url = format!("{}/explorer/jobs/{}", stack.url(), job.id);

    let private = reqwest::get(&url).await.unwrap();
    assert_eq!(private.status(), 404);
    client.publish(job.id).await.unwrap();
    let public = reqwest::get(&url).await.unwrap();

    assert_eq!(public.status(), 200);
    assert!(public.headers()["cache-control"].to_str().unwrap().starts_with("public"));
    let html = public.text().await.unwrap();
    for part in [
        "<title>Digits · Tessera</title>",
        &format!("<link rel=\"canonical\" href=\"{url}\">"),
        "property=\"og:title\" content=\"Digits · Tessera\"",
        "name=\"description\" content=\"225 / 225 tiles verified.",
        "<path d=\"M0.06 0.06h",
        "vulkan",
    ] {
        assert!(html.contains(part), "the page should hold {part}: {html}");
    }
}

#[tokio::test]
async fn a_bad_file_is_refused_at_its_field_and_nothing_is_held() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.open_account().await;

    browser.choose("#model", &digits::file("labels.npy")).await;
    browser.choose("#input", &digits::file("digits.npy")).await;
    browser.text_where("#model-error", SOON, |refusal| refusal.contains("not an ONNX model")).await;

    browser.choose("#model", &digits::file("digits.onnx")).await;
    browser.choose("#input", &digits::file("labels.npy")).await;
    browser.text_where("#input-error", SOON, |refusal| refusal.contains("as float32")).await;

    browser.choose("#input", &digits::file("digits.npy")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("0.000001")).await;
    stack.check_ledger().await;
    browser.close().await;
}
