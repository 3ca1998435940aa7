//! The way to the edge: what a session needs of its surroundings, and how a native agent and a tab give
//! it.

#[cfg(target_arch = "wasm32")]
pub mod browser;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;

use std::time::Duration;

use wire::device::DeviceClass;

use crate::transfer::Transfer;

/// Sockets, HTTP and time, by `tokio` natively and by the browser in a tab.
pub trait Transport {
    /// What the device says that it is.
    const CLASS: DeviceClass;
    type Socket: Socket;
    type Http: Transfer;

    /// The edge's, as the device reaches it.
    fn origin(&self) -> &str;
    fn http(&self) -> &Self::Http;
    fn connect(&self) -> impl Future<Output = Result<Self::Socket, Closed>>;
    fn wait(&self, time: Duration) -> impl Future<Output = ()>;
}

/// A WebSocket to the edge. It closes when it is dropped.
pub trait Socket {
    /// The next message. Losing the future loses none.
    fn receive(&mut self) -> impl Future<Output = Result<Message, Closed>>;
    fn send(&mut self, message: Message) -> impl Future<Output = Result<(), Closed>>;
    fn close(&mut self) -> impl Future<Output = ()>;
}

/// What goes over a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A frame.
    Text(String),
    /// Frames with what goes along, or a part of what one announced.
    Bytes(Vec<u8>),
}

/// The connection is gone, or never was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Closed {
    pub reason: String,
}
