use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::stack::Stack;
use e2e::until::until;

const SOON: Duration = Duration::from_mins(1);
const WITHIN: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_visitor_in_a_fresh_profile_presses_start_finishes_the_job_alone_and_sees_the_credits() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;

    browser.lend(&stack.url(), "software").await;
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    let earned = browser.text_where("[data-testid=earned]", SOON, |earned| earned != "–" && earned != "0").await;
    let verified = browser.text_where("[data-testid=tiles-verified]", SOON, |tiles| tiles == "225").await;

    assert_eq!((ended.state, ended.devices, verified.as_str()), (wire::JobState::Done, 1, "225"));
    assert_eq!(earned, "0.000001", "what the job is worth, rounded up once");
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
    browser.press("Stop").await;
    browser.text_where("[data-testid=phase]", SOON, |phase| phase == "Stopped").await;
    browser.close().await;
}

#[tokio::test]
async fn without_a_gpu_the_lend_page_says_what_to_do_and_the_processor_finishes_the_job() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&format!("{}/lend", stack.url())).await;

    // With no interface at all it is said at once; with one and no adapter, after pressing start.
    if browser.page.find(fantoccini::Locator::Css("[role=alert] h2")).await.is_err() {
        browser.press("Start lending").await;
    }
    let said = browser.text_where("[role=alert]", SOON, |text| text.contains("GPU")).await;
    browser.press("Lend the processor instead").await;
    let ended = client.watch(job.id, |_| {}).await.unwrap();

    assert!(said.contains("This browser has no GPU to lend"), "{said}");
    assert!(said.contains("slower than a GPU"), "{said}");
    assert!(said.contains("hardware acceleration"), "{said}");
    assert!(said.contains("tessera-worker run --url"), "{said}");
    assert_eq!((ended.state, ended.devices), (wire::JobState::Done, 1));
    client.publish(job.id).await.unwrap();
    let backends: Vec<_> = client.public_receipts().await.unwrap().rows.into_iter().map(|row| row.backend).collect();
    assert!(!backends.is_empty() && backends.iter().all(|backend| backend == "cpu"), "{backends:?}");
    stack.check_settled_once(&ended).await;
    browser.close().await;
}

#[tokio::test]
async fn a_gpu_that_the_processor_plays_is_not_lent_before_somebody_asks_for_it() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.lend(&stack.url(), "gpu").await;

    let said = browser.text_where("[role=alert]", SOON, |text| text.contains("GPU")).await;
    assert!(said.contains("The only GPU here is emulated by the processor"), "{said}");
    browser.press("Use the software GPU all the same").await;
    browser.text_where("[data-testid=phase]", SOON, |phase| phase == "Waiting for work").await;

    let kept = browser.script("return JSON.parse(localStorage['tessera-lend-settings']).backend").await;
    assert_eq!(kept, "software");
    browser.close().await;
}

/// Frames in each of the seconds that the page has counted, fewest first, once there are so many.
async fn seconds_of(browser: &Browser, list: &str, count: usize) -> Option<Vec<u64>> {
    let seconds = browser.script(&format!("return window.{list}")).await;
    let mut seconds: Vec<u64> = seconds.as_array()?.iter().filter_map(serde_json::Value::as_u64).collect();
    seconds.sort_unstable();
    (seconds.len() >= count).then_some(seconds)
}

#[tokio::test]
async fn the_lend_page_keeps_fifty_frames_a_second_at_the_default_duty_cycle() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 40, None).await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&format!("{}/lend", stack.url())).await;
    browser.click("#with option[value=software]").await;
    // What the machine leaves to a page that lends nothing: other programs take frames, too.
    let count = "window.idle = []; let [begun, frames] = [performance.now(), 0]; \
         const step = (now) => { frames += 1; \
           if (now - begun >= 1000) { window.idle.push(frames); [begun, frames] = [now, 0]; } \
           if (window.idle.length < 4) requestAnimationFrame(step); }; \
         requestAnimationFrame(step);";
    browser.script(count).await;
    let idle = until("four seconds of frames", WITHIN, async || seconds_of(&browser, "idle", 4).await).await;
    // All but every sixth, and fifty where there are sixty.
    let wanted = (idle[idle.len() / 2] * 5 / 6).min(50);
    // Each second's count, as the page shows it.
    let watch = "window.seconds = []; new MutationObserver(() => window.seconds.push(Number(document.querySelector('[data-testid=frames]').dataset.frames))).observe(document.querySelector('[data-testid=frames]'), { attributes: true, childList: true, subtree: true, characterData: true });";
    browser.script(watch).await;

    browser.press("Start lending").await;
    browser
        .text_where("[data-testid=tiles-verified]", WITHIN, |tiles| {
            tiles.replace(',', "").parse().is_ok_and(|tiles: u32| tiles >= 4)
        })
        .await;
    browser.script("window.seconds.length = 0").await;
    let seconds = until("eight seconds of frames", WITHIN, async || seconds_of(&browser, "seconds", 8).await).await;

    until("the tab computes while frames are counted", SOON, async || {
        client.progress(job.id).await.ok().filter(|progress| progress.devices_at_work == 1)
    })
    .await;
    assert!(seconds[seconds.len() / 2] >= wanted, "{seconds:?} where a page that lends nothing has {idle:?}");
    browser.close().await;
}

#[tokio::test]
async fn a_hidden_tab_gives_its_work_back_and_goes_on_when_it_is_seen_again() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 40, None).await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.lend(&stack.url(), "software").await;
    browser.text_where("[data-testid=phase]", SOON, |phase| phase.starts_with("Computing")).await;

    let hide = "Object.defineProperty(document, 'visibilityState', { value: arguments[0], configurable: true }); document.dispatchEvent(new Event('visibilitychange'));";
    browser.page.execute(hide, vec!["hidden".into()]).await.unwrap();
    browser.text_where("[data-testid=phase]", SOON, |phase| phase.contains("tab is hidden")).await;
    until("the leases to come back", SOON, async || {
        client.progress(job.id).await.ok().filter(|progress| progress.devices_at_work == 0)
    })
    .await;
    browser.page.execute(hide, vec!["visible".into()]).await.unwrap();
    browser.text_where("[data-testid=phase]", SOON, |phase| phase.starts_with("Computing")).await;
    browser.close().await;
}
