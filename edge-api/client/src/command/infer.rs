//! `tessera infer`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use client::{Client, ClientError};
use wire::Program;

use super::submit::{JobOptions, ProgramArguments};

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
    options: JobOptions,
}

impl ProgramArguments for Infer {
    async fn upload(&self, client: &Client) -> Result<Program, ClientError> {
        let Files { all, by_input } = files(&self.input);
        let model = client.upload(&self.model).await?.hash;
        let input = match all {
            Some(path) => Some(client.upload(path).await?.hash),
            None => None,
        };
        let mut inputs = BTreeMap::new();
        for (name, path) in by_input {
            inputs.insert(name.to_owned(), client.upload(path).await?.hash);
        }
        Ok(Program::Infer(wire::Infer { model, input, inputs, tile_rows: self.tile_rows }))
    }

    fn code(&self) -> &Path {
        &self.model
    }

    fn output(&self) -> &Path {
        &self.output
    }

    fn options(&self) -> &JobOptions {
        &self.options
    }
}

/// The files that hold rows.
struct Files<'a> {
    /// With every input in it.
    all: Option<&'a Path>,
    by_input: BTreeMap<&'a str, &'a Path>,
}

fn files(inputs: &[String]) -> Files<'_> {
    let mut files = Files { all: None, by_input: BTreeMap::new() };
    for input in inputs {
        // A path that is there is a path, whatever its name.
        match input.split_once('=').filter(|_| !Path::new(input).exists()) {
            Some((name, path)) => {
                files.by_input.insert(name, Path::new(path));
            }
            None => files.all = Some(Path::new(input)),
        }
    }
    files
}
