//! Why a request failed.

use wire::ErrorBody;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server said no, and why.
    #[error("{}{}", body.message, body.field.as_deref().map_or_else(String::new, |field| format!(" ({field})")))]
    Refused { status: u16, body: ErrorBody },
    #[error("the server could not be reached")]
    Network(#[from] reqwest::Error),
    #[error("the server's answer was not understood (status {status})")]
    Unexpected { status: u16 },
    #[error("'{url}' is not the address of a server, which looks like http://127.0.0.1:8080")]
    Url { url: String },
    #[error("'{path}' is a folder; name a file")]
    Folder { path: String },
    #[error("'{path}' could not be read or written")]
    File { path: String, source: std::io::Error },
}

impl ClientError {
    /// Another attempt may do better.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Network(error) => error.is_connect() || error.is_timeout() || error.is_body() || error.is_request(),
            Self::Refused { status, .. } | Self::Unexpected { status } => *status >= 500 || *status == 429,
            Self::Url { .. } | Self::Folder { .. } | Self::File { .. } => false,
        }
    }
}
