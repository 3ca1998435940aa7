//! Files that a download which broke off can go on with: `Range`, `If-Range`, `If-None-Match` and `ETag` (RFC 9110, 13.1
//! and 14). Several ranges at once are answered with the whole file, as is what is no range.

use std::convert::Infallible;
use std::ops::Range;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, IntoResponseParts, Response};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http_range_header::{EndPosition, RangeUnsatisfiableError, StartPosition, parse_range_header};
use wire::ErrorCode;

use super::error::{ApiError, Refusal};

/// What a request says of the part that it wants, and of what it has already.
#[derive(Debug, Default)]
pub struct Resume {
    range: Option<String>,
    if_range: Option<String>,
    /// Of one line each.
    if_none_match: Vec<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Resume {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.method, &parts.headers))
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

/// A file whose size and content are known before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    size: u64,
    /// A strong validator.
    tag: String,
}

impl Known {
    /// `version` names the content: another one never has it.
    pub fn new(size: u64, version: &str) -> Self {
        Self { size, tag: format!("\"{version}\"") }
    }
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    Part(Range<u64>),
    /// The file is what the request has already.
    NotModified,
    /// The range begins behind the file's end.
    Unsatisfiable,
}

impl Resume {
    fn of(method: &Method, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        // Ranges are of a GET alone.
        let range = if *method == Method::GET { text(RANGE) } else { None };
        let lines = headers.get_all(IF_NONE_MATCH).iter();
        let if_none_match = lines.filter_map(|line| Some(line.to_str().ok()?.to_owned())).collect();
        Self { range, if_range: text(IF_RANGE), if_none_match }
    }

    pub fn wanted(&self, file: &Known) -> Wanted {
        if self.if_none_match.iter().any(|line| names(line, &file.tag)) {
            return Wanted::NotModified;
        }
        // A weak tag, or a date, is never the same as a strong one.
        if self.if_range.as_deref().is_some_and(|wanted| wanted != file.tag) {
            return Wanted::All;
        }
        self.range.as_deref().map_or(Wanted::All, |range| part(range, file.size))
    }

    /// The file, or the part of it that is wanted, which is read from its beginning on.
    pub fn answer(&self, headers: impl IntoResponseParts, file: Whole) -> Response {
        let Whole { size, version, body } = file;
        let (Some(size), Some(version)) = (size, version) else {
            let length = size.map(|size| (CONTENT_LENGTH, size.to_string()));
            return (headers, AppendHeaders(length), Body::from_stream(body)).into_response();
        };
        self.answer_from(headers, &Known::new(size, &version), |_first| (0, body))
    }

