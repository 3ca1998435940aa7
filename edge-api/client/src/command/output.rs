//! Where a result goes, looked at before anything is paid for it.

use std::path::Path;

use client::ResultFormat;

use crate::failure::Failure;

/// The format of a file's ending, if the file can be written.
pub(crate) fn check_output(path: &Path) -> Result<ResultFormat, Failure> {
    let shown = || path.display().to_string();
    if path.is_dir() {
        return Err(Failure::OutputFolder { path: shown() });
    }
    let format = ResultFormat::of_path(path).ok_or_else(|| Failure::OutputEnding { path: shown() })?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(Failure::OutputParent { folder: folder.display().to_string() }),
        None => Ok(format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_chooses_the_format_or_is_refused_with_those_that_there_are() {
        for format in ResultFormat::ALL {
            let path = format!("result.{}", format.name());
            assert_eq!(check_output(path.as_ref()).ok(), Some(format));
        }
        for path in ["result.zip", "result.xyz", "result"] {
            let refusal = check_output(path.as_ref()).map_err(|failure| failure.to_string());
            let expected = format!("no result is written as '{path}': end the name in .npy, .npz, .csv, .json or .bin");
            assert_eq!(refusal, Err(expected));
        }
    }

    #[test]
    fn a_folder_is_no_file_and_a_file_needs_one() {
        assert!(matches!(check_output("/".as_ref()), Err(Failure::OutputFolder { .. })));
        assert!(matches!(check_output("/nowhere/at/all.npy".as_ref()), Err(Failure::OutputParent { .. })));
    }
}
