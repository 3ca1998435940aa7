//! The browser's own WebSocket.

use std::cell::RefCell;
use std::rc::Rc;

use futures::StreamExt;
use futures::channel::mpsc;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

use crate::link::{Closed, Message, Socket};

/// Messages that wait. The edge has a few frames out for one device, and the 86 parts of what measures its line.
const MESSAGES_MAX: usize = 256;

/// A socket with its callbacks, which live as long as it.
pub(super) struct TabSocket {
    socket: WebSocket,
    /// Ends when the socket closes.
    messages: mpsc::Receiver<Message>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_close: Closure<dyn Fn(JsValue)>,
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn closed(error: JsValue) -> Closed {
    Closed { reason: format!("{error:?}") }
}

impl TabSocket {
    /// It need not be open yet: the edge speaks first, and a failure to connect closes it.
    pub(super) fn open(url: &str) -> Result<Self, Closed> {
        let socket = WebSocket::new(url).map_err(closed)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let sender = Rc::new(RefCell::new(sender));
        let at_close = Rc::clone(&sender);
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            let data = event.data();
            let message = match data.as_string() {
                Some(text) => Some(Message::Text(text)),
                None => data.dyn_ref::<ArrayBuffer>().map(|bytes| Message::Bytes(Uint8Array::new(bytes).to_vec())),
            };
            if let Some(message) = message {
                // A session so far behind that its queue is full is lost anyway.
                sender.borrow_mut().try_send(message).unwrap_or_default();
            }
        });
        let on_close = Closure::<dyn Fn(JsValue)>::new(move |_event| at_close.borrow_mut().close_channel());
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Self { socket, messages, _on_message: on_message, _on_close: on_close })
    }
}

impl Socket for TabSocket {
    async fn receive(&mut self) -> Result<Message, Closed> {
        self.messages.next().await.ok_or_else(|| Closed { reason: "the connection was lost".to_owned() })
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        match message {
            Message::Text(text) => self.socket.send_with_str(&text),
            Message::Bytes(bytes) => self.socket.send_with_u8_array(&bytes),
        }
        .map_err(closed)
    }

    async fn close(&mut self) {
        self.socket.close().unwrap_or_default();
    }
}

impl Drop for TabSocket {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        self.socket.close().unwrap_or_default();
    }
}
