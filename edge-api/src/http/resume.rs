//! Files that a download which broke off can go on with: `Range`, `If-Range` and `ETag` (RFC 9110, 13.1.5 and 14).

use std::convert::Infallible;
use std::ops::RangeInclusive;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, IntoResponseParts, Response};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http_range_header::parse_range_header;

/// What a request says of the part that it wants.
pub struct Resume {
    range: Option<String>,
    if_range: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Resume {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// A file as it is sent whole.
pub struct Whole {
    /// Where it is known before it is made.
    pub size: Option<u64>,
    /// Names its content; `None` where that may be another one the next time.
    pub version: Option<String>,
    pub body: BoxStream<'static, Result<Bytes, std::io::Error>>,
}

impl Resume {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self { range: text(RANGE), if_range: text(IF_RANGE) }
    }

    /// The bytes that are wanted, where they are one part of this very content. Anything else is answered whole, as the
    /// standard allows.
    fn part(&self, size: u64, tag: &str) -> Option<RangeInclusive<u64>> {
        if self.if_range.as_deref().is_some_and(|wanted| wanted != tag) {
            return None;
        }
        let ranges = parse_range_header(self.range.as_deref()?).ok()?.validate(size).ok()?;
        <[_; 1]>::try_from(ranges).ok().map(|[range]| range)
    }

    /// The file, or the part of it that is wanted.
    pub fn answer(&self, headers: impl IntoResponseParts, file: Whole) -> Response {
        let Whole { size, version, body } = file;
        let (Some(size), Some(version)) = (size, version) else {
            let length = size.map(|size| (CONTENT_LENGTH, size.to_string()));
            return (headers, AppendHeaders(length), Body::from_stream(body)).into_response();
        };
        let tag = format!("\"{version}\"");
        let wanted = self.part(size, &tag);
        let common = AppendHeaders([(ACCEPT_RANGES, "bytes".to_owned()), (ETAG, tag)]);
        let Some(part) = wanted else {
            let length = AppendHeaders([(CONTENT_LENGTH, size.to_string())]);
            return (headers, common, length, Body::from_stream(body)).into_response();
        };
        let (first, last) = part.into_inner();
        let length = AppendHeaders([
            (CONTENT_LENGTH, (last + 1 - first).to_string()),
            (CONTENT_RANGE, format!("bytes {first}-{last}/{size}")),
        ]);
        let body = Body::from_stream(between(body, first, last + 1));
        (StatusCode::PARTIAL_CONTENT, headers, common, length, body).into_response()
    }
}

/// The bytes of a stream from `first` to before `end`.
fn between(
    body: BoxStream<'static, Result<Bytes, std::io::Error>>,
    first: u64,
    end: u64,
) -> BoxStream<'static, Result<Bytes, std::io::Error>> {
    let parts = stream::try_unfold((body, 0u64), move |(mut body, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let Some(chunk) = body.try_next().await? else { return Ok(None) };
        let len: u64 = wire::number::to(chunk.len());
        let place = |of: u64| wire::number::to::<usize>(of.clamp(at, at + len) - at);
        Ok(Some((chunk.slice(place(first)..place(end)), (body, at + len))))
    });
    parts.try_filter(|chunk: &Bytes| std::future::ready(!chunk.is_empty())).boxed()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn ask(range: Option<&str>, if_range: Option<&str>, version: Option<&str>) -> (u16, Option<String>, Bytes) {
        let resume = Resume { range: range.map(str::to_owned), if_range: if_range.map(str::to_owned) };
        let chunks = ["abc", "de", "fghij"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let body = stream::iter(chunks).boxed();
        let answer = resume.answer((), Whole { size: Some(10), version: version.map(str::to_owned), body });
        let part = answer.headers().get(CONTENT_RANGE).map(|value| value.to_str().unwrap().to_owned());
        let length = answer.headers().get(CONTENT_LENGTH).map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 100).await.unwrap();
        assert_eq!(length, Some(bytes.len().to_string()));
        (status, part, bytes)
    }

    #[tokio::test]
    async fn one_part_of_the_same_content_is_answered_alone() {
        let part = |range, content: &'static str| (206, Some(format!("bytes {range}/10")), Bytes::from(content));

        assert_eq!(ask(Some("bytes=4-"), None, Some("v")).await, part("4-9", "efghij"));
        assert_eq!(ask(Some("bytes=4-"), Some("\"v\""), Some("v")).await, part("4-9", "efghij"));
        assert_eq!(ask(Some("bytes=2-5"), None, Some("v")).await, part("2-5", "cdef"));
        assert_eq!(ask(Some("bytes=-3"), None, Some("v")).await, part("7-9", "hij"));
        assert_eq!(ask(Some("bytes=9-100"), None, Some("v")).await.2, "j");
    }

    #[tokio::test]
    async fn what_is_no_such_part_is_answered_whole() {
        let whole = (200, None, Bytes::from("abcdefghij"));

        assert_eq!(ask(None, None, Some("v")).await, whole);
        assert_eq!(ask(Some("bytes=4-"), Some("\"older\""), Some("v")).await, whole, "it is another file by now");
        assert_eq!(ask(Some("bytes=4-"), None, None).await, whole, "it may be another one the next time");
        for range in ["bytes=10-", "bytes=0-1,4-5", "rows=1-", "bytes=5-2", "bytes=-"] {
            assert_eq!(ask(Some(range), None, Some("v")).await, whole, "{range}");
        }
    }
}
