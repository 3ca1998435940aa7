//! Jobs submitted and waited for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::Client;
use indicatif::{ProgressBar, ProgressStyle};
use wire::{Check, Credits, Job, JobState, Privacy, Program, SubmitJob, Tolerance};

use super::show;
use crate::Failure;

#[derive(clap::Args)]
pub(crate) struct Infer {
    /// The model, as ONNX.
    #[arg(long)]
    model: PathBuf,
    /// The rows: a `.npy`, an `.npz` with an array for each of the model's inputs, or `NAME=FILE.npy`
    /// once for each.
    #[arg(long, required = true, value_name = "FILE or NAME=FILE")]
    input: Vec<String>,
    /// Where the result goes: `.npy`, or `.npz` where the model has several outputs.
    #[arg(long)]
    output: PathBuf,
    /// Rows a tile; left out, the server chooses.
    #[arg(long)]
    tile_rows: Option<u32>,
    #[command(flatten)]
    order: Order,
}

#[derive(clap::Args)]
pub(crate) struct Map {
    /// The kernel, as WGSL: `main`, one invocation a record; binding 0 input records, binding 1 output
    /// records, binding 2 parameters.
    #[arg(long)]
    kernel: PathBuf,
    /// The records, one after another.
    #[arg(long)]
    input: PathBuf,
    /// Size of an input record, in bytes.
    #[arg(long)]
    record_bytes: u32,
    /// Size of an output record, in bytes.
    #[arg(long)]
    out_bytes: u32,
    /// Where the output records go.
    #[arg(long)]
    output: PathBuf,
    /// What `@binding(2)` holds.
    #[arg(long)]
    params: Option<PathBuf>,
    /// Operations that the loops of one record may take; left out, 65,536.
    #[arg(long)]
    fuel: Option<u32>,
    /// Two outputs are the same in every byte. Integer kernels need not say so.
    #[arg(long, conflicts_with = "tolerance")]
    exact: bool,
    /// Two floats are the same within RTOL·|b| + ATOL; left out, 1e-4,1e-6.
    #[arg(long, value_name = "RTOL,ATOL", value_parser = parse_tolerance)]
    tolerance: Option<Check>,
    /// Records a tile; left out, the server chooses.
    #[arg(long)]
    tile_records: Option<u32>,
    #[command(flatten)]
    order: Order,
}

#[derive(clap::Args)]
struct Order {
    /// What to call the job.
    #[arg(long, default_value = "")]
    name: String,
    /// Who may see the inputs: open (any device), known (verified accounts' devices), own (yours).
    #[arg(long, default_value = "open", value_parser = parse_privacy)]
    privacy: Privacy,
    /// Refuse to pay more than this, in micro-credits.
    #[arg(long)]
    limit: Option<i64>,
    /// Submit and print the job instead of waiting.
    #[arg(long)]
    detach: bool,
}

fn parse_privacy(text: &str) -> Result<Privacy, String> {
    let known = Privacy::ALL.into_iter().find(|privacy| privacy.name() == text);
    known.ok_or_else(|| "it must be open, known or own".to_owned())
}

fn parse_tolerance(text: &str) -> Result<Check, String> {
    let number = |text: &str| {
        let value: f32 = text.trim().parse().map_err(|_malformed| format!("'{text}' is no number"))?;
        Tolerance::try_from(value).map_err(str::to_owned)
    };
    let (rtol, atol) = text.split_once(',').ok_or("write two numbers with a comma between, like 1e-4,1e-6")?;
    Ok(Check::Tolerance { rtol: number(rtol)?, atol: number(atol)? })
}

pub(crate) async fn infer(client: &Client, infer: &Infer, json: bool) -> Result<(), Failure> {
    let mut named = BTreeMap::new();
    let mut whole = None;
    for input in &infer.input {
        // A path that is there is a path, whatever its name.
        match input.split_once('=').filter(|_| !Path::new(input).exists()) {
            Some((name, path)) => {
                named.insert(name.to_owned(), PathBuf::from(path));
            }
            None => whole = Some(PathBuf::from(input)),
        }
    }
    let model = client.upload(&infer.model).await?;
    let input = match &whole {
        Some(path) => Some(client.upload(path).await?.hash),
        None => None,
    };
    let mut inputs = BTreeMap::new();
    for (name, path) in &named {
        inputs.insert(name.clone(), client.upload(path).await?.hash);
    }
    let program = Program::Infer(wire::Infer { model: model.hash, input, inputs, tile_rows: infer.tile_rows });
    finish(client, program, &infer.order, &infer.model, &infer.output, json).await
}

pub(crate) async fn map(client: &Client, map: &Map, json: bool) -> Result<(), Failure> {
    let kernel = client.upload(&map.kernel).await?;
    let params = match &map.params {
        Some(path) => Some(client.upload(path).await?.hash),
        None => None,
    };
    let input = client.upload(&map.input).await?;
    let program = Program::Map(wire::Map {
        kernel: kernel.hash,
        input: input.hash,
        record_bytes: map.record_bytes,
        out_bytes: map.out_bytes,
        params,
        fuel: map.fuel,
        check: map.exact.then_some(Check::Exact).or(map.tolerance),
        tile_records: map.tile_records,
    });
    finish(client, program, &map.order, &map.kernel, &map.output, json).await
}

/// Submits, follows to the end, and writes the result.
async fn finish(
    client: &Client,
    program: Program,
    order: &Order,
    code: &Path,
    output: &Path,
    json: bool,
) -> Result<(), Failure> {
    let request = SubmitJob {
        program,
        privacy: order.privacy,
        name: if order.name.is_empty() { file_name(code) } else { order.name.clone() },
        limit: order.limit.map(Credits::from_micros),
    };
    let job = client.submit(&request, &fresh_key()).await?;
    if order.detach {
        show(&job, json);
        return Ok(());
    }
    let bar = if json { ProgressBar::hidden() } else { progress_bar(&job) };
    let ended = client
        .watch(job.id, |progress| {
            bar.set_position(progress.job.verified_tiles);
            bar.set_message(format!("{} at work, {} credits", progress.devices_at_work, progress.job.cost));
        })
        .await?;
    bar.finish();
    if ended.state != JobState::Done {
        return Err(Failure::NoResult { id: ended.id, state: ended.state, fault: ended.fault });
    }
    client.download(ended.id, output).await?;
    show(&ended, json);
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().chars().filter(|c| !c.is_control()).take(128).collect())
        .unwrap_or_default()
}

/// Random by the address of the stack, the process and the time: unlike any earlier one of this account.
fn fresh_key() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}

fn progress_bar(job: &Job) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} tiles  {elapsed_precise}  {msg}");
    let bar = ProgressBar::new(job.tiles).with_style(style.unwrap_or_else(|_malformed| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
