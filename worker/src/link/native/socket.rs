//! A WebSocket by `tokio-tungstenite`.

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use wire::frame::MESSAGE_BYTES_MAX;

use crate::link::{Closed, Message, Socket};

/// Its default would be 128 kB a socket.
const READ_BUFFER_BYTES: usize = 4 << 10;
pub(super) struct NativeSocket(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

fn closed(error: &Error) -> Closed {
    Closed { reason: error.to_string() }
}

impl NativeSocket {
    pub(super) async fn connect(url: &str) -> Result<Self, Closed> {
        let config =
            WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).max_message_size(Some(MESSAGE_BYTES_MAX));
        // Frames are small and waited for: without Nagle's delay.
        let connected = Box::pin(connect_async_with_config(url, Some(config), true)).await;
        connected.map(|(socket, _response)| Self(socket)).map_err(|error| closed(&error))
    }
}

impl Socket for NativeSocket {
    async fn receive(&mut self) -> Result<Message, Closed> {
        loop {
            match self.0.next().await {
                Some(Ok(tungstenite::Message::Text(text))) => return Ok(Message::Text(text.to_string())),
                Some(Ok(tungstenite::Message::Binary(bytes))) => return Ok(Message::Bytes(bytes.to_vec())),
                Some(Ok(
                    tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_),
                )) => {}
                Some(Ok(tungstenite::Message::Close(_))) | None => {
                    return Err(Closed { reason: "the server closed the connection".to_owned() });
                }
                Some(Err(error)) => return Err(closed(&error)),
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        let message = match message {
            Message::Text(text) => tungstenite::Message::text(text),
            Message::Bytes(bytes) => tungstenite::Message::binary(bytes),
        };
        self.0.send(message).await.map_err(|error| closed(&error))
    }

    async fn close(&mut self) {
        // It may be gone already.
        self.0.close(None).await.unwrap_or_default();
    }
}
