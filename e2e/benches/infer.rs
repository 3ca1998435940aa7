//! Images a second of the sample natively and in Chromium, and how soon a fresh tab has its first
//! verified tile. One JSON object a line.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]

use std::time::{Duration, Instant};

use e2e::browser::{Browser, Gpu as Adapter};
use e2e::digits;
use e2e::stack::Stack;
use gpu_kernels::device::{Device, Gpu, budget};
use onnx::forward::Session;
use onnx::{Feed, Graph};
use serde_json::json;

/// Copies of the 1,797 digits in one run.
const COPIES: usize = 8;
const RUNS: usize = 5;

fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "figure": name, "value": (value * 100.0).round() / 100.0, "unit": unit }));
}

fn graph() -> Graph {
    Graph::parse(&std::fs::read(digits::file("digits.onnx")).expect("the sample should be there"))
        .expect("the sample should parse")
}

/// The fastest of a few runs, in images a second.
fn images_per_second(mut run: impl FnMut()) -> f64 {
    run();
    let best = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .min()
        .unwrap_or(Duration::MAX);
    f64::from(u32::try_from(COPIES * digits::ROWS).unwrap_or(u32::MAX)) / best.as_secs_f64()
}

#[tokio::main]
async fn main() {
    let input = digits::floats(&digits::repeated(COPIES));
    let rows = COPIES * digits::ROWS;

    let feeds = vec![Feed::Rows(vec![1, 8, 8])];
    let plan = graph().plan(rows, &feeds).expect("the sample should plan");
    let input: Vec<u32> = input.iter().map(|value| value.to_bits()).collect();
    figure("infer.images.cpu", images_per_second(|| drop(plan.run(&[&input]))), "images/s");

    match pollster::block_on(Gpu::open(budget::NATIVE)) {
        Ok(gpu) => {
            let mut device = Device::Gpu(Box::new(gpu));
            let info = device.info().clone();
            let mut session = Session::new(graph(), feeds).expect("the sample should be ready");
            let name = format!("infer.images.native.{}", if info.software { "software" } else { info.backend });
            let run = || {
                drop(
                    pollster::block_on(
                        session.run(&mut device, rows, &[&input], async |_| std::ops::ControlFlow::Continue(())),
                    )
                    .expect("the sample should run"),
                );
            };
            figure(&name, images_per_second(run), "images/s");
        }
        Err(error) => eprintln!("SKIP infer.images.native: {error}"),
    }

    network_natively().await;
    network_in_chromium().await;
}

/// The same through the network, end to end: upload, leases, checks, settlement.
async fn network_natively() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &[]);
    let (client, _) = stack.customer().await.expect("an account should open");
    figure("infer.images.network.native", run_job(&stack, &client, COPIES).await, "images/s");
}

async fn run_job(stack: &Stack, client: &client::Client, copies: usize) -> f64 {
    let begun = Instant::now();
    let job = stack.submit_digits(client, copies, None).await.expect("a job should submit");
    client.watch(job.id, |_| {}).await.expect("a job should end");
    f64::from(u32::try_from(copies * digits::ROWS).unwrap_or(u32::MAX)) / begun.elapsed().as_secs_f64()
}

async fn network_in_chromium() {
    let stack = Stack::start().await;
    let (client, _) = stack.customer().await.expect("an account should open");
    let job = stack.submit_digits(&client, 1, None).await.expect("a job should submit");
    let browser = Browser::start(Adapter::Swiftshader).await;

    let begun = Instant::now();
    browser.lend(&stack.url(), "software").await;
    browser
        .text_where("[data-testid=tiles-verified]", Duration::from_secs(60), |tiles| tiles != "–" && tiles != "0")
        .await;
    figure("lend.open_to_first_verified_tile", begun.elapsed().as_secs_f64(), "s");

    client.watch(job.id, |_| {}).await.expect("a job should end");
    figure("infer.images.network.chromium", run_job(&stack, &client, COPIES).await, "images/s");
    browser.close().await;
}
