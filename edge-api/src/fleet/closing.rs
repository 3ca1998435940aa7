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

/// A device is sent away from a server that goes away: it comes back at once, to wherever it is led.
pub fn goodbye() -> Closing {
    closing(ErrorCode::Draining, "this server is being replaced; connect again")
}
