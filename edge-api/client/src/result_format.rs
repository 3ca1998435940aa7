//! How a result is written.

use std::path::Path;

/// What the API can write a result as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFormat {
    /// One array.
    Npy,
    /// Every output by its name.
    Npz,
    /// A row a line, of one output.
    Csv,
    /// `shape` and `rows`, of one output.
    Json,
    /// Row after row, without a head.
    Bin,
}

impl ResultFormat {
    pub const ALL: [Self; 5] = [Self::Npy, Self::Npz, Self::Csv, Self::Json, Self::Bin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Bin => "bin",
        }
    }

    /// By a file's ending; `None` where it has none of these.
    pub fn of_path(path: &Path) -> Option<Self> {
        let ending = path.extension()?;
        Self::ALL.into_iter().find(|format| ending.eq_ignore_ascii_case(format.name()))
    }

    /// It holds one output, so somebody must say which where there are several.
    pub fn holds_one_output(self) -> bool {
        matches!(self, Self::Npy | Self::Csv | Self::Json)
    }
}
