//! Why a socket ends.

use wire::ErrorCode;

/// Why a socket is closed; the device is told.
#[derive(Debug)]
pub struct Closing {
    pub code: ErrorCode,
    pub message: String,
}

pub fn closing(code: ErrorCode, message: impl Into<String>) -> Closing {
    Closing { code, message: message.into() }
}
