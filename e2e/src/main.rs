//! The demo: the whole network on this machine, and the sample job through it.

#![expect(clippy::print_stdout, reason = "a demo speaks to whoever started it")]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use e2e::digits;
use e2e::stack::Stack;
use gpu_kernels::device::{Gpu, budget};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Of the demo's devices, each is challenged once in as many seconds.
const CHALLENGE_SECONDS: u32 = 60;

/// Starts the whole network on this machine, and runs the sample job through it.
#[derive(clap::Parser)]
struct Arguments {
    /// Where the portal is served.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// End after the sample job.
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Mesa complains on standard error, here and in every worker, where nobody has set it.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        let mut again = Command::new(std::env::current_exe()?);
        again.args(std::env::args_os().skip(1)).env("XDG_RUNTIME_DIR", std::env::temp_dir());
        return Err(again.exec().into());
    }
    // Whichever ends first drops the stack, and with it whatever was started. An interrupt ends the edge, too: then the
    // demo was asked to stop.
    tokio::select! {
        biased;
        result = asked_to_stop() => Ok(result?),
        result = demo(arguments) => result,
    }
}

async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

async fn demo(Arguments { port, once }: Arguments) -> anyhow::Result<()> {
    std::net::TcpListener::bind(("127.0.0.1", port))
        .with_context(|| format!("port {port} is taken; say PORT=… to use another"))?;
    println!("Starting the edge (SQLite, a folder for blobs) and one native device …");
    let mut stack = Stack::start_on(port).await;
    // Nobody knows a device's speed until it has been challenged; tests do without.
    stack.challenge_every(CHALLENGE_SECONDS).await;
    // Customers' kernels are recomputed by a checker, which needs an adapter; a software one will do.
    if Gpu::open(budget::NATIVE).await.is_ok() {
        stack.add_checker().await;
    }
    stack.start_worker("worker", &["--backend", "auto"]);
    let (client, key) = stack.customer().await?;

    println!("Running the sample: {} handwritten digits through a small CNN.", digits::ROWS);
    let begun = Instant::now();
    let job = stack.submit_digits(&client, 1, None).await?;
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} tiles  {elapsed_precise}  {msg}")?;
    let bar = ProgressBar::new(job.tiles).with_style(style);
    let watched = client.watch(job.id, |progress| {
        bar.set_position(progress.job.verified_tiles);
        bar.set_message(format!("{} at work", progress.devices_at_work));
    });
    let ended = tokio::select! {
        ended = watched => ended?,
        status = stack.edge_ends(say_worker_ended) => return Err(edge_ended(&stack, status)),
    };
    bar.finish();
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(ended.state == wire::JobState::Done, "the job ended as {}", ended.state.name());
    let result = stack.folder().join("result.npy");
    client.download(job.id, &result).await?;
    let accuracy = digits::accuracy(&digits::floats(&std::fs::read(&result)?));
    client.publish(job.id).await?;

    println!(
        "accuracy   {:.1} % of the {} digits it was not trained on",
        accuracy * 100.0,
        digits::ROWS - digits::TRAINED_ON
    );
    println!(
        "tiles      {} verified of {}, {} recomputed by the checker",
        ended.verified_tiles, ended.tiles, ended.recomputed_tiles
    );
    println!("devices    {}", ended.devices);
    println!("cost       {} credits", ended.cost);
    println!("time       {seconds:.2} s");
    let summary = json!({
        "job": ended.id,
        "tiles": ended.tiles,
        "verified_tiles": ended.verified_tiles,
        "recomputed_tiles": ended.recomputed_tiles,
        "accuracy": accuracy,
        "devices": ended.devices,
        "cost": ended.cost.to_string().parse::<f64>()?,
        "seconds": seconds,
    });
    println!("{summary}");
    if once {
        return Ok(());
    }
    let url = stack.url();
    println!("\nPortal     {url}\nLend       {url}/lend\nExplorer   {url}/explorer/jobs/{}\n", ended.id);
    println!("TESSERA_URL={url}\nTESSERA_KEY={key}\n\nCtrl-C stops everything.");
    let status = stack.edge_ends(say_worker_ended).await;
    Err(edge_ended(&stack, status))
}

fn say_worker_ended(name: &str, status: ExitStatus) {
    println!("The device '{name}' has ended ({status}); the edge goes on without it.");
}

fn edge_ended(stack: &Stack, status: ExitStatus) -> anyhow::Error {
    let log = stack.log_tail("edge.log", 10);
    anyhow::anyhow!("the edge has ended ({status}), so the demo ends; its log, newest first:\n{log}")
}
