//! What files of rows are, by how they begin: which options are for them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use crate::failure::Failure;

/// Read of a file to see what it is.
const HEAD_BYTES: u64 = 64;

/// What a file of rows is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    Arrays,
    Csv,
    Parquet,
    Picture,
    /// In a zip or a folder.
    Pictures,
}

/// Files that an option is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takers {
    Arrays,
    Tables,
    Csv,
    AllPictures,
    SeveralPictures,
}

impl Takers {
    fn has(self, kind: InputKind) -> bool {
        match self {
            Self::Arrays => kind == InputKind::Arrays,
            Self::Tables => matches!(kind, InputKind::Csv | InputKind::Parquet),
            Self::Csv => kind == InputKind::Csv,
            Self::AllPictures => matches!(kind, InputKind::Picture | InputKind::Pictures),
            Self::SeveralPictures => kind == InputKind::Pictures,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Arrays => "arrays (.npy, .npz)",
            Self::Tables => "tables (CSV, Parquet)",
            Self::Csv => "CSV files",
            Self::AllPictures => "pictures",
            Self::SeveralPictures => "a zip or a folder of pictures",
        }
    }
}

/// Refuses an option that none of the files takes, of those that were said. A file that cannot be looked at, such as a pipe,
/// may be any.
pub(crate) fn refuse_other_files(said: &[(&'static str, Takers)], files: &[&Path]) -> Result<(), Failure> {
    let kinds: Option<Vec<InputKind>> = files.iter().map(|file| kind(file)).collect();
    let Some(kinds) = kinds else { return Ok(()) };
    match said.iter().find(|(_, takers)| !kinds.iter().any(|kind| takers.has(*kind))) {
        None => Ok(()),
        Some((option, takers)) => {
            let shown: Vec<String> = files.iter().map(|file| format!("'{}'", file.display())).collect();
            let none = if shown.len() == 1 { "is none" } else { "are none" };
            let message = format!("{option} is for {}, and {} {none}: leave it out", takers.text(), shown.join(", "));
            Err(Failure::Usage { message })
        }
    }
}

/// `None` where it cannot be told here.
fn kind(path: &Path) -> Option<InputKind> {
    if path.is_dir() {
        return Some(InputKind::Pictures);
    }
    if !path.is_file() {
        return None;
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    match &head[..] {
        [] => None,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(InputKind::Arrays),
        [b'P', b'K', 3, 4, ..] => {
            let archive = ZipArchive::new(File::open(path).ok()?).ok()?;
            let has_arrays = archive.file_names().any(|name| name.ends_with(".npy"));
            Some(if has_arrays { InputKind::Arrays } else { InputKind::Pictures })
        }
        [b'P', b'A', b'R', b'1', ..] => Some(InputKind::Parquet),
        [0xff, 0xd8, 0xff, ..]
        | [0x89, b'P', b'N', b'G', ..]
        | [b'G', b'I', b'F', b'8', ..]
        | [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(InputKind::Picture),
        head if is_bmp(head) => Some(InputKind::Picture),
        // What is neither text nor any of these the server refuses by what it is.
        head if head.contains(&0) => None,
        _ => Some(InputKind::Csv),
    }
}

/// Two letters alone may begin a table too, so how long the header behind them says that it is has to be one that there is.
fn is_bmp(head: &[u8]) -> bool {
    let header_len = head.get(14..).and_then(|rest| rest.first_chunk()).map(|len| u32::from_le_bytes(*len));
    head.starts_with(b"BM") && matches!(header_len, Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn an_option_that_no_file_takes_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let zip = |name: &str, entry: &str| {
            let path = folder.path().join(name);
            let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
            let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file(entry, stored).unwrap();
            zip.write_all(b"content").unwrap();
            zip.finish().unwrap();
            path
        };
        let (npy, npz) = (write("x.npy", b"\x93NUMPY\x01\0rest"), zip("x.npz", "x.npy"));
        let (csv, parquet) = (write("x.csv", b"a,b\n1,2\n"), write("x.parquet", b"PAR1rest"));
        let (picture, pictures) = (write("x.png", b"\x89PNG\r\n"), zip("x.zip", "a.png"));
        let refused = |said: (&'static str, Takers), files: &[&PathBuf]| {
            let files: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
            refuse_other_files(&[said], &files).map_err(|failure| failure.to_string())
        };
        let all = [&npy, &npz, &csv, &parquet, &picture, &pictures];
        let taken = |takers| all.map(|file| refused(("--option", takers), &[file]).is_ok());

        assert_eq!(taken(Takers::Arrays), [true, true, false, false, false, false]);
        assert_eq!(taken(Takers::Tables), [false, false, true, true, false, false]);
        assert_eq!(taken(Takers::Csv), [false, false, true, false, false, false]);
        assert_eq!(taken(Takers::AllPictures), [false, false, false, false, true, true]);
        assert_eq!(taken(Takers::SeveralPictures), [false, false, false, false, false, true]);
        let header = ("--header", Takers::Csv);
        assert_eq!(refused(header, &[&npy, &csv]), Ok(()), "one of several files takes it");
        let found = refused(header, &[&npy]).unwrap_err();
        assert!(found.starts_with("--header is for CSV files, and '") && found.contains("x.npy' is none"), "{found}");
        let nowhere = folder.path().join("nowhere");
        assert_eq!(refused(header, &[&nowhere, &npy]), Ok(()), "what is not there is refused as that");
    }

    #[test]
    fn a_table_whose_first_column_begins_as_bitmaps_do_is_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let found = |bytes: &[u8]| {
            let path = folder.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            kind(&path)
        };

        assert_eq!(found(b"BMI,age\n21.5,36\n24.0,40\n"), Some(InputKind::Csv));
        assert_eq!(found(b"BM\n1\n"), Some(InputKind::Csv), "though it ends before a header would");
        for header_len in [12u32, 40, 52, 56, 64, 108, 124] {
            let bitmap = [b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0".as_slice(), &header_len.to_le_bytes()].concat();
            assert_eq!(found(&bitmap), Some(InputKind::Picture), "{header_len}");
        }
    }
}
