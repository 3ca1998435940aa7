//! Where a result goes: opened before anything is uploaded or paid for it.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use client::{Client, ClientError, ResultFormat, ResultPart, new_file};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use wire::{Job, JobId, Program};

use crate::failure::Failure;

/// Where a result goes.
#[derive(Debug)]
pub(crate) enum Output {
    /// It becomes this file once it is whole.
    File {
        path: PathBuf,
        format: ResultFormat,
        new: NamedTempFile,
    },
    /// In this folder, under the job's name.
    Beside {
        new: NamedTempFile,
    },
    /// What is there and is no file: a pipe, a device.
    Stream {
        path: PathBuf,
        format: Option<ResultFormat>,
        stream: File,
    },
    Stdout,
}

impl Output {
    /// `-` is standard output; without a path the result goes beside whoever asks.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            let folder = Path::new(".");
            return Ok(Self::Beside { new: new_file(folder).map_err(|source| unwritable(folder, source))? });
        };
        if path == Path::new("-") {
            return if io::stdout().is_terminal() { Err(Failure::BinaryToTerminal) } else { Ok(Self::Stdout) };
        }
        let shown = || path.display().to_string();
        if path.is_dir() {
            return Err(Failure::OutputFolder { path: shown() });
        }
        if path.metadata().is_ok_and(|about| !about.is_file()) {
            let stream = File::options().write(true).open(path).map_err(|source| unwritable(path, source))?;
            return Ok(Self::Stream { path: path.to_owned(), format: ResultFormat::of_path(path), stream });
        }
        let format = ResultFormat::of_path(path).ok_or_else(|| Failure::OutputEnding { path: shown() })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Failure::OutputParent { folder: folder.display().to_string() });
        }
        if path.metadata().is_ok_and(|about| about.permissions().readonly()) {
            return Err(unwritable(path, io::ErrorKind::PermissionDenied.into()));
        }
        let new = new_file(folder).map_err(|source| unwritable(path, source))?;
        Ok(Self::File { path: path.to_owned(), format, new })
    }

    /// What of the job goes there.
    pub(crate) fn part(&self) -> ResultPart {
        ResultPart::Whole(match self {
            Self::File { format, .. } => Some(*format),
            Self::Stream { format, .. } => *format,
            Self::Beside { .. } | Self::Stdout => None,
        })
    }

    /// It would hold one output alone.
    pub(crate) fn holds_one_output(&self) -> bool {
        matches!(self.part(), ResultPart::Whole(Some(format)) if format.holds_one_output())
    }

    /// A partial result can go there.
    pub(crate) fn takes_npz(&self) -> bool {
        matches!(self.part(), ResultPart::Whole(None | Some(ResultFormat::Npz)))
    }

    /// Downloads what is wanted, and says where it is and how many bytes that are; nowhere where it went to standard output.
    pub(crate) async fn write(self, client: &Client, job: &Job, part: ResultPart) -> Result<Option<Written>, Failure> {
        match self {
            Self::Stdout => {
                let mut out = tokio::io::stdout();
                client.download_into(job.id, part, &mut out, of_stdout).await.map_err(Failure::of_download)?;
                out.flush().await.map_err(Failure::of_output)?;
                Ok(None)
            }
            Self::Stream { path, stream, .. } => {
                let mut out = tokio::fs::File::from_std(stream);
                client.download_into(job.id, part, &mut out, |source| file_error(&path, source)).await?;
                Ok(None)
            }
            Self::File { path, new, .. } => save(client, job.id, part, new, path).await.map(Some),
            Self::Beside { new } => {
                let path = PathBuf::from(file_name(job, part));
                save(client, job.id, part, new, path).await.map(Some)
            }
        }
    }
}

/// A result that was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub path: PathBuf,
    pub bytes: u64,
}

async fn save(
    client: &Client,
    id: JobId,
    part: ResultPart,
    new: NamedTempFile,
    path: PathBuf,
) -> Result<Written, Failure> {
    let failed = |source| file_error(&path, source);
    let mut out = tokio::fs::File::from_std(new.reopen().map_err(failed)?);
    let bytes = client.download_into(id, part, &mut out, failed).await?;
    out.sync_all().await.map_err(failed)?;
    new.persist(&path).map_err(|error| failed(error.error))?;
    Ok(Written { path, bytes })
}

fn file_error(path: &Path, source: io::Error) -> ClientError {
    ClientError::File { path: path.display().to_string(), source }
}

fn unwritable(path: &Path, source: io::Error) -> Failure {
    file_error(path, source).into()
}

fn of_stdout(source: io::Error) -> ClientError {
    file_error(Path::new("-"), source)
}

/// Of a job's name in its result's.
const NAME_BYTES_MAX: usize = 150;

/// `NAME-ID.ENDING`: a job is called after its model or kernel where nobody said otherwise.
fn file_name(job: &Job, part: ResultPart) -> String {
    let ending = match (part, &job.program) {
        (ResultPart::Whole(Some(format)), _) => format.name(),
        (ResultPart::Whole(None), Program::Map(_)) => "bin",
        (ResultPart::Whole(None), Program::Infer(_)) if job.outputs.len() == 1 => "npy",
        (ResultPart::Whole(None), Program::Infer(_)) | (ResultPart::Verified, _) => "npz",
    };
    let plain = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let name = Path::new(&job.name).file_stem().unwrap_or_default().to_string_lossy();
    // A file's name has 255 bytes at most.
    let name: String = name.char_indices().take_while(|(at, _)| *at < NAME_BYTES_MAX).map(|(_, c)| plain(c)).collect();
    let name = name.trim_start_matches(['.', '-', ' ']).trim_end();
    let name = if name.is_empty() { "result" } else { name };
    format!("{name}-{}.{ending}", job.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_chooses_the_format_or_is_refused_with_those_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        for format in ResultFormat::ALL {
            let path = folder.path().join(format!("result.{}", format.name()));
            let opened = Output::open(Some(&path)).unwrap();
            assert_eq!(opened.part(), ResultPart::Whole(Some(format)));
        }
        for path in ["result.zip", "result.xyz", "result"] {
            let refusal = Output::open(Some(path.as_ref())).map(|_| ()).map_err(|failure| failure.to_string());
            let expected = format!("no result is written as '{path}': end the name in .npy, .npz, .csv, .json or .bin");
            assert_eq!(refusal, Err(expected));
        }
    }

    #[test]
    fn a_folder_is_no_file_and_a_file_needs_one() {
        assert!(matches!(Output::open(Some("/".as_ref())), Err(Failure::OutputFolder { .. })));
        let nowhere = Output::open(Some("/nowhere/at/all.npy".as_ref()));
        assert!(matches!(nowhere, Err(Failure::OutputParent { .. })));
    }

    #[test]
    fn an_output_that_was_opened_and_not_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Output::open(Some(&folder.path().join("result.npy"))).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        drop(opened);

        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
