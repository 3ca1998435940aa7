//! What travels between the server and a child that converts. Both are the same program, so the format has no versions.
//!
//! The child is sent its order, a length and JSON. From then on it speaks: it asks for a range of the file, which is
//! answered by the bytes alone, sends a piece of what it makes, and says at the end what that was.

use serde::{Deserialize, Serialize};
use wire::{Detail, ErrorCode};

use super::error::ConvertError;
use super::order::Made;

/// A kind and two numbers, little-endian.
pub const HEAD_BYTES: usize = 17;
/// Of a range, and of a piece.
pub const PIECE_MAX: u64 = 1 << 20;
/// Of an order, and of what is said at the end.
pub const TEXT_MAX: u64 = 32 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// So many bytes from a place in the file.
    Read { start: u64, len: u64 },
    /// The bytes follow.
    Piece { len: u64 },
    /// The outcome follows.
    End { len: u64 },
}

impl Head {
    pub fn bytes(self) -> [u8; HEAD_BYTES] {
        let (kind, first, second) = match self {
            Self::Read { start, len } => (0, start, len),
            Self::Piece { len } => (1, len, 0),
            Self::End { len } => (2, len, 0),
        };
        let mut bytes = [kind; HEAD_BYTES];
        bytes[1..9].copy_from_slice(&first.to_le_bytes());
        bytes[9..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    /// `None` where it is none, or asks for more than may travel at once.
    pub fn parse(bytes: [u8; HEAD_BYTES]) -> Option<Self> {
        let (&[kind], numbers) = bytes.split_first_chunk()?;
        let (first, second) = numbers.split_first_chunk()?;
        let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(second.try_into().ok()?));
        match kind {
            0 if second <= PIECE_MAX => Some(Self::Read { start: first, len: second }),
            1 if first <= PIECE_MAX => Some(Self::Piece { len: first }),
            2 if first <= TEXT_MAX => Some(Self::End { len: first }),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Made(Made),
    Refused(Refused),
    /// The server's fault, or a defect of the child's.
    Failed(String),
}

/// Why, in words for whoever sent the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: ErrorCode,
    pub field: String,
    pub message: String,
    pub detail: Option<Detail>,
}

impl From<Result<Made, ConvertError>> for Outcome {
    fn from(result: Result<Made, ConvertError>) -> Self {
        match result {
            Ok(made) => Self::Made(made),
            Err(ConvertError::Fetch(error)) => Self::Failed(error.to_string()),
            Err(error) => Self::Refused(Refused::from(&error)),
        }
    }
}

impl From<&ConvertError> for Refused {
    fn from(error: &ConvertError) -> Self {
        let (code, field) = error.code_and_field();
        Self { code, field, message: error.to_string(), detail: error.detail() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_says_the_other_hears() {
        for head in [Head::Read { start: 1 << 40, len: 7 }, Head::Piece { len: PIECE_MAX }, Head::End { len: 0 }] {
            assert_eq!(Head::parse(head.bytes()), Some(head));
        }
        let too_much = [Head::Read { start: 0, len: PIECE_MAX + 1 }, Head::Piece { len: u64::MAX }];
        assert!(too_much.into_iter().all(|head| Head::parse(head.bytes()).is_none()));
        assert_eq!(Head::parse([9; HEAD_BYTES]), None);
    }
}
