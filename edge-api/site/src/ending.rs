//! What else there is of a page than its HTML.

/// What a page's address may end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its picture, for those who link to it.
    Png,
    /// Its table.
    Csv,
    /// What its table is made of.
    Json,
}

impl Ending {
    pub const ALL: [Self; 3] = [Self::Png, Self::Csv, Self::Json];

    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}
