//! ONNX's own backend node cases on every backend of this machine, natively and in Chromium. Prints
//! how many passed, failed and are not supported, with their names; fails if one failed.

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use e2e::page::{EnginePage, bundle};
use engine::case::{Case, Outcome};
use gpu_kernels::device::{Gpu, budget};
use onnx::forward::run_plan;
use onnx::{Arena, Plan};

#[derive(clap::Parser)]
struct Arguments {
    /// Folders of cases, as `e2e/onnx/cases.py` and `models.py` write them.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// On these backends alone.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Backend::ALL)]
    backend: Vec<Backend>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    /// The processor, natively.
    Cpu,
    /// The GPU, natively.
    Gpu,
    /// The processor in Chromium.
    Wasm,
    /// WebGPU in Chromium.
    Webgpu,
}

impl Backend {
    const ALL: [Self; 4] = [Self::Cpu, Self::Gpu, Self::Wasm, Self::Webgpu];
}

/// Cases that the page computes before it answers.
const BATCH: usize = 25;
const BATCH_WITHIN: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut folders = Vec::new();
    for folder in &arguments.folders {
        for entry in fs::read_dir(folder).with_context(|| format!("no cases in {}", folder.display()))? {
            folders.push(entry?.path());
        }
    }
    folders.retain(|folder| folder.is_dir() && folder.to_string_lossy().contains(&arguments.only));
    folders.sort();
    anyhow::ensure!(!folders.is_empty(), "there is no case");
    let mut failed = false;
    for backend in arguments.backend {
        failed |= match backend {
            Backend::Cpu => {
                let mut arena = Arena::default();
                natively("cpu", &folders, async |plan, inputs| Ok(plan.run_in(&mut arena, inputs))).await?
            }
            Backend::Gpu => match Gpu::open(budget::NATIVE).await {
                Err(error) => {
                    println!("SKIP {error}");
                    false
                }
                Ok(mut gpu) => {
                    let name = format!("{} on {}", gpu.info.backend, gpu.info.name);
                    natively(&name, &folders, async |plan, inputs| {
                        run_plan(&mut gpu, &plan, inputs).await.map_err(|error| error.to_string())
                    })
                    .await?
                }
            },
            Backend::Wasm => in_chromium("tessera.wasm", &folders).await?,
            Backend::Webgpu => in_chromium("tessera.webgpu", &folders).await?,
        };
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

async fn natively(
    backend: &str,
    folders: &[PathBuf],
    mut run: impl AsyncFnMut(Plan, &[&[u32]]) -> Result<Vec<Vec<u32>>, String>,
) -> anyhow::Result<bool> {
    let mut report = Report::default();
    for folder in folders {
        let case = Case::read(|file| fs::read(folder.join(file)).ok());
        let outcome = match case.with_context(|| folder.display().to_string())? {
            Err(outcome) => outcome,
            Ok(case) => case.check(&mut run).await,
        };
        report.add(name(folder), outcome);
    }
    Ok(report.print(backend))
}

async fn in_chromium(engine: &str, folders: &[PathBuf]) -> anyhow::Result<bool> {
    anyhow::ensure!(bundle().join("engine.js").exists(), "the page's bundle is missing: run make onnx");
    let files = tempfile::tempdir()?;
    let mut known = BTreeMap::new();
    for folder in folders {
        pack(folder, &files.path().join(format!("{}.zip", name(folder))))?;
        known.insert(name(folder), folder);
    }
    let page = EnginePage::start(files.path()).await;
    let asked = page.ask(&format!("page.name('{engine}')"), BATCH_WITHIN).await.map_err(anyhow::Error::msg)?;
    let backend = format!("{engine} in Chromium on {}", asked.as_str().unwrap_or_default());
    let mut report = Report::default();
    let names: Vec<&String> = known.keys().collect();
    for batch in names.chunks(BATCH) {
        let ask = format!("page.check('{engine}', {})", serde_json::to_string(batch)?);
        let found = page.ask(&ask, BATCH_WITHIN).await.map_err(anyhow::Error::msg)?;
        let found: Vec<String> = serde_json::from_value(found)?;
        for (name, outcome) in batch.iter().zip(found) {
            let mut lines = outcome.splitn(3, '\n');
            let mut next = || lines.next().unwrap_or_default().to_owned();
            let outcome = match (next().as_str(), next()) {
                ("passed", _) => Outcome::Passed,
                ("unsupported", group) => Outcome::Unsupported(group, next()),
                (_, why) => Outcome::Failed(why),
            };
            report.add((*name).clone(), outcome);
        }
    }
    page.browser.close().await;
    Ok(report.print(&backend))
}

/// A case's folder in one file.
fn pack(folder: &Path, to: &Path) -> anyhow::Result<()> {
    let mut archive = zip::ZipWriter::new(fs::File::create(to)?);
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut waiting = vec![folder.to_owned()];
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(at)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                archive.start_file_from_path(path.strip_prefix(folder)?, options)?;
                archive.write_all(&fs::read(path)?)?;
            }
        }
    }
    archive.finish()?;
    Ok(())
}

/// What came of the cases on one backend.
#[derive(Default)]
struct Report {
    passed: usize,
    failed: Vec<String>,
    unsupported: BTreeMap<String, Vec<String>>,
}

impl Report {
    fn add(&mut self, name: String, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(why) => self.failed.push(format!("{name}: {why}")),
            Outcome::Unsupported(group, why) => {
                self.unsupported.entry(format!("{group}: {why}")).or_default().push(name);
            }
        }
    }

    /// Whether one failed.
    fn print(&self, backend: &str) -> bool {
        println!("== {backend}");
        for (group, names) in &self.unsupported {
            println!("unsupported {group}\n    {}", names.join(" "));
        }
        for line in &self.failed {
            println!("FAILED {line}");
        }
        let left_out: usize = self.unsupported.values().map(Vec::len).sum();
        println!("{backend}: {} passed, {} failed, {left_out} unsupported", self.passed, self.failed.len());
        !self.failed.is_empty()
    }
}
