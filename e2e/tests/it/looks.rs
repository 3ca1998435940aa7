//! What pages show on a phone, in charts and in Chinese.

use std::time::Duration;

use e2e::browser::{Browser, Gpu, Look};
use e2e::stack::Stack;
use e2e::until::until;

const SOON: Duration = Duration::from_mins(1);
const PHONE: Look = Look { width: 390, height: 844, dark: false };

/// A network with a published job and its receipt, and a session of its owner.
async fn world() -> (Stack, String, String, String) {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, key) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    client.publish(job.id).await.unwrap();
    let session = stack.session(&key).await.unwrap();
    let receipt = client.public_receipts().await.unwrap().rows[0].lease;
    (stack, session, job.id.to_string(), receipt.to_string())
}

/// What is cut off, or stands in a second line, where there should be one.
const CUT: &str = "const faults = []; \
    const links = [...document.querySelectorAll('.pages a')]; \
    const middle = (link) => { const r = link.getBoundingClientRect(); return Math.round((r.top + r.bottom) / 2); }; \
    if (new Set(links.map(middle)).size !== 1) faults.push('links in several lines'); \
    const line = document.querySelector('.pages'); \
    if (line.scrollWidth > line.clientWidth) faults.push('links beyond the edge: ' + line.scrollWidth); \
    for (const cell of document.querySelectorAll('table.rows td')) { \
      const r = cell.getBoundingClientRect(); \
      if (r.right > innerWidth || r.left < 0 || cell.scrollWidth > cell.clientWidth + 1) faults.push('cut: ' + cell.textContent); \
      if (cell.textContent && !cell.dataset.label && !cell.querySelector('button')) faults.push('no label: ' + cell.textContent); \
    } \
    for (const value of document.querySelectorAll('table.statement td')) { \
      const r = value.getBoundingClientRect(); \
      if (r.right > innerWidth || r.width < innerWidth / 2) faults.push('narrow: ' + value.textContent); \
    } \
    const page = document.documentElement; \
    if (page.scrollWidth > page.clientWidth) faults.push('the page is wider than the screen: ' + page.scrollWidth); \
    for (const shown of document.querySelectorAll('.badge, dd, .chart-x, .chart figcaption')) { \
      const r = shown.getBoundingClientRect(); \
      if (r.width && (r.right > innerWidth + 1 || r.left < 0)) faults.push('cut: ' + shown.textContent); \
    } \
    return faults;";

#[tokio::test]
async fn on_a_phone_the_navigation_is_one_line_and_every_value_of_a_row_is_seen() {
    let (stack, session, job, receipt) = world().await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.look(PHONE).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &session).await;
    let paths = [
        "/explorer",
        "/explorer/devices",
        "/explorer/jobs",
        "/explorer/receipts",
        "/docs/downloads",
        "/jobs",
        "/account",
        "/lend",
    ];
    let jobs = [format!("/explorer/jobs/{job}"), format!("/jobs/{job}"), format!("/explorer/receipts/{receipt}")];
    let mut faults = Vec::new();
    for path in paths.into_iter().chain(jobs.iter().map(String::as_str)) {
        for lang in ["en", "zh"] {
            browser.open(&format!("{}{path}?lang={lang}", stack.url())).await;
            let found = browser.script(CUT).await;
            faults.extend(found.as_array().unwrap().iter().map(|fault| format!("{path} in {lang}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.close().await;
}

#[tokio::test]
async fn a_chart_says_what_the_bar_under_the_pointer_is_in_the_readers_own_time() {
    let (stack, ..) = world().await;
    let browser = Browser::start(Gpu::None).await;
    // What was settled just now may not be in the first page's figures.
    until("a bar that is not 0", SOON, async || {
        browser.open(&format!("{}/explorer?lang=en", stack.url())).await;
        let bar = "return [...document.querySelectorAll('.chart')[0].querySelectorAll('.column')] \
                   .some((bar) => !bar.textContent.startsWith('0 '))";
        browser.script(bar).await.as_bool()?.then_some(())
    })
    .await;

    let said = browser
        .script(
            "const bars = [...document.querySelectorAll('.chart')[0].querySelectorAll('.column')]; \
             const bar = bars.findLast((bar) => !bar.textContent.startsWith('0 ')); \
             bar.dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); \
             return [bar.textContent, document.querySelector('.chart-at').textContent, document.querySelectorAll('.chart-at:not(:empty)').length];",
        )
        .await;

    let (title, shown) = (said[0].as_str().unwrap(), said[1].as_str().unwrap());
    assert!(title.ends_with(" UTC") && title.contains(" tiles · "), "{said}");
    assert!(shown.contains(" tiles · 20") && !shown.contains("UTC"), "{said}");
    assert_eq!(said[2], 1, "one bar is under the pointer");
    browser.press("7 d").await;
    browser.text_where(".ranges [aria-current]", SOON, |range| range == "7 d").await;
    browser.close().await;
}

#[tokio::test]
async fn a_kernel_is_refused_in_chinese_without_an_english_sentence() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::None).await;
    let (_, key) = stack.customer().await.unwrap();
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new?program=map&lang=zh", stack.url())).await;
    for (body, expected) in [
        ("let x = foo;", "列：找不到名称“foo”的定义"),
        ("workgroupBarrier() }", "此处应为"),
        ("if (a[0] == 1u) { workgroupBarrier(); }", "屏障所在的分支或循环"),
    ] {
        let kernel = format!(
            "@group(0) @binding(0) var<storage, read> a: array<u32>;\\n@group(0) @binding(1) var<storage, read_write> b: array<u32>;\\n@compute @workgroup_size(64) fn main() {{ {body} }}"
        );
        let script = format!(
            "const area = document.getElementById('kernel'); area.value = \"{kernel}\"; area.dispatchEvent(new Event('input', {{ bubbles: true }}));"
        );
        browser.script(&script).await;
        let said = browser.text_where("#kernel-error", SOON, |text| text.contains(expected)).await;
        assert!(!said.contains("expected") && !said.contains("line "), "{said}");
    }
    browser.close().await;
}
