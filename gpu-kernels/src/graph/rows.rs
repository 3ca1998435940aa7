//! Which tensors can be computed row by row.
//!
//! A tensor holds *rows* when its data is one equal, contiguous chunk a batch row, and each chunk
//! depends on that row alone: its first dimension is a multiple of the batch.

/// How a tensor relates to the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "a tensor of rows holds rows")]
pub enum Rows {
    /// The same for every batch.
    Constant,
    Rows,
    /// Some value depends on more than one row, first at this node.
    Mixed(usize),
}

impl Rows {
    pub(super) fn mixed_by(self) -> Option<usize> {
        match self {
            Self::Mixed(node) => Some(node),
            Self::Constant | Self::Rows => None,
        }
    }

    pub(super) fn is_rows(self) -> bool {
        self == Self::Rows
    }

    /// What comes of several inputs, if the node itself keeps rows apart.
    pub(super) fn join(inputs: impl IntoIterator<Item = Self>) -> Self {
        inputs.into_iter().fold(Self::Constant, |joined, rows| match (joined, rows) {
            (Self::Mixed(node), _) | (_, Self::Mixed(node)) => Self::Mixed(node),
            (Self::Rows, _) | (_, Self::Rows) => Self::Rows,
            (Self::Constant, Self::Constant) => Self::Constant,
        })
    }
}
