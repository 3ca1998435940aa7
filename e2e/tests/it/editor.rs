//! A kernel of one's own in the portal: refused at line and column as it is written, then run.

use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::stack::Stack;
use e2e::until::until;

const SOON: Duration = Duration::from_mins(1);
const DONE_WITHIN: Duration = Duration::from_mins(3);

/// Writes into the editor as a person would, all at once.
async fn write(browser: &Browser, text: &str) {
    let text = serde_json::Value::from(text);
    let script = format!(
        "const area = document.getElementById('kernel'); area.value = {text}; area.dispatchEvent(new Event('input', {{ bubbles: true }}));"
    );
    browser.script(&script).await;
}

#[tokio::test]
async fn a_customer_writes_a_kernel_mends_it_where_the_editor_points_and_gets_the_records() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    stack.start_worker("worker", &[]);
    let numbers = stack.folder().join("numbers.bin");
    std::fs::write(&numbers, (0..500u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.open_account().await;
    browser.script("document.getElementById('program-map').click()").await;
    browser.text_where("[data-testid=kernel-report]", SOON, |text| text.starts_with("Checked.")).await;
    let template = browser.script("return document.getElementById('kernel').value").await;
    let template = template.as_str().unwrap().to_owned();

    write(&browser, &template.replace("records[id.x] *", "records[id.x] +*")).await;
    browser.text_where("#kernel-error", SOON, |refusal| refusal.starts_with("line 7, column ")).await;
    browser.text_where(".editor li.bad", SOON, |line| line == "7").await;
    browser.press("Show the place").await;
    let picked = "const a = document.getElementById('kernel'); \
                  return document.activeElement === a && a.value.slice(a.selectionStart, a.selectionEnd)";
    until("the caret stands at the error", SOON, async || (browser.script(picked).await == "*").then_some(())).await;

    write(&browser, &template.replace("id.x] *", "id.x] + 1u; for (var i = 0u; i < 3u; i++) {} results[id.x] *="))
        .await;
    browser.text_where("[data-testid=kernel-report]", SOON, |text| text.contains("loops in lines 7")).await;
    browser.choose("#input", &numbers).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("an operator's device")).await;
    browser.press("Run one tile here, free").await;
    // The first tile's records.
    let is_right = |trial: &str| trial.contains(" ms") && trial.contains("\n0 2 6 12 20 30 ");
    browser.text_where("[data-testid=trial]", SOON, is_right).await;
    browser.press("Submit").await;
    browser.text_where("[data-testid=state]", DONE_WITHIN, |state| state == "Done").await;
    browser.press("Download result").await;
    let file = browser.downloaded("bin").await;

    let found: Vec<u32> = file.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
    assert_eq!(found, (0..500u32).map(|i| (i + 1) * i).collect::<Vec<_>>());
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_kernel_that_never_ends_says_so_on_its_jobs_page() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    stack.start_worker("worker", &[]);
    let numbers = stack.folder().join("numbers.bin");
    std::fs::write(&numbers, [0; 64]).unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;
    browser.open_account().await;
    browser.script("document.getElementById('program-map').click()").await;
    browser.text_where("[data-testid=kernel-report]", SOON, |text| text.starts_with("Checked.")).await;
    let template = browser.script("return document.getElementById('kernel').value").await;
    write(&browser, &template.as_str().unwrap().replace("    results", "    loop {}\n    results")).await;
    browser.text_where("[data-testid=kernel-report]", SOON, |text| text.contains("loops in lines 7")).await;
    browser.choose("#input", &numbers).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("16")).await;

    browser.press("Submit").await;

    browser.text_where("[data-testid=fault]", DONE_WITHIN, |fault| fault.contains("line 7")).await;
    browser.text_where("[data-testid=state]", SOON, |state| state == "Failed").await;
    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn an_example_is_loaded_with_its_records_coloured_and_comes_to_a_picture() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    stack.start_worker("worker", &[]);
    let browser = Browser::start(Gpu::None).await;
    browser.open(&format!("{}/jobs/new?program=map", stack.url())).await;
    browser.open_account().await;
    browser.press("Load it with its sample").await;
    browser.text_where("#input-state", SOON, |state| state.starts_with("pixels.bin")).await;
    browser.text_where("#params-state", SOON, |state| state.starts_with("params.bin")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("65,536")).await;

    let coloured = browser.script("return document.querySelector('.editor pre .w-comment').textContent").await;
    assert!(coloured.as_str().unwrap().contains("Mandelbrot"), "{coloured}");
    let differs = "const pre = document.querySelector('.editor pre'); const area = document.getElementById('kernel'); \
                   const [a, b] = [pre, area].map((element) => getComputedStyle(element)); \
                   const [p, q] = [pre, area].map((element) => element.getBoundingClientRect()); \
                   const styles = ['fontFamily', 'fontSize', 'lineHeight', 'paddingTop', 'paddingLeft', 'tabSize', 'letterSpacing', 'whiteSpace']; \
                   return [...styles.filter((style) => a[style] !== b[style]), \
                           ...(Math.abs(p.top - q.top) < 1 && Math.abs(p.left - q.left) < 1 ? [] : ['place']), \
                           ...(pre.textContent === area.value ? [] : ['text'])].join(' ')";
    assert_eq!(browser.script(differs).await, "", "the coloured text lies where the field's is");
    browser.press("Submit").await;
    browser.text_where("[data-testid=state]", DONE_WITHIN, |state| state == "Done").await;
    // Until its last rows are verified it is the picture of the first ones.
    let is_whole = |text: &str| text.contains("All 65,536 rows are verified.");
    browser.text_where("[data-testid=preview]", SOON, is_whole).await;
    browser.find("[data-testid=preview] img").await;
    let width = "const done = arguments[0]; const img = document.querySelector('[data-testid=preview] img'); \
                 img.decode().then(() => done(img.naturalWidth), (error) => done(String(error)))";
    assert_eq!(browser.page.execute_async(width, Vec::new()).await.unwrap(), 256);

    stack.check_ledger().await;
    browser.close().await;
}

#[tokio::test]
async fn a_number_that_a_field_cannot_take_is_marked_as_it_is_typed_and_the_quote_says_so() {
    let stack = Stack::start().await;
    let browser = Browser::start(Gpu::None).await;
    for (program, field) in [("infer", "tile_rows"), ("map", "record_bytes"), ("map", "fuel"), ("map", "tile_records")]
    {
        browser.open(&format!("{}/jobs/new?program={program}", stack.url())).await;
        browser.find(&format!("#{field}")).await.send_keys("abc").await.unwrap();

        browser.text_where(&format!("#{field}-error"), SOON, |text| text.contains("A whole number is needed")).await;
        browser.text_where(".quote", SOON, |text| text.contains("has to be mended")).await;
        let marked = format!("return document.getElementById('{field}').getAttribute('aria-invalid')");
        assert_eq!(browser.script(&marked).await, "true", "{field}");
    }
    browser.close().await;
}
