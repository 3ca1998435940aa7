//! Why a request failed.

use std::time::Duration;

use wire::ErrorBody;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server said no, and why.
    #[error("{}{}", body.message, body.field.as_deref().map_or_else(String::new, |field| format!(" ({field})")))]
    Refused { status: u16, retry_after: Option<Duration>, body: ErrorBody },
    #[error("{}", network_text(.0))]
    Network(#[from] reqwest::Error),
    #[error("the server's answer was not understood (status {status})")]
    Unexpected { status: u16, retry_after: Option<Duration> },
    #[error("'{url}' is not the address of a server, which looks like http://127.0.0.1:8080")]
    Url { url: String },
    #[error("'{path}' is a folder; name a file")]
    Folder { path: String },
    #[error("'{path}' is empty")]
    Empty { path: String },
    #[error("'{path}' could not be read or written")]
    File { path: String, source: std::io::Error },
    #[error("the result changed on the server while it was downloaded; try again")]
    Changed,
}

/// A stream that broke off has been reached before.
fn network_text(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() && !error.is_connect() {
        "the server said nothing for too long"
    } else if error.is_body() || error.is_decode() {
        "the connection to the server broke off"
    } else {
        "the server could not be reached"
    }
}

impl ClientError {
    /// Another attempt may do better.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Network(error) => {
                error.is_connect() || error.is_timeout() || error.is_body() || error.is_decode() || error.is_request()
            }
            Self::Refused { status, .. } | Self::Unexpected { status, .. } => *status >= 500 || *status == 429,
            Self::Url { .. } | Self::Folder { .. } | Self::Empty { .. } | Self::File { .. } | Self::Changed => false,
        }
    }

    /// What the server says to wait before another attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Unexpected { retry_after, .. } => *retry_after,
            Self::Network(_)
            | Self::Url { .. }
            | Self::Folder { .. }
            | Self::Empty { .. }
            | Self::File { .. }
            | Self::Changed => None,
        }
    }
}
