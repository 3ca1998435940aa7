//! Every page as a picture, on a desk and a phone, light and dark, in both languages, into a folder.

#![expect(clippy::print_stdout, reason = "a program that says where it wrote")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use e2e::browser::{Browser, Gpu, Look};
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use wire::SubmitJob;

const LOOKS: [(&str, Look); 4] = [
    ("desk-light", Look { width: 1280, height: 900, dark: false }),
    ("desk-dark", Look { width: 1280, height: 900, dark: true }),
    ("phone-light", Look { width: 390, height: 844, dark: false }),
    ("phone-dark", Look { width: 390, height: 844, dark: true }),
];

/// Takes a picture of every page.
#[derive(clap::Parser)]
struct Arguments {
    /// Where the pictures go.
    #[arg(default_value = "target/shots")]
    folder: PathBuf,
    /// Only pages whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { folder, only } = Arguments::parse();
    std::fs::create_dir_all(&folder)?;
    let mut stack = Stack::start().await;
    let (client, key) = stack.customer().await?;
    let disputed = stack.submit_digits(&client, 2, None).await?;
    let mut liar = Scripted::join(&stack.url(), identity()).await?;
    liar.work(|output| output[7] += 0.01).await?;
    stack.start_worker("worker", &[]);
    client.watch(disputed.id, |_| {}).await?;
    let done = stack.submit_digits(&client, 1, None).await?;
    client.watch(done.id, |_| {}).await?;
    client.publish(done.id).await?;
    let private = stack.submit_digits(&client, 3, None).await?;
    client.watch(private.id, |_| {}).await?;
    // Nobody may compute them: they wait for a device of their own account, and one of them not for long.
    let own = SubmitJob {
        privacy: wire::Privacy::Own,
        name: "Nightly embeddings".to_owned(),
        ..SubmitJob::new(private.program.clone())
    };
    let overdue = SubmitJob { name: "By lunchtime".to_owned(), deadline_seconds: Some(1), ..own.clone() };
    let overdue = client.submit(&overdue, "overdue").await?;
    client.watch(overdue.id, |_| {}).await?;
    stack.add_checker().await;
    let picture = client.submit(&mandelbrot(&stack, &client).await?, "picture").await?;
    client.watch(picture.id, |_| {}).await?;
    let waiting = client.submit(&own, "shots").await?;
    let device = client.public_devices().await?.rows.first().map(|device| device.id.to_string()).unwrap_or_default();
    let receipt = client.public_receipts().await?.rows.first().map(|one| one.lease.to_string()).unwrap_or_default();

    let pages = [
        ("landing", "/".to_owned(), false),
        ("explorer", "/explorer".to_owned(), false),
        ("devices", "/explorer/devices".to_owned(), false),
        ("device", format!("/explorer/devices/{device}"), false),
        ("public-jobs", "/explorer/jobs".to_owned(), false),
        ("public-job", format!("/explorer/jobs/{}", done.id), false),
        ("receipts", "/explorer/receipts?limit=20".to_owned(), false),
        ("receipt", format!("/explorer/receipts/{receipt}"), false),
        ("search", format!("/explorer/search?q={}", &done.id.to_string()[..6]), false),
        ("calculator", "/calculator".to_owned(), false),
        ("status", "/status".to_owned(), false),
        ("docs", "/docs".to_owned(), false),
        ("downloads", "/docs/downloads".to_owned(), false),
        ("found", "/explorer/search?q=digits".to_owned(), false),
        ("docs-guide", "/docs/get-started".to_owned(), false),
        ("docs-search", "/docs?q=lease".to_owned(), false),
        ("docs-api", "/docs/api".to_owned(), false),
        ("not-found", "/nowhere".to_owned(), false),
        ("sign-in", "/jobs".to_owned(), false),
        ("lend", "/lend".to_owned(), false),
        ("new-job", "/jobs/new".to_owned(), true),
        ("new-kernel", "/jobs/new?program=map".to_owned(), true),
        ("jobs", "/jobs".to_owned(), true),
        ("job-done", format!("/jobs/{}", done.id), true),
        ("job-disputed", format!("/jobs/{}", disputed.id), true),
        ("job-waiting", format!("/jobs/{}", waiting.id), true),
        ("job-overdue", format!("/jobs/{}", overdue.id), true),
        ("job-picture", format!("/jobs/{}", picture.id), true),
        ("account", "/account".to_owned(), true),
    ];
    let session = stack.session(&key).await?;
    let wanted: Vec<Page> = pages.into_iter().filter(|(name, ..)| name.starts_with(&only)).collect();
    photograph(&stack.url(), &session, &wanted, &folder).await;
    for (name, path) in [("landing", "/index.png".to_owned()), ("job", format!("/explorer/jobs/{}.png", done.id))] {
        let picture = reqwest::get(format!("{}{path}", stack.url())).await?.bytes().await?;
        std::fs::write(folder.join(format!("preview-{name}.png")), picture)?;
    }
    println!("{}", folder.display());
    Ok(())
}

/// A kernel of which each record comes to a pixel.
async fn mandelbrot(stack: &Stack, client: &client::Client) -> anyhow::Result<SubmitJob> {
    let words = |values: &mut dyn Iterator<Item = u32>| values.flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    let files = [("pixels.bin", words(&mut (0..65_536))), ("params.bin", words(&mut [256, 128, 0, 0].into_iter()))];
    let mut hashes = Vec::new();
    for (name, bytes) in files {
        let path = stack.folder().join(name);
        std::fs::write(&path, bytes)?;
        hashes.push(client.upload(&path).await?.hash);
    }
    let kernel = client.upload(&e2e::folder().join("samples/kernels/mandelbrot.wgsl")).await?.hash;
    let program = wire::Program::Map(wire::Map {
        kernel,
        input: hashes[0],
        record_bytes: 4,
        out_bytes: 4,
        params: Some(hashes[1]),
        fuel: None,
        check: None,
        tile_records: None,
    });
    let names = [("kernel", "mandelbrot.wgsl"), ("input", "pixels.bin"), ("params", "params.bin")];
    let file_names = names.map(|(field, name)| (field.to_owned(), name.to_owned())).into();
    Ok(SubmitJob { name: "Mandelbrot".to_owned(), file_names, ..SubmitJob::new(program) })
}

/// A name for the picture, a path, and whether somebody is signed in.
type Page = (&'static str, String, bool);

async fn photograph(url: &str, session: &str, pages: &[Page], folder: &Path) {
    let browser = Browser::start(Gpu::Swiftshader).await;
    for (name, path, signed_in) in pages {
        browser.open(url).await;
        browser.sign_out().await;
        if *signed_in {
            browser.sign_in(url, session).await;
        }
        for lang in ["en", "zh"] {
            let joint = if path.contains('?') { '&' } else { '?' };
            for (look_name, look) in LOOKS {
                browser.look(look).await;
                browser.open(&format!("{url}{path}{joint}lang={lang}")).await;
                browser.text_where("h1", Duration::from_secs(10), |text| !text.is_empty()).await;
                browser.whole_page(&folder.join(format!("{name}-{look_name}-{lang}.png"))).await;
            }
        }
    }
    browser.close().await;
}
