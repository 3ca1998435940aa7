//! How fast models run on this machine's CPU and GPU, beside onnxruntime on the same CPU in the same
//! run. One JSON object a line; a ratio above 1 is ours.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gpu_kernels::budget;
use gpu_kernels::device::{Cpu, Device};
use gpu_kernels::gpu::Gpu;
use gpu_kernels::graph::forward::Session;
use gpu_kernels::graph::{Feed, Graph, Tensor, onnx};
use prost::Message;
use serde_json::{Value, json};

/// Runs of which the fastest counts.
const RUNS: usize = 12;
/// A slow device is given up on after so long.
const PATIENCE: Duration = Duration::from_secs(20);

fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "figure": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

/// Where `make setup` puts tools.
fn python() -> Option<PathBuf> {
    let tools = std::env::var_os("TESSERA_TOOLS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        Some(cache.join("tessera/tools"))
    })?;
    Some(tools.join("onnx/bin/python")).filter(|python| python.exists())
}

/// Writes the models into `folder` and times onnxruntime on them.
fn onnxruntime(folder: &Path, threads: usize) -> Vec<(String, f64)> {
    let Some(python) = python() else {
        eprintln!("SKIP kernels: onnxruntime is not installed: run bash e2e/setup.sh onnx");
        return Vec::new();
    };
    let script = e2e::folder().join("onnx/bench.py");
    let output = Command::new(python).args(["-W", "ignore"]).arg(script).arg(folder).arg(threads.to_string()).output();
    let output = output.expect("python should start");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line should be JSON"));
    lines.filter_map(|line| Some((line["model"].as_str()?.to_owned(), line["seconds"].as_f64()?))).collect()
}

/// The fastest run's seconds.
fn fastest(device: &mut Device, folder: &Path) -> f64 {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("the model should be there");
    let graph = Graph::parse(&read("model.onnx")).expect("the model should parse");
    let proto = onnx::Tensor::decode(&read("test_data_set_0/input_0.pb")[..]).expect("the input should decode");
    let input = Tensor::parse("input", &proto).expect("the input should parse");
    let mut session =
        Session::new(graph, vec![Feed::Rows(input.shape[1..].to_vec())]).expect("the model should be ready");
    let mut best = Duration::MAX;
    let begun = Instant::now();
    // The first run learns the budget.
    for _ in 0..=RUNS {
        let first = Instant::now();
        let fed = [input.words.as_ref()];
        let run = session.run(device, input.shape[0], &fed, async |_| ControlFlow::Continue(()));
        pollster::block_on(run).expect("the model should run");
        best = best.min(first.elapsed());
        if begun.elapsed() > PATIENCE {
            break;
        }
    }
    best.as_secs_f64()
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the models");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let theirs = onnxruntime(folder.path(), threads);
    let mut cpu = Device::Cpu(Cpu::open(Duration::from_secs(60), None));
    for (model, seconds) in &theirs {
        let ours = fastest(&mut cpu, &folder.path().join(model));
        figure(&format!("kernels.{model}.cpu"), ours * 1e3, "ms");
        figure(&format!("kernels.{model}.onnxruntime"), seconds * 1e3, "ms");
        figure(&format!("kernels.{model}.cpu_over_onnxruntime"), seconds / ours, "times as fast");
    }
    if let Some((_, seconds)) = theirs.iter().find(|(model, _)| model == "matmul") {
        figure("kernels.matmul.onnxruntime.gflops", 2.0 * 1.024f64.powi(3) / seconds, "GFLOP/s");
    }
    match pollster::block_on(Gpu::open(budget::NATIVE)) {
        Err(error) => eprintln!("SKIP kernels on a GPU: {error}"),
        Ok(gpu) => {
            let name = if gpu.info.software { "software" } else { gpu.info.backend };
            let mut gpu = Device::Gpu(Box::new(gpu));
            for (model, _) in &theirs {
                let ours = fastest(&mut gpu, &folder.path().join(model));
                figure(&format!("kernels.{model}.{name}"), ours * 1e3, "ms");
            }
        }
    }
}
