//! What a `HEAD` is told of a length that nobody knows before the body is streamed: nothing.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use futures::stream;

/// The innermost router takes the body away, and the outermost would then say that its length is zero.
pub async fn leave_unknown_length_out(request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    let response = next.run(request).await;
    if !is_head || response.headers().contains_key(CONTENT_LENGTH) {
        return response;
    }
    response.map(|_empty| Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()))
}
