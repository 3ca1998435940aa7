//! How fast a device's line is, by what it fetches and uploads: its deadlines leave time for that.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use rules::scheduling::line::Direction;
use tokio::time::Instant;
use wire::{DeviceId, Micros};

use super::token::LeaseToken;
use crate::app::App;

/// A lease's file on its way to the device, which is measured until it has left or is broken off.
pub fn measure_download(app: &App, token: &LeaseToken, file: Response) -> Response {
    let Some(device) = token.device else { return file };
    let app = app.clone();
    file.map(|body| {
        let report = move |bytes, took| note(&app, device, Direction::Down, bytes, took);
        Body::new(Measured { body, began: None, bytes: 0, report })
    })
}

/// A lease's output that came from the device, whole, since `began`.
pub fn measure_upload(app: &App, token: &LeaseToken, bytes: u64, began: Instant) {
    if let Some(device) = token.device {
        note(app, device, Direction::Up, bytes, micros_since(began));
    }
}

fn note(app: &App, device: DeviceId, direction: Direction, bytes: u64, took: Micros) {
    app.scheduler.lock().core.on_transfer(device, direction, bytes, took);
}

fn micros_since(began: Instant) -> Micros {
    Micros::try_from(began.elapsed().as_micros()).unwrap_or(Micros::MAX)
}

struct Measured<R: FnMut(u64, Micros)> {
    body: Body,
    /// When the first of it was asked for.
    began: Option<Instant>,
    bytes: u64,
    report: R,
}

impl<R: FnMut(u64, Micros) + Unpin> HttpBody for Measured<R> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.began.get_or_insert_with(Instant::now);
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
        self.bytes += data.map_or(0, |data| wire::number::to(data.len()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<R: FnMut(u64, Micros)> Drop for Measured<R> {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            (self.report)(self.bytes, micros_since(began));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_file_is_measured_until_it_has_left_and_keeps_its_length() {
        let measured = Arc::new(Mutex::new(Vec::new()));
        let report = {
            let measured = Arc::clone(&measured);
            move |bytes, took| measured.lock().unwrap().push((bytes, took))
        };
        let body = |bytes: usize| Body::from(vec![0; bytes]);
        let whole = Measured { body: body(1000), began: None, bytes: 0, report: report.clone() };
        let unasked = Measured { body: body(5), began: None, bytes: 0, report };
        assert_eq!(whole.size_hint().exact(), Some(1000));

        drop(unasked);
        assert_eq!(axum::body::to_bytes(Body::new(whole), 1000).await.unwrap().len(), 1000);

        let measured = measured.lock().unwrap();
        assert!(
            matches!(measured[..], [(1000, took)] if took < Micros::try_from(Duration::from_secs(60).as_micros()).unwrap()),
            "{measured:?}"
        );
    }
}
