//! Bodies that must keep moving: whoever sends a byte a minute holds no memory of ours for hours.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::time::Instant;

/// A body may take so long, and longer by its bytes at the rate below.
const GRACE: Duration = Duration::from_secs(30);
/// A second's worth, in bytes: far below what any modem does.
const RATE: u64 = 16 << 10;

#[derive(Debug, thiserror::Error)]
#[error("the body came more slowly than {RATE} bytes a second")]
struct TooSlow;

/// The body's pieces. It ends with an error once it has fallen behind.
pub fn paced(body: Body) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin {
    paced_after(body, GRACE)
}

fn paced_after(body: Body, grace: Duration) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin {
    let state: Option<(BodyDataStream, Instant)> = Some((body.into_data_stream(), Instant::now() + grace));
    let pieces = stream::unfold(state, |state| async move {
        let (mut pieces, deadline) = state?;
        match tokio::time::timeout_at(deadline, pieces.next()).await {
            Err(_elapsed) => Some((Err(axum::Error::new(TooSlow)), None)),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(Some(Ok(piece))) => {
                let bytes: u64 = wire::number::to(piece.len());
                let later = deadline + Duration::from_millis(bytes.saturating_mul(1000) / RATE);
                Some((Ok(piece), Some((pieces, later))))
            }
        }
    });
    Box::pin(pieces)
}

/// A whole body of at most `most` bytes.
pub async fn read_all(body: Body, most: usize) -> Result<Bytes, axum::Error> {
    axum::body::to_bytes(Body::from_stream(paced(body)), most).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_stops_is_given_up_and_one_that_moves_is_not() {
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 20]));
        let stopping = Body::from_stream(stream::iter([piece()]).chain(stream::pending()));
        let moving = Body::from_stream(stream::iter([piece(), piece()]));

        let count = async |body, grace| {
            paced_after(body, grace).filter(|piece| std::future::ready(piece.is_ok())).count().await
        };

        assert_eq!(count(moving, Duration::from_secs(1)).await, 2);
        let trickle = stream::iter(0..).then(|_| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        assert!(count(Body::from_stream(trickle), Duration::from_millis(100)).await < 6);
        let first = paced_after(stopping, Duration::ZERO).next().await;
        assert!(first.is_some(), "what is there already is taken");
    }
}
