//! What is uploaded: a file, or what comes out of a pipe.

use std::path::{Path, PathBuf};

use tempfile::TempPath;
use tokio::fs::File;

use crate::error::ClientError;

/// Something that can be read from its beginning as often as an upload is tried.
pub(crate) struct Source {
    path: PathBuf,
    /// What came out of a pipe, which gives it once.
    spooled: Option<TempPath>,
}

impl Source {
    /// A pipe is read to its end here.
    pub(crate) async fn open(path: &Path) -> Result<Self, ClientError> {
        let mut file = File::open(path).await.map_err(|source| unreadable(path, source))?;
        let about = file.metadata().await.map_err(|source| unreadable(path, source))?;
        let shown = || path.display().to_string();
        if about.is_dir() {
            return Err(ClientError::Folder { path: shown() });
        }
        let source = Self { path: path.to_owned(), spooled: None };
        if about.is_file() {
            return Ok(source);
        }
        if !is_pipe(&about) {
            return Err(ClientError::Device { path: shown() });
        }
        let spooled = tempfile::NamedTempFile::new().map_err(|source| unwritable(&std::env::temp_dir(), source))?;
        let mut into = File::create(spooled.path()).await.map_err(|source| unwritable(spooled.path(), source))?;
        tokio::io::copy(&mut file, &mut into).await.map_err(|source| unreadable(path, source))?;
        into.sync_all().await.map_err(|source| unwritable(spooled.path(), source))?;
        Ok(Self { spooled: Some(spooled.into_temp_path()), ..source })
    }

    /// From its beginning, with its size in bytes.
    pub(crate) async fn reopen(&self) -> Result<(File, u64), ClientError> {
        let failed = |source| unreadable(&self.path, source);
        let file = File::open(self.spooled.as_deref().unwrap_or(&self.path)).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        if size == 0 {
            return Err(ClientError::Empty { path: self.path.display().to_string() });
        }
        Ok((file, size))
    }
}

#[cfg(unix)]
fn is_pipe(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    about.file_type().is_fifo() || about.file_type().is_socket()
}

#[cfg(not(unix))]
fn is_pipe(_about: &std::fs::Metadata) -> bool {
    false
}

fn unreadable(path: &Path, source: std::io::Error) -> ClientError {
    ClientError::Unreadable { path: path.display().to_string(), source }
}

fn unwritable(path: &Path, source: std::io::Error) -> ClientError {
    ClientError::Unwritable { path: path.display().to_string(), source }
}
