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

/// What a device has signed could not be taken: it says it again when it is back.
pub fn commit_failed() -> Closing {
    closing(ErrorCode::Internal, "something went wrong on the server; connect again")
}

/// A device is sent away from a server that goes away: it comes back at once, to wherever it is led.
pub fn goodbye() -> Closing {
    closing(ErrorCode::Draining, "this server is being replaced; connect again")
}
