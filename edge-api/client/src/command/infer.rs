//! `tessera infer`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use client::Client;
use wire::Program;

use super::submit::{JobOptions, ProgramArguments};
use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct Infer {
    /// The model, as ONNX.
    #[arg(long, allow_hyphen_values = true)]
    model: PathBuf,
    /// The rows: a `.npy`, an `.npz` with an array for each of the model's inputs, or `NAME=FILE.npy`
    /// once for each.
    #[arg(long, required = true, value_name = "FILE or NAME=FILE", allow_hyphen_values = true)]
    input: Vec<String>,
    /// Where the result goes, in the format of its ending: `.npy`, `.csv` or `.json` for one output, `.npz` or `.bin`
    /// for all. `-` is standard output; left out, it goes beside you, under the job's name.
    #[arg(long, allow_hyphen_values = true)]
    output: Option<PathBuf>,
    /// Rows a tile; left out, the server chooses.
    #[arg(long)]
    tile_rows: Option<u32>,
    #[command(flatten)]
    options: JobOptions,
}

impl ProgramArguments for Infer {
    async fn upload(&self, client: &Client) -> Result<Program, Failure> {
        let Files { all, by_input } = files(&self.input)?;
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

    fn output(&self) -> Option<&Path> {
        self.output.as_deref()
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

fn files(inputs: &[String]) -> Result<Files<'_>, Failure> {
    let mut files = Files { all: None, by_input: BTreeMap::new() };
    for input in inputs {
        // A path that is there is a path, whatever its name.
        match split_name(input).filter(|_| !Path::new(input).exists()) {
            Some((name, path)) => {
                if files.by_input.insert(name, Path::new(path)).is_some() {
                    return Err(Failure::InputTwice { name: name.to_owned() });
                }
            }
            None if files.all.is_some() => return Err(Failure::InputUnnamed),
            None => files.all = Some(Path::new(input)),
        }
    }
    Ok(files)
}

/// `NAME=FILE` at the first `=` behind which there is such a file, since both may have one of their own; else at the first.
fn split_name(input: &str) -> Option<(&str, &str)> {
    let splits = || input.match_indices('=').map(|(at, _)| (&input[..at], &input[at + 1..]));
    splits().find(|(_, path)| Path::new(path).exists()).or_else(|| splits().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_is_said_once() {
        let said = |inputs: &[&str]| {
            let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
            files(&inputs).map(|files| files.by_input.len()).map_err(|failure| failure.to_string())
        };

        assert_eq!(said(&["a=1.npy", "b=2.npy"]), Ok(2));
        assert_eq!(said(&["a=1.npy", "a=2.npy"]), Err("--input a=… is said twice".to_owned()));
        assert!(said(&["1.npy", "2.npy"]).is_err());
    }
}
