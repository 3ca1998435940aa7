use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::stack::Stack;

#[tokio::test]
async fn a_visitor_in_a_fresh_profile_presses_start_finishes_the_job_alone_and_sees_the_credits() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;

    browser.open(&format!("{}/lend", stack.url())).await;
    browser.press("Start lending").await;
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    let earned = browser
        .text_where("[data-testid=earned]", Duration::from_secs(20), |earned| earned != "–" && earned != "0")
        .await;
    let verified =
        browser.text_where("[data-testid=tiles-verified]", Duration::from_secs(20), |tiles| tiles == "225").await;

    assert_eq!((ended.state, ended.devices, verified.as_str()), (wire::JobState::Done, 1, "225"));
    assert!(earned.starts_with("0.000"), "{earned}");
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
    browser.press("Stop").await;
    browser.text_where("[data-testid=phase]", Duration::from_secs(10), |phase| phase == "Stopped").await;
    browser.close().await;
}

#[tokio::test]
async fn without_webgpu_the_lend_page_says_what_is_missing_and_what_to_do() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::None).await;
    browser.open(&format!("{}/lend", stack.url())).await;

    // With no interface at all it is said at once; with one and no adapter, after pressing start.
    if browser.page.find(fantoccini::Locator::Css("[role=alert] h2")).await.is_err() {
        browser.press("Start lending").await;
    }
    let said = browser.text_where("[role=alert]", Duration::from_secs(20), |text| text.contains("WebGPU")).await;

    assert!(said.contains("This browser has no WebGPU"), "{said}");
    assert!(said.contains("hardware acceleration"), "{said}");
    assert!(said.contains("tessera-worker run --url"), "{said}");
    browser.close().await;
}
