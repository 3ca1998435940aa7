//! How fast models run on this machine's CPU and GPU, beside onnxruntime on the same CPU in the same
//! run; and in Chromium, beside onnxruntime-web and TensorFlow.js in the same page. One JSON object a
//! line; a ratio above 1 is ours.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]

use std::collections::HashMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::page::{EnginePage, peers, tools};
use gpu_kernels::device::{Cpu, Device, Gpu, budget};
use onnx::forward::Session;
use onnx::{Feed, Graph, Tensor, proto};
use prost::Message;
use serde_json::{Value, json};

/// Runs of which the fastest counts.
const RUNS: usize = 12;
/// The same in a page, which has three times as many engines to wait for.
const PAGE_PATIENCE: Duration = Duration::from_secs(8);
/// A slow device is given up on after so long.
const PATIENCE: Duration = Duration::from_secs(20);

fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "figure": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

/// Writes the models into `folder` and times onnxruntime on them.
fn onnxruntime(folder: &Path, threads: usize) -> Vec<(String, f64)> {
    let python = tools().map(|tools| tools.join("onnx/bin/python")).filter(|python| python.exists());
    let Some(python) = python else {
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

fn read_input(folder: &Path) -> Tensor {
    let bytes = std::fs::read(folder.join("test_data_set_0/input_0.pb")).expect("the input should be there");
    let proto = proto::Tensor::decode(&bytes[..]).expect("the input should decode");
    Tensor::parse("input", &proto).expect("the input should parse")
}

/// The fastest run's seconds.
fn fastest(device: &mut Device, folder: &Path) -> f64 {
    let model = std::fs::read(folder.join("model.onnx")).expect("the model should be there");
    let graph = Graph::parse(&model).expect("the model should parse");
    let input = read_input(folder);
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
    let models: Vec<&str> = theirs.iter().map(|(model, _)| model.as_str()).collect();
    if peers().is_none() {
        eprintln!("SKIP kernels in Chromium: the peers are not installed: run bash e2e/setup.sh kernels");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(in_chromium(folder.path(), &models));
}

/// What is fetched for an engine, from the peers' folder or from the site's.
const DOWNLOADS: [(&str, &[&str]); 5] = [
    ("tessera.wasm", &["browser-worker-cpu_bg.wasm", "browser-worker-cpu.js"]),
    ("tessera.webgpu", &["browser-worker_bg.wasm", "browser-worker.js"]),
    (
        "onnxruntime-web.wasm",
        &[
            "onnxruntime-web/dist/ort.wasm.min.mjs",
            "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
            "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
        ],
    ),
    (
        "onnxruntime-web.webgpu",
        &[
            "onnxruntime-web/dist/ort.webgpu.min.mjs",
            "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.mjs",
            "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm",
        ],
    ),
    (
        "tfjs.webgpu",
        &["@tensorflow/tfjs-core/dist/tf-core.min.js", "@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js"],
    ),
];

/// Ours and theirs in one page, one thread each; then each in a page of its own, up to its first result.
async fn in_chromium(folder: &Path, models: &[&str]) {
    for model in models {
        let at = folder.join(model);
        let input = read_input(&at);
        std::fs::write(at.join("input.json"), json!(input.shape).to_string()).expect("the input should be written");
        let bytes: Vec<u8> = input.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(at.join("input.f32"), bytes).expect("the input should be written");
    }
    let page = EnginePage::start(folder).await;
    for model in models {
        let mut millis = HashMap::new();
        for (engine, _) in DOWNLOADS {
            let ask = format!("page.fastest('{engine}', '{model}', {RUNS}, {})", PAGE_PATIENCE.as_millis());
            match page.ask(&ask, Duration::from_secs(300)).await {
                Ok(value) => {
                    let value = value.as_f64().unwrap_or(f64::NAN);
                    figure(&format!("kernels.{model}.chromium.{engine}"), value, "ms");
                    millis.insert(engine, value);
                }
                Err(error) => eprintln!("SKIP kernels.{model}.chromium.{engine}: {error}"),
            }
        }
        for (ours, theirs) in [
            ("tessera.wasm", "onnxruntime-web.wasm"),
            ("tessera.webgpu", "onnxruntime-web.webgpu"),
            ("tessera.webgpu", "tfjs.webgpu"),
        ] {
            if let (Some(own), Some(other)) = (millis.get(ours), millis.get(theirs)) {
                figure(&format!("kernels.{model}.chromium.{ours}_over_{theirs}"), other / own, "times as fast");
            }
        }
    }
    for (engine, files) in DOWNLOADS {
        page.reload().await;
        // TensorFlow.js reads no ONNX.
        let model = if engine.starts_with("tfjs") { "matmul" } else { "mobilenet" };
        match page.ask(&format!("page.first('{engine}', '{model}')"), Duration::from_secs(300)).await {
            Ok(value) => {
                let value = value.as_f64().unwrap_or(f64::NAN);
                figure(&format!("kernels.first_result.{model}.chromium.{engine}"), value, "ms");
            }
            Err(error) => eprintln!("SKIP kernels.first_result.{engine}: {error}"),
        }
        let kilobytes: f64 = files.iter().map(|file| brotli_kilobytes(file)).sum();
        figure(&format!("kernels.download.{engine}"), kilobytes, "kB Brotli 9");
    }
    page.browser.close().await;
}

fn brotli_kilobytes(file: &str) -> f64 {
    let site = e2e::folder().join("../target/site").join(file);
    let at = if site.exists() { site } else { peers().expect("the peers should be installed").join(file) };
    let bytes = std::fs::read(at).expect("a bundle should be there");
    let mut compressed = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 9, 24);
    compressed.write_all(&bytes).expect("memory should take what is written");
    f64::from(u32::try_from(compressed.into_inner().len()).unwrap_or(u32::MAX)) / 1000.0
}
