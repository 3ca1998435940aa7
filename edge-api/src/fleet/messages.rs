//! Frames of a device's socket as messages, with what goes along with them.

use axum::extract::ws::{Message, WebSocket};
use futures::SinkExt;
use wire::frame::{Frame, Packed};
use wire::{FromDevice, ToDevice};

use super::scheduler::Outgoing;
use crate::app::App;

/// Frames that go out in one message at the most.
const FRAMES_AT_ONCE: usize = 16;

/// Sends one frame with nothing along.
pub async fn send(socket: &mut WebSocket, frame: &ToDevice) -> Result<(), axum::Error> {
    let text = serde_json::to_string(frame).map_err(axum::Error::new)?;
    socket.send(Message::Text(text.into())).await
}

/// The first frame and those that wait behind it. What is sent after a `Reveal` belongs to it: it is the last.
pub fn gather(first: Box<Outgoing>, frames: &mut tokio::sync::mpsc::Receiver<Box<Outgoing>>) -> Vec<Outgoing> {
    let mut gathered = vec![*first];
    let is_last = |frame: Option<&Outgoing>| frame.is_none_or(|out| matches!(out.frame, ToDevice::Reveal { .. }));
    while gathered.len() < FRAMES_AT_ONCE
        && !is_last(gathered.last())
        && let Ok(next) = frames.try_recv()
    {
        gathered.push(*next);
    }
    gathered
}

/// Sends frames: one message where something goes along with any of them, else a text each. Returns them as they were sent.
pub async fn send_all(
    app: &App,
    socket: &mut WebSocket,
    mut gathered: Vec<Outgoing>,
) -> Result<Vec<Outgoing>, axum::Error> {
    for out in &mut gathered {
        add_input(app, out).await;
    }
    if gathered.iter().all(|out| out.frame.along().is_empty()) {
        for out in &gathered {
            let text = serde_json::to_string(&out.frame).map_err(axum::Error::new)?;
            socket.feed(Message::Text(text.into())).await?;
        }
        socket.flush().await?;
        return Ok(gathered);
    }
    let mut packed = Packed::default();
    for Outgoing { frame, .. } in &gathered {
        let json = serde_json::to_string(frame).map_err(axum::Error::new)?;
        if packed.push(&json, frame.along()) {
            continue;
        }
        if !packed.is_empty() {
            socket.feed(Message::Binary(std::mem::take(&mut packed).into_message().into())).await?;
        }
        if !packed.push(&json, frame.along()) {
            // There is room for it alone: the device fetches the rest.
            socket.feed(Message::Text(json.into())).await?;
        }
    }
    if !packed.is_empty() {
        socket.feed(Message::Binary(packed.into_message().into())).await?;
    }
    socket.flush().await?;
    Ok(gathered)
}

/// Reads a small input; where that fails, the device asks for it and hears why.
async fn add_input(app: &App, out: &mut Outgoing) {
    let ToDevice::Lease(grant) = &mut out.frame else { return };
    if !out.input.is_empty() {
        let read = app.blobs.read_parts(&out.input).await;
        let read =
            read.inspect_err(|error| tracing::warn!(%error, lease = %grant.lease, "an input could not go along"));
        grant.input = read.ok().map(Vec::from);
    }
}

/// A frame from its JSON and what came along; an error says what is wrong with it.
pub fn read_frame(json: &str, along: &[u8]) -> Result<FromDevice, String> {
    let mut frame: FromDevice = serde_json::from_str(json).map_err(|error| format!("not a frame: {error}"))?;
    frame.take_along(along).map_err(|error| error.to_string())?;
    Ok(frame)
}
