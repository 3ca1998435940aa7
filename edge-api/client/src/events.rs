//! A job's server-sent events.

use eventsource_stream::{EventStreamError, Eventsource};
use futures::{Stream, StreamExt};
use wire::JobProgress;

use crate::error::ClientError;

/// The progress that the events tell, as long as the stream holds. Events of other kinds are passed over.
pub(crate) fn progress(response: reqwest::Response) -> impl Stream<Item = Result<JobProgress, ClientError>> {
    let status = response.status().as_u16();
    response.bytes_stream().eventsource().filter_map(move |event| {
        let progress = match event {
            Ok(event) => serde_json::from_str(&event.data).ok().map(Ok),
            Err(EventStreamError::Transport(error)) => Some(Err(error.into())),
            Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_)) => {
                Some(Err(ClientError::Unexpected { status, retry_after: None }))
            }
        };
        std::future::ready(progress)
    })
}
