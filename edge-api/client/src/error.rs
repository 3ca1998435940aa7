//! Why a request failed.

use std::error::Error;
use std::time::Duration;

use wire::{BlobHash, ErrorBody};

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server said no, and why.
    #[error("{}{}", body.message, body.field.as_deref().map_or_else(String::new, |field| format!(" ({field})")))]
    Refused { status: u16, retry_after: Option<Duration>, body: Box<ErrorBody> },
    #[error("{}", network_text(.0))]
    Network(#[from] reqwest::Error),
    /// The connection stands, and nothing comes.
    #[error("the server said nothing for {} s, asked for {request}", within.as_secs())]
    Silent { request: String, within: Duration },
    #[error("the server's answer was not understood (status {status})")]
    Unexpected { status: u16, retry_after: Option<Duration> },
    #[error("'{url}' is not the address of a server, which looks like http://127.0.0.1:8080")]
    Url { url: String },
    /// The environment names one through which nobody can be reached.
    #[error(
        "what {variable} says is no proxy's address, which looks like http://127.0.0.1:3128 or socks5://127.0.0.1:1080"
    )]
    Proxy { variable: String },
    #[error("the key has a character that no key has: a space, a line break, or one beyond ASCII")]
    Key,
    #[error("'{path}' is a folder; name a file")]
    Folder { path: String },
    #[error("'{path}' is a device; name a file or a pipe")]
    Device { path: String },
    #[error("'{path}' is empty")]
    Empty { path: String },
    #[error("'{path}' could not be read")]
    Unreadable { path: String, source: std::io::Error },
    #[error("'{path}' could not be written")]
    Unwritable { path: String, source: std::io::Error },
    /// Some attempt at an order broke off after it was sent: it may have been taken, whatever became of the last one.
    #[error("it is not known whether the order was taken")]
    Unanswered {
        #[source]
        last: Box<ClientError>,
    },
    #[error("the result changed on the server while it was downloaded; try again")]
    Changed,
    #[error("what came is not the file whose hash is {hash}")]
    Damaged { hash: BlobHash },
    /// The server sent the request on to where it keeps its files.
    #[error("the server's store of files refused to send one (status {status})")]
    Elsewhere { status: u16 },
}

/// A stream that broke off has been reached before.
fn network_text(error: &reqwest::Error) -> &'static str {
    if has_wrong_certificate(error) {
        "the server is not who it says it is"
    } else if error.is_connect() {
        "the server could not be reached"
    } else if error.is_timeout() {
        "the server said nothing for too long"
    } else {
        "the connection to the server broke off"
    }
}

/// Neither this attempt nor another one trusts the other end.
fn has_wrong_certificate(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An error of input and output keeps what it wraps from its sources.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
    }
    false
}

/// Answers that a while may change: too many requests, and servers that are overwhelmed, starting or away. The others from
/// 500 on (no such operation, no room) will be the same the next time.
const PASSING: [u16; 5] = [429, 500, 502, 503, 504];

impl ClientError {
    /// Another attempt may do better.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Network(error) if has_wrong_certificate(error) => false,
            Self::Network(error) => {
                error.is_connect() || error.is_timeout() || error.is_body() || error.is_decode() || error.is_request()
            }
            // The server itself is asked the next time.
            Self::Silent { .. } | Self::Elsewhere { .. } => true,
            Self::Unanswered { last } => last.is_passing(),
            Self::Refused { status, .. } | Self::Unexpected { status, .. } => PASSING.contains(status),
            Self::Url { .. }
            | Self::Proxy { .. }
            | Self::Key
            | Self::Folder { .. }
            | Self::Device { .. }
            | Self::Empty { .. }
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Changed
            | Self::Damaged { .. } => false,
        }
    }

    /// The server may have done what was asked for.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            Self::Network(_) | Self::Silent { .. } => !self.is_untaken(),
            Self::Unexpected { status, .. } | Self::Refused { status, .. } => !(400..500).contains(status),
            Self::Unanswered { .. } => true,
            Self::Url { .. }
            | Self::Proxy { .. }
            | Self::Key
            | Self::Folder { .. }
            | Self::Device { .. }
            | Self::Empty { .. }
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Changed
            | Self::Damaged { .. }
            | Self::Elsewhere { .. } => false,
        }
    }

    /// The server has not begun with what was asked for: asking again does nothing twice.
    pub fn is_untaken(&self) -> bool {
        match self {
            Self::Network(error) => error.is_connect() && !has_wrong_certificate(error),
            Self::Refused { status, .. } | Self::Unexpected { status, .. } => *status == 429,
            Self::Silent { .. }
            | Self::Unanswered { .. }
            | Self::Url { .. }
            | Self::Proxy { .. }
            | Self::Key
            | Self::Folder { .. }
            | Self::Device { .. }
            | Self::Empty { .. }
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Changed
            | Self::Damaged { .. }
            | Self::Elsewhere { .. } => false,
        }
    }

    /// What the server says to wait before another attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Unexpected { retry_after, .. } => *retry_after,
            Self::Unanswered { last } => last.retry_after(),
            Self::Network(_)
            | Self::Silent { .. }
            | Self::Url { .. }
            | Self::Proxy { .. }
            | Self::Key
            | Self::Folder { .. }
            | Self::Device { .. }
            | Self::Empty { .. }
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Changed
            | Self::Damaged { .. }
            | Self::Elsewhere { .. } => None,
        }
    }
}
