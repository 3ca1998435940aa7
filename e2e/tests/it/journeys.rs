//! A renter, a lender and a reader: on a phone and on a desk, light and dark, in both languages, by
//! keyboard alone.

use std::time::Duration;

use e2e::browser::{Browser, Gpu, Look};
use e2e::digits;
use e2e::stack::Stack;
use serde_json::json;

const SOON: Duration = Duration::from_mins(1);
const WITHIN: Duration = Duration::from_mins(3);
const VISITS: [(Look, &Words); 4] = [
    (Look { width: 390, height: 844, dark: false }, &ENGLISH),
    (Look { width: 390, height: 844, dark: true }, &CHINESE),
    (Look { width: 1280, height: 900, dark: true }, &ENGLISH),
    (Look { width: 1280, height: 900, dark: false }, &CHINESE),
];

/// What the pages say, as far as these people look for it.
struct Words {
    lang: &'static str,
    run_a_job: &'static str,
    open_account: &'static str,
    key_kept: &'static str,
    go_on: &'static str,
    model: &'static str,
    input: &'static str,
    name: &'static str,
    submit: &'static str,
    done: &'static str,
    publish: &'static str,
    job_published: &'static str,
    public_page: &'static str,
    jobs: &'static str,
    search_jobs: &'static str,
    lend: &'static str,
    compute_with: &'static str,
    duty: &'static str,
    stop_after: &'static str,
    start: &'static str,
    stop: &'static str,
    stopped: &'static str,
    explorer: &'static str,
    devices: &'static str,
    online: &'static str,
    rerun: &'static str,
    rerun_agrees: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    run_a_job: "Run a job",
    open_account: "Open a development account",
    key_kept: "I have kept the key where I will find it",
    go_on: "Go on",
    model: "Model",
    input: "Input",
    name: "Name",
    submit: "Submit",
    done: "Done",
    publish: "Publish",
    job_published: "The job is published.",
    public_page: "its public page",
    jobs: "Jobs",
    search_jobs: "Name or id",
    lend: "Lend your GPU",
    compute_with: "Compute with",
    duty: "How much of the device",
    stop_after: "Stop after",
    start: "Start lending",
    stop: "Stop",
    stopped: "Stopped",
    explorer: "Explorer",
    devices: "Devices",
    online: "Online",
    rerun: "Compute a tile again",
    rerun_agrees: "It agrees: your device and the signed receipt say the same.",
};

const CHINESE: Words = Words {
    lang: "zh",
    run_a_job: "运行任务",
    open_account: "开通开发账户",
    key_kept: "我已将密钥保存在可靠的位置",
    go_on: "继续",
    model: "模型",
    input: "输入",
    name: "名称",
    submit: "提交",
    done: "已完成",
    publish: "发布",
    job_published: "任务已发布。",
    public_page: "公开页面",
    jobs: "任务",
    search_jobs: "名称或 ID",
    lend: "出借 GPU",
    compute_with: "计算方式",
    duty: "设备占用上限",
    stop_after: "多久后停止",
    start: "开始出借",
    stop: "停止",
    stopped: "已停止",
    explorer: "网络数据",
    devices: "设备",
    online: "在线",
    rerun: "复算一个分块",
    rerun_agrees: "一致：您的设备与已签名凭证的结果相同。",
};

/// A link or a button that leads to another page, pressed by keyboard; waits for that page's script.
async fn follow(browser: &Browser, name: &str) {
    browser.tab_to(name).await;
    leave(browser).await;
}

/// Presses Enter, and waits until another page has come.
async fn leave(browser: &Browser) {
    browser.script("document.documentElement.dataset.left = ''").await;
    browser.enter().await;
    browser.find("html[data-ready]:not([data-left])").await;
}

/// A file chosen in the field that has the focus; the system's own dialog has no keyboard here.
async fn choose_focused(browser: &Browser, label: &str, css: &str, file: &std::path::Path) {
    browser.tab_to(label).await;
    browser.choose(css, file).await;
}

