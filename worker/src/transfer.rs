//! Bytes over HTTP, and where they lie at the edge.

use serde::de::DeserializeOwned;
use wire::JobId;

/// Blobs over HTTP: `reqwest` natively, `fetch` in a tab.
pub trait Transfer {
    fn get(&self, path: &str) -> impl Future<Output = Result<Vec<u8>, TransferError>>;
    fn put(&self, path: &str, body: Vec<u8>) -> impl Future<Output = Result<(), TransferError>>;
}

/// What the edge sent as JSON. Read as text, like frames: a parser of bytes would come into a tab's bundle besides,
/// with all that it can parse.
pub(crate) fn read_json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_str(&String::from_utf8_lossy(body))
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("the server answered {status}")]
    Status { status: u16 },
    #[error("the server could not be reached: {reason}")]
    Network { reason: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{url}' is not an http or https address")]
pub struct UrlError {
    pub url: String,
}

/// The edge's origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeUrl {
    secure: bool,
    /// Host and port, without a slash at the end.
    authority: String,
}

impl EdgeUrl {
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (secure, authority) = match url.split_once("://") {
            Some(("http", authority)) => (false, authority),
            Some(("https", authority)) => (true, authority),
            _ => return Err(UrlError { url: url.to_owned() }),
        };
        Ok(Self { secure, authority: authority.trim_end_matches('/').to_owned() })
    }

    /// Where devices open their WebSocket.
    pub fn socket(&self) -> String {
        format!("{}://{}/v1/devices/socket", if self.secure { "wss" } else { "ws" }, self.authority)
    }

    pub fn http(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// What the device means when it says hello: lower case, without the scheme's own port.
    pub fn origin(&self) -> String {
        let (scheme, port) = if self.secure { ("https", ":443") } else { ("http", ":80") };
        let authority = self.authority.to_ascii_lowercase();
        format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(&authority))
    }
}

/// Where the blobs of a lease lie, or those of one tile of a published job.
#[derive(Clone, Debug)]
pub(crate) struct BlobPaths {
    folder: String,
    tile: Option<u64>,
}

impl BlobPaths {
    pub(crate) fn of_lease(token: &str) -> Self {
        Self { folder: format!("/v1/leases/{token}"), tile: None }
    }

    pub(crate) fn of_sample(job: JobId, tile: u64) -> Self {
        Self { folder: sample_path(job), tile: Some(tile) }
    }

    pub(crate) fn path(&self, blob: &str) -> String {
        let tile = self.tile.map_or_else(String::new, |tile| format!("?tile={tile}"));
        format!("{}/{blob}{tile}", self.folder)
    }
}

/// Where the edge draws one tile of a published job.
pub(crate) fn sample_path(job: JobId) -> String {
    format!("/v1/public/jobs/{job}/sample")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_as_secure_as_the_origin() {
        let url = EdgeUrl::parse("https://edge.example:8443/").unwrap();

        assert_eq!(url.socket(), "wss://edge.example:8443/v1/devices/socket");
        assert_eq!(EdgeUrl::parse("HTTPS://Edge.example:443").map_err(drop), Err(()), "a scheme is written small");
        assert_eq!(EdgeUrl::parse("https://Edge.example:443").unwrap().origin(), "https://edge.example");
        assert_eq!(url.http("/v1/account"), "https://edge.example:8443/v1/account");
        assert_eq!(EdgeUrl::parse("http://edge").unwrap().socket(), "ws://edge/v1/devices/socket");
        assert_eq!(EdgeUrl::parse("edge"), Err(UrlError { url: "edge".to_owned() }));
    }

    #[test]
    fn blobs_lie_under_a_lease_or_under_a_sample() {
        let lease = BlobPaths::of_lease("token");
        let sample = BlobPaths::of_sample(JobId::from_parts(0, [0; 10]), 7);

        assert_eq!(lease.path("input"), "/v1/leases/token/input");
        assert!(sample.path("input").ends_with("/sample/input?tile=7"));
    }
}
