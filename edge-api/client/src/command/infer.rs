//! `tessera infer`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use client::Client;
use wire::Program;

use super::inputs::{InputOptions, Wanted};
use super::submit::{JobOptions, ProgramArguments, Uploaded};
use crate::failure::Failure;
use crate::notes::Notes;

#[derive(clap::Args)]
pub(crate) struct Infer {
    /// The model, as ONNX.
    #[arg(long, allow_hyphen_values = true)]
    model: PathBuf,
    /// The rows: `.npy`, `.npz`, CSV, Parquet, a picture, a zip or a folder of pictures; or `NAME=FILE` once for each of
    /// the model's inputs.
    #[arg(long, required = true, value_name = "FILE or NAME=FILE", allow_hyphen_values = true)]
    input: Vec<PathBuf>,
    /// Where the result goes, in the format of its ending: `.npy`, `.csv` or `.json` for one output, `.npz` or `.bin`
    /// for all. `-` is standard output; left out, it goes beside you, under the job's name.
    #[arg(long, allow_hyphen_values = true)]
    output: Option<PathBuf>,
    /// Rows a tile; left out, the server chooses.
    #[arg(long)]
    tile_rows: Option<u32>,
    #[command(flatten)]
    options: JobOptions,
    #[command(flatten)]
    inputs: InputOptions,
}

impl ProgramArguments for Infer {
    async fn upload(&self, client: &Client, notes: &Notes) -> Result<Uploaded, Failure> {
        let Files { all, by_input } = input_files(&self.input)?;
        self.inputs.check(&all.into_iter().chain(by_input.values().copied()).collect::<Vec<_>>())?;
        let model = client.upload(&self.model).await?.hash;
        let mut sent = BTreeMap::new();
        for (input, path) in
            all.map(|path| (None, path)).into_iter().chain(by_input.into_iter().map(|(name, path)| (Some(name), path)))
        {
            sent.insert(input, self.inputs.send(client, notes, path, Wanted { model, input }).await?);
        }
        self.inputs.write_picture_names(&sent.values().collect::<Vec<_>>())?;
        let field = |input: Option<&str>| input.map_or_else(|| "input".to_owned(), |name| format!("inputs.{name}"));
        let names = sent.iter().filter_map(|(input, sent)| Some((field(*input), sent.name.clone()?))).collect();
        let input = sent.remove(&None).map(|sent| sent.hash);
        let inputs = sent.into_iter().filter_map(|(input, sent)| Some((input?.to_owned(), sent.hash))).collect();
        let program = Program::Infer(wire::Infer { model, input, inputs, tile_rows: self.tile_rows });
        Ok(Uploaded { program, names })
    }

    fn code(&self) -> &Path {
        &self.model
    }

    fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    fn written(&self) -> Vec<(&'static str, &Path)> {
        let output = self.output.as_deref().map(|path| ("--output", path));
        output.into_iter().chain(self.inputs.picture_names().map(|path| ("--picture-names", path))).collect()
    }

    fn files(&self) -> BTreeMap<String, &Path> {
        let mut named = BTreeMap::from([("model".to_owned(), self.model.as_path())]);
        if let Ok(Files { all, by_input }) = input_files(&self.input) {
            named.extend(all.map(|path| ("input".to_owned(), path)));
            named.extend(by_input.into_iter().map(|(name, path)| (format!("inputs.{name}"), path)));
        }
        named
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

fn input_files(inputs: &[PathBuf]) -> Result<Files<'_>, Failure> {
    let mut files = Files { all: None, by_input: BTreeMap::new() };
    for input in inputs {
        // A path that is there is a path, whatever its name.
        match split_name(input).filter(|_| !input.exists()) {
            Some((name, path)) => {
                if path.as_os_str().is_empty() {
                    return Err(Failure::InputMissing { name: name.to_owned() });
                }
                if files.by_input.insert(name, path).is_some() {
                    return Err(Failure::InputTwice { name: name.to_owned() });
                }
            }
            None if files.all.is_some() => return Err(Failure::InputUnnamed),
            None => files.all = Some(input),
        }
    }
    Ok(files)
}

/// `NAME=FILE` at the first `=` behind which there is such a file, since both may have one of their own; else at the first.
/// The file's name is what it is, in Unicode or not.
fn split_name(input: &Path) -> Option<(&str, &Path)> {
    let bytes = input.as_os_str().as_encoded_bytes().iter().enumerate();
    let splits = || bytes.clone().filter(|(_, byte)| **byte == b'=').filter_map(|(at, _)| split_at(input, at));
    splits().find(|(_, path)| path.exists()).or_else(|| splits().next())
}

/// What stands before and after a byte.
#[cfg(unix)]
fn split_at(input: &Path, at: usize) -> Option<(&str, &Path)> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (name, path) = input.as_os_str().as_bytes().split_at(at);
    Some((str::from_utf8(name).ok()?, Path::new(OsStr::from_bytes(&path[1..]))))
}

#[cfg(not(unix))]
fn split_at(input: &Path, at: usize) -> Option<(&str, &Path)> {
    let text = input.to_str()?;
    Some((&text[..at], Path::new(&text[at + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_is_said_once() {
        let said = |inputs: &[&str]| {
            let inputs: Vec<PathBuf> = inputs.iter().map(PathBuf::from).collect();
            input_files(&inputs).map(|files| files.by_input.len()).map_err(|failure| failure.to_string())
        };

        assert_eq!(said(&["a=1.npy", "b=2.npy"]), Ok(2));
        assert_eq!(said(&["a=1.npy", "a=2.npy"]), Err("--input a=… is said twice".to_owned()));
        assert!(said(&["1.npy", "2.npy"]).is_err());
        assert_eq!(said(&["a="]), Err("--input a=: the file is missing behind '='".to_owned()));
    }
}
