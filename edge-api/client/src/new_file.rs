//! A result's file, which takes its place once it is whole.

use std::fs::{File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::ClientError;

/// Links that are followed from one to the next, as Linux does.
const LINKS_MAX: u32 = 40;

/// A file that takes its place once it is whole. Until then it lies beside it under another name, and it goes with whoever
/// gives up.
#[derive(Debug)]
pub struct NewFile {
    place: Place,
    written: NamedTempFile,
}

#[derive(Debug)]
enum Place {
    At {
        path: PathBuf,
        leads_to: PathBuf,
    },
    /// It has no name yet.
    In {
        folder: PathBuf,
    },
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    pub path: PathBuf,
    pub bytes: u64,
}

impl NewFile {
    /// At `path`, if a file can be written there. One that is there keeps its mode, and a link goes on leading to it.
    pub fn at(path: &Path) -> Result<Self, ClientError> {
        let failed = |source| unwritable(path, source);
        let leads_to = follow(path).map_err(failed)?;
        let there = leads_to.metadata().ok();
        if there.as_ref().is_some_and(|about| about.permissions().readonly()) {
            return Err(failed(io::ErrorKind::PermissionDenied.into()));
        }
        let written = match open_in(folder_of(&leads_to)) {
            // A folder that takes no new files may have one that can be written.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && there.is_some() => {
                File::options().write(true).open(&leads_to).and_then(|_| open_in(&std::env::temp_dir()))
            }
            // The system says that something is missing, and not what.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(nowhere(folder_of(&leads_to))),
            opened => opened,
        };
        Ok(Self { place: Place::At { path: path.to_owned(), leads_to }, written: written.map_err(failed)? })
    }

    /// In a folder, under a name that is said later.
    pub fn in_folder(folder: &Path) -> Result<Self, ClientError> {
        let written = open_in(folder).map_err(|source| unwritable(folder, source))?;
        Ok(Self { place: Place::In { folder: folder.to_owned() }, written })
    }

    /// What was made in a folder gets its name.
    pub fn named(self, name: &str) -> Result<Self, ClientError> {
        let Place::In { folder } = self.place else { return Ok(self) };
        let path = folder.join(name);
        let leads_to = follow(&path).map_err(|source| unwritable(&path, source))?;
        Ok(Self { place: Place::At { path, leads_to }, written: self.written })
    }

    pub(crate) fn path(&self) -> &Path {
        match &self.place {
            Place::At { path, .. } => path,
            Place::In { folder } => folder,
        }
    }

    /// To write into.
    pub(crate) fn reopen(&self) -> Result<File, ClientError> {
        self.written.reopen().map_err(|source| unwritable(self.path(), source))
    }

    /// Takes its place, in one step where the file system has it.
    pub(crate) fn persist(self) -> Result<PathBuf, ClientError> {
        let Self { place, written } = self;
        let (path, leads_to) = match place {
            Place::At { path, leads_to } => (path, leads_to),
            Place::In { folder } => return Err(unwritable(&folder, io::ErrorKind::IsADirectory.into())),
        };
        let failed = |source| unwritable(&path, source);
        let there = leads_to.metadata().ok().filter(std::fs::Metadata::is_file);
        if let Some(about) = &there {
            written.as_file().set_permissions(about.permissions()).map_err(failed)?;
        }
        match written.persist(&leads_to) {
            Ok(_) => {}
            // Mounted by itself, in another's folder, or on another file system: what is in it can be replaced.
            Err(error) if there.is_some() => {
                error.file.reopen().and_then(|whole| rewrite(whole, &leads_to)).map_err(failed)?;
            }
            Err(error) => return Err(failed(error.error)),
        }
        Ok(path)
    }
}

fn nowhere(folder: &Path) -> io::Error {
    let shown = folder.display();
    let text = if folder.is_dir() {
        format!("the folder '{shown}' takes no new files")
    } else {
        format!("there is no folder '{shown}'")
    };
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn rewrite(mut whole: File, path: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).truncate(true).open(path)?;
    io::copy(&mut whole, &mut file)?;
    file.sync_all()
}

fn unwritable(path: &Path, source: io::Error) -> ClientError {
    ClientError::Unwritable { path: path.display().to_string(), source }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a path leads over links, be there a file or not. Names that the file system refuses are refused here.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path: PathBuf = path.components().collect();
    for _ in 0..LINKS_MAX {
        match path.symlink_metadata() {
            Ok(about) if about.is_symlink() => path = folder_of(&path).join(path.read_link()?),
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("links lead around in a circle"))
}

fn open_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tessera-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: less what the user's mask takes off.
        builder.permissions(Permissions::from_mode(0o666));
    }
    // The name that it has meanwhile is nobody's concern.
    builder.tempfile_in(folder).map_err(|error| error.kind().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) -> Result<PathBuf, ClientError> {
        let new = NewFile::at(path)?;
        std::fs::write(new.written.path(), text).unwrap();
        new.persist()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_name_that_no_file_can_have_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();

        let refused = NewFile::at(&folder.path().join("n".repeat(300))).map(|_| ());

        assert!(matches!(refused, Err(ClientError::Unwritable { .. })), "{refused:?}");
        assert_eq!(names(folder.path()), Vec::<String>::new());
        let long = NewFile::in_folder(folder.path()).unwrap().named(&"n".repeat(300)).map(|_| ());
        assert!(matches!(long, Err(ClientError::Unwritable { .. })), "{long:?}");
        assert_eq!(names(folder.path()), Vec::<String>::new());
        assert!(write(&folder.path().join("n".repeat(255)), "it fits").is_ok());
    }

    #[test]
    fn what_was_begun_and_not_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let begun = NewFile::at(&folder.path().join("result.npy")).unwrap();
        assert_eq!(names(folder.path()).len(), 1);

        drop(begun);

        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_mode_and_a_link_goes_on_leading_to_it() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link, dangling) = ["file", "link", "dangling"].map(|name| folder.path().join(name)).into();
        std::fs::write(&file, "before").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        symlink("nothing yet", &dangling).unwrap();

        assert_eq!(write(&link, "after").unwrap(), link);
        write(&dangling, "something").unwrap();

        assert_eq!(std::fs::read_to_string(&file).unwrap(), "after");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink() && dangling.is_symlink());
        assert_eq!(std::fs::read_to_string(folder.path().join("nothing yet")).unwrap(), "something");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_not_there_or_takes_nothing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (link, missing) = (folder.path().join("link.npy"), folder.path().join("missing"));
        std::os::unix::fs::symlink(missing.join("result.npy"), &link).unwrap();
        let refused = |path: &Path| match NewFile::at(path) {
            Err(ClientError::Unwritable { source, .. }) => source.to_string(),
            other => panic!("{other:?}"),
        };

        assert_eq!(refused(&link), format!("there is no folder '{}'", missing.display()));
        #[cfg(target_os = "linux")]
        assert_eq!(refused(Path::new("/proc/x.npy")), "the folder '/proc' takes no new files");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_end() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        std::os::unix::fs::symlink(&there, &here).unwrap();
        std::os::unix::fs::symlink(&here, &there).unwrap();

        assert!(NewFile::at(&here).is_err());
    }
}
