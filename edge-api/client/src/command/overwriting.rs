//! No file is written over one that the same command reads or writes.

use std::path::{Path, PathBuf};

use super::output::is_stdout;
use super::pack::has_picture_ending;
use crate::failure::Failure;

/// Refuses to write a file that is read too, or twice. `written` is by options, `read` what their options named.
pub(crate) fn refuse_overwriting<'a>(
    written: &[(&str, &Path)],
    read: impl Iterator<Item = &'a Path>,
) -> Result<(), Failure> {
    let read: Vec<&Path> = read.collect();
    let folders: Vec<PathBuf> =
        read.iter().filter(|path| path.is_dir()).filter_map(|path| path.canonicalize().ok()).collect();
    let read: Vec<PathBuf> = read.into_iter().filter_map(place).collect();
    let mut before: Vec<(&str, PathBuf)> = Vec::new();
    for &(option, path) in written {
        let Some(place) = place(path) else { continue };
        let shown = path.display();
        let message = if read.contains(&place) {
            format!("{option} {shown} is a file that the command reads: name another")
        } else if path.exists() && folders.iter().any(|folder| is_picked(path, &place, folder)) {
            format!("{option} {shown} is a file of a folder that the command reads: name another")
        } else if let Some((other, _)) = before.iter().find(|(_, other)| *other == place) {
            format!("{option} {shown} is the file of {other} too: name another")
        } else {
            before.push((option, place));
            continue;
        };
        return Err(Failure::Usage { message });
    }
    Ok(())
}

/// Whether a file lies in the folder, itself or by a link, and is of those that are packed of it: what else lies there may be
/// an earlier result.
fn is_picked(path: &Path, place: &Path, folder: &Path) -> bool {
    let link = folder_of(path).canonicalize().ok().zip(path.file_name()).map(|(folder, name)| folder.join(name));
    [Some(place), link.as_deref()]
        .into_iter()
        .flatten()
        .any(|path| path.starts_with(folder) && has_picture_ending(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The one path of a file, be it there yet or not. `None` of what is no file, which keeps nothing.
fn place(path: &Path) -> Option<PathBuf> {
    if is_stdout(path) || path.metadata().is_ok_and(|about| !about.is_file()) {
        return None;
    }
    if let Ok(place) = path.canonicalize() {
        return Some(place);
    }
    Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("in.npy"), "rows").unwrap();
        let refused = |written: &[(&str, &Path)]| {
            let read = at("in.npy");
            refuse_overwriting(written, [read.as_path()].into_iter()).map_err(|failure| failure.to_string())
        };
        let (again, new) = (at("./in.npy"), at("new.npy"));

        assert!(
            refused(&[("--output", &again)]).unwrap_err().ends_with("is a file that the command reads: name another")
        );
        let twice = refused(&[("--output", &new), ("--picture-names", &new)]).unwrap_err();
        assert!(twice.starts_with("--picture-names") && twice.contains("the file of --output too"), "{twice}");
        assert_eq!(refused(&[("--output", &new), ("--picture-names", &at("names.txt"))]), Ok(()));
        assert_eq!(refused(&[("--output", "-".as_ref()), ("--picture-names", "-".as_ref())]), Ok(()));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("in.npy"), at("link.npy")).unwrap();
            assert!(refused(&[("--output", &at("link.npy"))]).is_err());
        }
    }

    #[test]
    fn a_picture_of_a_folder_that_is_read_is_not_replaced_and_what_else_lies_there_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("pics/cats")).unwrap();
        for name in ["pics/a.png", "pics/cats/b.JPG", "pics/result.npy", "beside.png"] {
            std::fs::write(at(name), "content").unwrap();
        }
        let refused = |name: &str| {
            let (written, read) = (at(name), at("pics/"));
            let found = refuse_overwriting(&[("--output", &written)], [read.as_path()].into_iter());
            found.map_err(|failure| failure.to_string())
        };

        for name in ["pics/a.png", "pics/cats/b.JPG", "pics/cats/../a.png"] {
            let found = refused(name).unwrap_err();
            assert!(found.ends_with("is a file of a folder that the command reads: name another"), "{found}");
        }
        for name in ["pics/result.npy", "pics/new.npy", "beside.png"] {
            assert_eq!(refused(name), Ok(()), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("beside.png"), at("pics/link.png")).unwrap();
            std::os::unix::fs::symlink(at("pics/a.png"), at("outside.npy")).unwrap();
            assert!(refused("pics/link.png").is_err(), "a linked picture is packed too");
            assert!(refused("outside.npy").is_err());
        }
    }
}
