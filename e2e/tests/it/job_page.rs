//! What a job's page shows: its result, its files, code that orders it again, and why nobody does it.

use std::process::Command;
use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::digits;
use e2e::stack::{Stack, program};
use e2e::until::until;

const SOON: Duration = Duration::from_mins(1);
const DONE_WITHIN: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_done_jobs_page_shows_its_result_its_files_and_its_devices_by_name() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let browser = Browser::start(Gpu::None).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.open_account().await;
    browser.press("Try with the sample").await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("1,797")).await;
    browser.find("#name").await.send_keys("Handwriting 1").await.unwrap();
    browser.press("Submit").await;
    browser.text_where("[data-testid=state]", DONE_WITHIN, |state| state == "Done").await;

    // It is read once the first rows are verified, and once more at the end.
    let is_whole = |text: &str| text.contains("All 1,797 rows are verified.") && text.contains("Class 9");
    browser.text_where("[data-testid=preview]", SOON, is_whole).await;
    let has_both = |files: &str| files.contains("digits.onnx") && files.contains("digits.npy");
    browser.text_where("[data-testid=files]", SOON, has_both).await;
    let has_cost = |page: &str| page.contains("llvmpipe") && page.contains("Cost of a thousand rows");
    browser.text_where("main", SOON, has_cost).await;
    // A time says its zone.
    browser.text_where("main time", SOON, |time| time.contains("UTC")).await;
    browser.text_where(".timeline .ago", SOON, |ago| ago.contains("ago")).await;
    browser.press("CSV").await;
    browser.downloaded("csv").await;
    assert!(browser.download_names().contains(&"Handwriting 1.csv".to_owned()), "{:?}", browser.download_names());
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn what_the_page_offers_to_paste_orders_the_job_again() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, key) = stack.customer().await.unwrap();
    let mut order = stack.digits_order(&client, 1, None).await.unwrap();
    order.name = "Bob's \"digits\" & $HOME".to_owned();
    order.file_names =
        [("model", "-net's.onnx"), ("input", "my photos")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let job = client.submit(&order, "first").await.unwrap();
    client.watch(job.id, |_| {}).await.unwrap();
    let first = stack.folder().join("first.npy");
    client.download(job.id, &first).await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/{}", stack.url(), job.id)).await;
    browser.click("details.repeat summary").await;
    let tessera = program("tessera");
    let path = format!("{}:{}", tessera.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());

    for (id, interpreter) in [("repeat-command", "sh"), ("repeat-python", "python3"), ("repeat-curl", "sh")] {
        let code = browser.text_where(&format!("#{id}"), SOON, |code| !code.is_empty()).await;
        let folder = stack.folder().join(id);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("code"), &code).unwrap();
        let mut command = Command::new(interpreter);
        command.arg("code").current_dir(&folder).env("TESSERA_KEY", &key).env("PATH", &path);
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();

        assert!(ran.status.success(), "{id}: {}\n{code}", String::from_utf8_lossy(&ran.stderr));
        let result = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let result: Vec<_> = result.filter(|path| path.to_string_lossy().contains("Bob_s")).collect();
        assert_eq!(result.len(), 1, "{id}: {result:?}");
        let (again, first) = (std::fs::read(&result[0]).unwrap(), std::fs::read(&first).unwrap());
        let pairs = digits::floats(&again).into_iter().zip(digits::floats(&first));
        assert_eq!(again.len(), first.len(), "{id}");
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-6 + 1e-5 * b.abs()), "{id}: it is the same result");
    }
    let jobs = client.jobs(None).await.unwrap().jobs;
    assert_eq!(jobs.len(), 4, "each ordered it once more");
    assert!(jobs.iter().all(|other| other.program == job.program && other.name == job.name));
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_job_that_nobody_can_do_says_why_and_ends_at_the_deadline_that_it_was_given() {
    let stack = Stack::start().await;
    let (client, key) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.press("Try with the sample").await;
    browser.text_where("[data-testid=obstacle]", SOON, |text| text.contains("No device is connected.")).await;
    browser.find("#deadline").await.send_keys("soon").await.unwrap();
    browser.press("Submit").await;
    browser.text_where("#deadline-error", SOON, |text| text.contains("a second to a year")).await;

    let write = "const field = document.getElementById('deadline'); field.value = '0.002'; \
                 field.dispatchEvent(new Event('input', { bubbles: true }));";
    browser.script(write).await;
    browser.press("Submit").await;

    browser.text_where("main", SOON, |page| page.contains("Deadline")).await;
    browser.text_where("[data-testid=fault]", SOON, |fault| fault.starts_with("Its deadline passed")).await;
    until("the hold", SOON, async || {
        client.account().await.ok().filter(|account| account.held.micros() == 0).map(drop)
    })
    .await;
    let job = client.jobs(None).await.unwrap().jobs.remove(0);
    assert_eq!((job.state, job.cost.micros()), (wire::JobState::Failed, 0));
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_first_key_has_to_be_kept_a_wrong_one_opens_nothing_and_a_second_one_is_no_account() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::None).await;
    browser.open(&format!("{}/account", stack.url())).await;
    browser.find("#key").await.send_keys("tsk_nobody").await.unwrap();
    browser.press("Sign in").await;
    browser.text_where("#key-error", SOON, |text| text.starts_with("No account has this key")).await;
    browser.script("const key = document.getElementById('key'); key.value = ''; key.dispatchEvent(new Event('input', { bubbles: true }));").await;
    browser.press("Sign in").await;
    browser.text_where("#key-error", SOON, |text| text.starts_with("Paste your account's key first")).await;
    browser.find("#key").await.send_keys("tsk_密钥").await.unwrap();
    browser.press("Sign in").await;
    browser.text_where("#key-error", SOON, |text| text.starts_with("No account has this key")).await;

    browser.press("Open a development account").await;
    let key = browser.text_where("[data-testid=key]", SOON, |key| key.starts_with("tsk_")).await;
    let is_shut = browser
        .script("return [...document.querySelectorAll('button')].find((b) => b.textContent === 'Go on').disabled");
    assert_eq!(is_shut.await, true, "nobody goes on who has not said that the key is kept");
    browser.open(&format!("{}/account", stack.url())).await;
    let again = browser.text_where("[data-testid=key]", SOON, |key| key.starts_with("tsk_")).await;
    assert_eq!(again, key, "a page that is loaded anew loses no key");
    browser.click("#key-kept").await;
    browser.press("Go on").await;

    browser.find("#key-name").await.send_keys("Nightly").await.unwrap();
    browser.press("Make a key").await;
    let made = browser.text_where("[aria-labelledby=keys] .notice", SOON, |text| text.contains("tsk_")).await;
    assert!(made.starts_with("This is the new key Nightly.") && !made.contains("opened"), "{made}");
    assert!(!made.contains(&key), "it is another one");
    browser.press("I have kept it").await;
    browser.text_where("[aria-labelledby=keys]", SOON, |text| !text.contains("tsk_")).await;
    browser.close().await;
}

#[tokio::test]
async fn a_first_key_is_shown_to_nobody_who_signs_in_after_its_account() {
    let stack = Stack::start().await;
    let (_, other) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::None).await;
    let account = format!("{}/account", stack.url());
    let kept = "return sessionStorage.getItem('tessera-first-key')";
    browser.open(&account).await;
    browser.press("Open a development account").await;
    let key = browser.text_where("[data-testid=key]", SOON, |key| key.starts_with("tsk_")).await;
    assert!(browser.script(kept).await.to_string().contains(&key));

    // As when the session ends by itself.
    browser.sign_out().await;
    browser.open(&account).await;
    browser.find("#key").await.send_keys(&other).await.unwrap();
    browser.press("Sign in").await;
    browser.text_where("[aria-labelledby=keys]", SOON, |text| !text.is_empty()).await;
    browser.find("html[data-ready]").await;
    assert_eq!(browser.script(kept).await, serde_json::Value::Null);
    let shown = browser.script("return document.body.innerText").await;
    assert!(!shown.to_string().contains(&key), "{shown}");
    browser.close().await;
}
