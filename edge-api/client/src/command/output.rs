//! Where a result goes: opened before anything is uploaded or paid for it.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use client::{Client, ClientError, Downloaded, NewFile, ResultFormat, ResultPart};
use tokio::io::AsyncWriteExt;
use wire::{Job, Program};

use crate::failure::Failure;

/// What standard output is called among files.
const STDOUT: [&str; 5] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1"];
/// What is open already is written into as it is, be it a file or not.
const OPEN_FILES: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"];

/// Where a result goes.
#[derive(Debug)]
pub(crate) enum Output {
    /// It becomes this file once it is whole.
    File {
        format: ResultFormat,
        new: NewFile,
    },
    /// In this folder, under the job's name.
    Beside {
        new: NewFile,
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
    /// `-` is standard output; without a path the result goes beside whoever asks. A pipe waits for its reader.
    pub(crate) async fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            let here = std::env::current_dir().unwrap_or_else(|_gone| PathBuf::from("."));
            return Ok(Self::Beside { new: NewFile::in_folder(&here)? });
        };
        if is_stdout(path) {
            return if io::stdout().is_terminal() { Err(Failure::BinaryToTerminal) } else { Ok(Self::Stdout) };
        }
        let shown = || path.display().to_string();
        if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Failure::OutputFolder { path: shown() });
        }
        let is_open = path == Path::new("/dev/stderr")
            || path.parent().is_some_and(|parent| OPEN_FILES.iter().any(|open| parent == Path::new(open)));
        if is_open || path.metadata().is_ok_and(|about| !about.is_file()) {
            let stream = tokio::fs::File::options().write(true).open(path).await;
            let stream = stream.map_err(|source| unwritable(path, source))?.into_std().await;
            if stream.is_terminal() {
                return Err(Failure::BinaryToTerminal);
            }
            return Ok(Self::Stream { path: path.to_owned(), format: ResultFormat::of_path(path), stream });
        }
        let format = ResultFormat::of_path(path).ok_or_else(|| Failure::OutputEnding { path: shown() })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Failure::OutputParent { folder: folder.display().to_string() });
        }
        Ok(Self::File { format, new: NewFile::at(path)? })
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

    /// Standard output is taken, so that the answer has to go elsewhere.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Downloads what is wanted, and says where it is and how many bytes that are.
    pub(crate) async fn write(
        self,
        client: &Client,
        job: &Job,
        part: ResultPart,
        on_bytes: impl FnMut(Downloaded),
    ) -> Result<Written, Failure> {
        match self {
            Self::Stdout => {
                let mut out = tokio::io::stdout();
                let written = client.download_into(job.id, part, &mut out, of_stdout, on_bytes).await;
                let bytes = written.map_err(Failure::of_download)?;
                out.flush().await.map_err(Failure::of_output)?;
                Ok(Written { path: None, bytes })
            }
            Self::Stream { path, stream, .. } => {
                let mut out = tokio::fs::File::from_std(stream);
                let failed = |source| unwritable(&path, source);
                let written = client.download_into(job.id, part, &mut out, failed, on_bytes).await;
                let bytes = written.map_err(Failure::of_download)?;
                Ok(Written { path: Some(path), bytes })
            }
            Self::File { new, .. } => save(client, job, part, new, on_bytes).await,
            Self::Beside { new } => save(client, job, part, new.named(&file_name(job, part))?, on_bytes).await,
        }
    }
}

pub(crate) fn is_stdout(path: &Path) -> bool {
    STDOUT.iter().any(|name| path == Path::new(name))
}

/// A result that was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// `None` where it is standard output.
    pub path: Option<PathBuf>,
    pub bytes: u64,
}

async fn save(
    client: &Client,
    job: &Job,
    part: ResultPart,
    new: NewFile,
    on_bytes: impl FnMut(Downloaded),
) -> Result<Written, Failure> {
    let written = client.download_to(new, job.id, part, on_bytes).await?;
    Ok(Written { path: Some(written.path), bytes: written.bytes })
}

fn unwritable(path: &Path, source: io::Error) -> ClientError {
    ClientError::Unwritable { path: path.display().to_string(), source }
}

fn of_stdout(source: io::Error) -> ClientError {
    unwritable(Path::new("standard output"), source)
}

/// Of a job's name in its result's.
const NAME_BYTES_MAX: usize = 150;
/// Endings of what a job is called after where nobody said otherwise.
const PROGRAM_ENDINGS: [&str; 2] = [".onnx", ".wgsl"];

/// `NAME-ID.ENDING`: a job is called after its model or kernel where nobody said otherwise.
fn file_name(job: &Job, part: ResultPart) -> String {
    let ending = match (part, &job.program) {
        (ResultPart::Verified, _) => "partial.npz",
        (ResultPart::Whole(Some(format)), _) => format.name(),
        (ResultPart::Whole(None), Program::Map(_)) => "bin",
        (ResultPart::Whole(None), Program::Infer(_)) if job.outputs.len() == 1 => "npy",
        (ResultPart::Whole(None), Program::Infer(_)) => "npz",
    };
    format!("{}-{}.{ending}", plain(&job.name), job.id)
}

/// A job's name without what file systems refuse or a shell takes for something else.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let name = PROGRAM_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    // A file's name has 255 bytes at most.
    let name: String = name.char_indices().take_while(|(at, _)| *at < NAME_BYTES_MAX).map(|(_, c)| plain(c)).collect();
    let name = name.trim_start_matches(['.', '-', ' ']).trim_end();
    if name.is_empty() { "result".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_ending_chooses_the_format_or_is_refused_with_those_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        for format in ResultFormat::ALL {
            let path = folder.path().join(format!("result.{}", format.name()));
            let opened = Output::open(Some(&path)).await.unwrap();
            assert_eq!(opened.part(), ResultPart::Whole(Some(format)));
        }
        for path in ["result.zip", "result.xyz", "result"] {
            let refusal = Output::open(Some(path.as_ref())).await.map(|_| ()).map_err(|failure| failure.to_string());
            let expected = format!("no result is written as '{path}': end the name in .npy, .npz, .csv, .json or .bin");
            assert_eq!(refusal, Err(expected));
        }
    }

    #[tokio::test]
    async fn a_folder_is_no_file_and_a_file_needs_one() {
        assert!(matches!(Output::open(Some("/".as_ref())).await, Err(Failure::OutputFolder { .. })));
        let nowhere = Output::open(Some("/nowhere/at/all.npy".as_ref())).await;
        assert!(matches!(nowhere, Err(Failure::OutputParent { .. })));
    }

    #[test]
    fn a_job_s_name_becomes_a_file_s_whole_and_without_what_a_path_is_made_of() {
        for (name, expected) in [
            ("digits.onnx", "digits"),
            ("november/photos", "november_photos"),
            ("v1.2", "v1.2"),
            ("a\\b:c", "a_b_c"),
            ("-rf", "rf"),
            ("../../etc", "_.._etc"),
            (".onnx", "result"),
            ("", "result"),
            ("数字.wgsl", "数字"),
        ] {
            assert_eq!(plain(name), expected, "{name}");
        }
    }
}