#[tokio::test]
async fn a_renter_runs_a_job_watches_it_publishes_it_and_finds_it_again() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let browser = Browser::start(Gpu::Swiftshader).await;
    for (look, words) in VISITS {
        let t = words;
        browser.open(&format!("{}/?lang={}", stack.url(), words.lang)).await;
        browser.sign_out().await;
        browser.look(look).await;

        follow(&browser, t.run_a_job).await;
        browser.tab_to(t.open_account).await;
        browser.enter().await;
        browser.text_where("[data-testid=key]", SOON, |key| key.starts_with("tsk_")).await;
        browser.tab_to(t.key_kept).await;
        browser.space().await;
        browser.tab_to(t.go_on).await;
        browser.enter().await;
        browser.script("document.activeElement.blur(); window.getSelection().removeAllRanges();").await;
        choose_focused(&browser, t.model, "#model", &digits::file("digits.onnx")).await;
        choose_focused(&browser, t.input, "#input", &digits::file("digits.npy")).await;
        browser.tab_to(t.name).await;
        browser.type_text("Evening run").await;
        browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("0.000001")).await;
        follow(&browser, t.submit).await;
        browser.text_where("[data-testid=state]", WITHIN, |state| state == t.done).await;
        browser.tab_to(t.publish).await;
        browser.enter().await;
        browser.find("dialog[open]").await;
        // The dialog has the focus on its answer already.
        browser.enter().await;
        browser.text_where("#toasts", SOON, |said| said.contains(t.job_published)).await;
        browser.script("document.activeElement.blur()").await;
        follow(&browser, t.public_page).await;
        browser.text_where("h1", SOON, |title| title.starts_with("Evening run")).await;
        follow(&browser, t.jobs).await;
        browser.tab_to(t.search_jobs).await;
        browser.type_text("evening").await;
        leave(&browser).await;
        browser.text_where("[data-testid=jobs]", SOON, |table| table.contains("Evening run")).await;
    }
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_lender_sets_the_rules_lends_reads_what_ran_and_stops() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    for (look, words) in VISITS {
        let t = words;
        browser.look(look).await;
        browser.open(&format!("{}/?lang={}", stack.url(), words.lang)).await;
        let job = stack.submit_digits(&client, 1, Some(16)).await.unwrap();

        follow(&browser, t.lend).await;
        browser.tab_to(t.compute_with).await;
        // The last choice: the GPU that the processor emulates.
        browser.key("End", 35, "").await;
        browser.tab_to(t.duty).await;
        browser.key("Home", 36, "").await;
        browser.key("End", 35, "").await;
        browser.tab_to(t.stop_after).await;
        browser.script("document.activeElement.blur()").await;
        browser.tab_to(t.start).await;
        browser.enter().await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        browser.text_where("[data-testid=tiles-verified]", SOON, |tiles| tiles == "113").await;
        browser.text_where("[aria-labelledby=log-title] table", SOON, |log| log.contains("infer/1")).await;
        browser.script("document.activeElement.blur()").await;
        browser.tab_to(t.stop).await;
        browser.enter().await;
        browser.text_where("[data-testid=phase]", SOON, |phase| phase == t.stopped).await;

        assert_eq!(ended.state, wire::JobState::Done);
        let duty = browser.script("return JSON.parse(localStorage['tessera-lend-settings']).duty_percent").await;
        assert_eq!(duty, json!(100), "rules should be kept");
    }
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_reader_goes_from_the_network_to_a_receipt_and_computes_a_tile_again() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    client.publish(job.id).await.unwrap();
    let device = client.public_devices().await.unwrap().rows[0].id.to_string();
    let browser = Browser::start(Gpu::Swiftshader).await;
    for (look, words) in VISITS {
        let t = words;
        browser.look(look).await;
        browser.open(&format!("{}/?lang={}", stack.url(), words.lang)).await;

        follow(&browser, t.explorer).await;
        follow(&browser, t.devices).await;
        follow(&browser, &device[..12]).await;
        browser.text_where("h1", SOON, |title| title.contains(&device[..12]) && title.contains(t.online)).await;
        let receipt = browser.text_where("tbody td:first-child", SOON, |id| id.len() == 12).await;
        follow(&browser, &receipt).await;
        browser.text_where("table.statement", SOON, |statement| statement.contains(&job.id.to_string())).await;
        follow(&browser, &job.id.to_string()[..12]).await;
        browser.tab_to(t.rerun).await;
        browser.enter().await;
        let verdict = browser.text_where("[data-testid=verdict]", WITHIN, |said| !said.is_empty()).await;

        assert_eq!(verdict, t.rerun_agrees);
        let title = browser.page.title().await.unwrap();
        assert_eq!(title, "Digits · Tessera");
    }
    browser.close().await;
}