    /// The same of a file that can be begun elsewhere: `open` hears the first byte that is wanted, and says at which byte
    /// before it what it gives begins.
    pub fn answer_from(
        &self,
        headers: impl IntoResponseParts,
        file: &Known,
        open: impl FnOnce(u64) -> (u64, BoxStream<'static, Result<Bytes, std::io::Error>>),
    ) -> Response {
        let wanted = self.wanted(file);
        let body = match &wanted {
            Wanted::All => Body::from_stream(open(0).1),
            Wanted::Part(part) => {
                let (begins, body) = open(part.start);
                Body::from_stream(between(body, part.start - begins, part.end - begins))
            }
            Wanted::NotModified | Wanted::Unsatisfiable => Body::empty(),
        };
        file.answer(headers, &wanted, body)
    }
}

impl Known {
    /// `body` is what is wanted; where nothing is, it is not sent.
    pub fn answer(&self, headers: impl IntoResponseParts, wanted: &Wanted, body: Body) -> Response {
        let tag = AppendHeaders([(ETAG, self.tag.clone())]);
        let common = AppendHeaders([(ACCEPT_RANGES, "bytes")]);
        let length = |bytes: u64| AppendHeaders([(CONTENT_LENGTH, bytes.to_string())]);
        let range = |range: String| AppendHeaders([(CONTENT_RANGE, format!("bytes {range}/{}", self.size))]);
        match wanted {
            Wanted::All => (headers, tag, common, length(self.size), body).into_response(),
            Wanted::Part(part) => {
                let place = range(format!("{}-{}", part.start, part.end - 1));
                let length = length(part.end - part.start);
                (StatusCode::PARTIAL_CONTENT, headers, tag, common, length, place, body).into_response()
            }
            Wanted::NotModified => (StatusCode::NOT_MODIFIED, headers, tag).into_response(),
            Wanted::Unsatisfiable => {
                let message = format!("the file has {} bytes, and the range begins behind them", self.size);
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                let refusal = Refusal::new(status, ErrorCode::RangeNotSatisfiable, message);
                (tag, common, range("*".to_owned()), ApiError::from(refusal)).into_response()
            }
        }
    }
}

/// Whether a line of `If-None-Match` has the tag, by weak comparison, or takes any.
fn names(line: &str, tag: &str) -> bool {
    line.trim() == "*" || line.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// The bytes that are wanted of so many.
fn part(range: &str, size: u64) -> Wanted {
    let ranges = match parse_range_header(range) {
        Ok(parsed) => parsed.ranges,
        // Its grammar is right.
        Err(RangeUnsatisfiableError::ZeroSuffix) if !range.contains(',') => return Wanted::Unsatisfiable,
        Err(_no_range) => return Wanted::All,
    };
    let [range] = ranges[..] else { return Wanted::All };
    let start = match range.start {
        StartPosition::Index(first) => first,
        StartPosition::FromLast(bytes) => size.saturating_sub(bytes),
    };
    let end = match range.end {
        EndPosition::Index(last) if last < start => return Wanted::All,
        EndPosition::Index(last) => last.saturating_add(1).min(size),
        EndPosition::LastByte => size,
    };
    if start < end { Wanted::Part(start..end) } else { Wanted::Unsatisfiable }
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

    fn wanted(headers: &[(axum::http::HeaderName, &'static str)]) -> Wanted {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Resume::of(&Method::GET, &headers).wanted(&Known::new(10, "v"))
    }

    async fn ask(range: Option<&str>, version: Option<&str>) -> (u16, Option<String>, Bytes) {
        let resume = Resume { range: range.map(str::to_owned), ..Resume::default() };
        let chunks = ["abc", "de", "fghij"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let body = stream::iter(chunks).boxed();
        let answer = resume.answer((), Whole { size: Some(10), version: version.map(str::to_owned), body });
        let part = answer.headers().get(CONTENT_RANGE).map(|value| value.to_str().unwrap().to_owned());
        let length = answer.headers().get(CONTENT_LENGTH).map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 100).await.unwrap();
        assert!(status == 416 || length == Some(bytes.len().to_string()));
        (status, part, bytes)
    }

    #[tokio::test]
    async fn a_part_of_the_content_is_answered_alone() {
        let part = |range, content: &'static str| (206, Some(format!("bytes {range}/10")), Bytes::from(content));

        assert_eq!(ask(Some("bytes=4-"), Some("v")).await, part("4-9", "efghij"));
        assert_eq!(ask(Some("bytes=2-5"), Some("v")).await, part("2-5", "cdef"));
        assert_eq!(ask(Some("bytes=-3"), Some("v")).await, part("7-9", "hij"));
        assert_eq!(ask(Some("bytes=9-100"), Some("v")).await, part("9-9", "j"));
        assert_eq!(ask(Some("bytes=0-0"), Some("v")).await, part("0-0", "a"));
        let whole = (200, None, Bytes::from("abcdefghij"));
        assert_eq!(ask(None, Some("v")).await, whole);
        assert_eq!(ask(Some("bytes=4-"), None).await, whole, "it may be another one the next time");
        let (status, place, body) = ask(Some("bytes=10-"), Some("v")).await;
        assert_eq!((status, place.as_deref()), (416, Some("bytes */10")));
        assert!(body.starts_with(b"{\"code\":\"range_not_satisfiable\""), "{body:?}");
    }

    #[test]
    fn what_is_no_single_range_is_answered_whole() {
        for range in ["bytes=0-1,4-5", "bytes=0-1,20-", "rows=1-", "bytes=5-2", "bytes=-", "bytes=0-x", "bytes", ""] {
            assert_eq!(wanted(&[(RANGE, range)]), Wanted::All, "{range}");
        }
        assert_eq!(wanted(&[(RANGE, "bytes=18446744073709551615-")]), Wanted::Unsatisfiable);
        assert_eq!(wanted(&[(RANGE, "bytes=0-18446744073709551615")]), Wanted::Part(0..10));
        let of_head: HeaderMap = [(RANGE, "bytes=4-".parse().unwrap())].into_iter().collect();
        assert_eq!(Resume::of(&Method::HEAD, &of_head).wanted(&Known::new(10, "v")), Wanted::All);
    }

    #[test]
    fn a_range_that_begins_behind_the_end_is_refused_and_a_long_suffix_is_all() {
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(wanted(&[(RANGE, range)]), Wanted::Unsatisfiable, "{range}");
        }
        assert_eq!(wanted(&[(RANGE, "bytes=-11")]), Wanted::Part(0..10));
        let empty = Resume { range: Some("bytes=0-".to_owned()), ..Resume::default() };
        assert_eq!(empty.wanted(&Known::new(0, "v")), Wanted::Unsatisfiable);
    }

    #[test]
    fn a_part_is_of_the_content_that_the_request_has_the_rest_of() {
        let ask = |tag| wanted(&[(RANGE, "bytes=4-"), (IF_RANGE, tag)]);

        assert_eq!(ask("\"v\""), Wanted::Part(4..10));
        for other in ["\"older\"", "W/\"v\"", "v", "Fri, 27 Nov 2026 20:00:00 GMT"] {
            assert_eq!(ask(other), Wanted::All, "{other}");
        }
        assert_eq!(wanted(&[(RANGE, "bytes=10-"), (IF_RANGE, "\"older\"")]), Wanted::All);
    }

    #[test]
    fn what_the_request_has_already_is_not_sent_again() {
        for tags in ["\"v\"", "W/\"v\"", "\"older\", \"v\"", "*"] {
            assert_eq!(wanted(&[(IF_NONE_MATCH, tags), (RANGE, "bytes=4-")]), Wanted::NotModified, "{tags}");
        }
        for tags in ["\"older\"", "v", "\"v", ""] {
            assert_eq!(wanted(&[(IF_NONE_MATCH, tags)]), Wanted::All, "{tags}");
        }
        let resume = Resume { if_none_match: vec!["\"older\"".to_owned(), "\"v\"".to_owned()], ..Resume::default() };
        assert_eq!(resume.wanted(&Known::new(10, "v")), Wanted::NotModified, "on a second line");
    }
}
