//! A device's socket on a whole server: hellos, frames out of turn and not quite frames, receipts that are signed and
//! wrong. The server never says that the fault is its own, and its books are right afterwards.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::body::Body;
use axum::http::Request;
use ed25519_dalek::{Signer, SigningKey};
use edge_api::server::Patience;
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wire::device::{Backend, DeviceClass, PROTOCOL};
use wire::frame::{Frame, Packed, Unpacked, unpack};
use wire::{BlobHash, DeviceId, ErrorCode, FromDevice, Hello, LeaseGrant, Nonce, Receipt, Signature, ToDevice};

use super::requests::{runtime, template};
use crate::draw::Draw;
use crate::edge::{Edge, Engine, Known};
use crate::mutate;
use crate::schema::Maker;

/// How long a device listens for an answer that may not come, and for a lease that it has asked for.
const LISTENS: Duration = Duration::from_millis(15);
const WAITS: Duration = Duration::from_millis(300);
const READY: &str = "{\"type\":\"ready\"}";
const FRAMES_MAX: usize = 12;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    over(draw, Engine::Sqlite)
}

pub(crate) fn postgres(draw: &mut Draw) -> anyhow::Result<()> {
    over(draw, Engine::Postgres)
}

fn over(draw: &mut Draw, engine: Engine) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let template = template(engine).await?;
        let edge = template.copy(engine).await?;
        edge_api::tasks::start(&edge.app);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let app = edge.app.clone();
        let serving = tokio::spawn(async move { edge_api::server::accept(&app, listener, Patience::default()).await });
        for _ in 0..=draw.below(2) {
            let key = SigningKey::from_bytes(&[u8::try_from(draw.below(3)).unwrap_or(0); 32]);
            Device { edge: &edge, known: &template.known, key, lease: None }.run(draw, address).await?;
        }
        edge.app.stop.cancel();
        serving.await?;
        edge.end().await
    })
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Device<'a> {
    edge: &'a Edge,
    known: &'a Known,
    key: SigningKey,
    /// What was lent to it last.
    lease: Option<LeaseGrant>,
}

impl Device<'_> {
    async fn run(&mut self, draw: &mut Draw, address: SocketAddr) -> anyhow::Result<()> {
        let (mut socket, _) = connect_async(format!("ws://{address}/v1/devices/socket")).await?;
        let first = self.listen(&mut socket, Duration::from_secs(20)).await?;
        let Some(ToDevice::Challenge { nonce, .. }) = first else { bail!("a socket begins with {first:?}") };
        let hello = self.hello(draw, nonce);
        if !self.say(draw, &mut socket, hello).await? {
            return Ok(());
        }
        for number in 0..draw.below(FRAMES_MAX) {
            let frame =
                if number == 0 && !draw.one_in(4) { sent(draw, &FromDevice::Ready) } else { self.frame(draw).await? };
            if !self.say(draw, &mut socket, frame).await? {
                return Ok(());
            }
        }
        // It may be gone already.
        socket.close(None).await.unwrap_or_default();
        Ok(())
    }

    /// Sends a frame, and listens for a moment. Whether the socket is still open.
    async fn say(&mut self, draw: &mut Draw, socket: &mut Socket, frame: Message) -> anyhow::Result<bool> {
        draw.show("a frame", &format!("{frame:?}"));
        let is_ready = matches!(&frame, Message::Text(text) if text.as_str() == READY);
        let within = if is_ready { WAITS } else { LISTENS };
        if socket.send(frame).await.is_err() {
            return Ok(false);
        }
        while let Some(frame) = self.listen(socket, within).await? {
            match frame {
                ToDevice::Lease(lease) => {
                    draw.is_taken = true;
                    self.lease = Some(lease);
                    return Ok(true);
                }
                ToDevice::Close { code, message } => {
                    ensure!(code != ErrorCode::Internal, "the server is at fault: {message}");
                    return Ok(false);
                }
                ToDevice::Refused { code, message, .. } => {
                    ensure!(code != ErrorCode::Internal, "the server is at fault: {message}");
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// The next frame, if one comes.
    async fn listen(&self, socket: &mut Socket, within: Duration) -> anyhow::Result<Option<ToDevice>> {
        loop {
            match tokio::time::timeout(within, socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    let frame = serde_json::from_str(&text);
                    return Ok(Some(frame.with_context(|| format!("the server says {text}"))?));
                }
                Ok(Some(Ok(Message::Binary(message)))) => {
                    if let Some(frame) = last_frame(&message)? {
                        return Ok(Some(frame));
                    }
                }
                Ok(Some(Ok(_control))) => {}
                Ok(Some(Err(_)) | None) | Err(_) => return Ok(None),
            }
        }
    }

    fn device(&self) -> DeviceId {
        DeviceId(self.key.verifying_key().to_bytes())
    }

    fn hello(&self, draw: &mut Draw, nonce: Nonce) -> Message {
        let device = self.device();
        let mut hello = Hello {
            protocol: PROTOCOL,
            device,
            signature: Signature([0; 64]),
            class: draw.pick(&DeviceClass::ALL),
            name: "GPU".to_owned(),
            backend: Backend::Vulkan,
            software: draw.one_in(2),
            buffer_bytes_max: 1 << 30,
            runs_kernels: draw.one_in(2),
            checker: draw.one_in(12),
            only_job: None,
            key: None,
            code: None,
        };
        if draw.one_in(3) {
            hello.key = Some(draw.pick(&self.known.keys));
        }
        match draw.below(20) {
            0 => hello.name = draw.text(128),
            1 => hello.backend = draw.pick(&Backend::ALL),
            2 => hello.buffer_bytes_max = draw.number(),
            3 => hello.code = Some(draw.text(20)),
            4 => hello.key = Some(draw.text(80)),
            5 => hello.only_job = self.known.ids.iter().find_map(|id| id.parse().ok()),
            6 => hello.device = DeviceId(draw.array()),
            _ => {}
        }
        if !draw.one_in(20) {
            let bytes = hello.signing_bytes(nonce, &self.edge.app.config.public_url);
            hello.signature = Signature(self.key.sign(&bytes).to_bytes());
        }
        sent(draw, &FromDevice::Hello(Box::new(hello)))
    }

    async fn frame(&self, draw: &mut Draw) -> anyhow::Result<Message> {
        let lease = self.lease.as_ref();
        Ok(match (draw.below(8), lease) {
            (0..=2, None) => sent(draw, &FromDevice::Ready),
            (0..=3, Some(lease)) => self.commit(draw, lease).await?,
            (4, Some(lease)) => {
                let tile = lease.first_tile.wrapping_add(draw.number());
                let line = u32::try_from(draw.number() >> 32).unwrap_or(0);
                let turns = draw.one_in(2);
                sent(draw, &FromDevice::Fault { lease: lease.lease, tile, line, turns })
            }
            (5, Some(lease)) => {
                let message = draw.text(600);
                sent(draw, &FromDevice::CannotCompile { lease: lease.lease, message })
            }
            (6, Some(lease)) => sent(draw, &FromDevice::Return { lease: lease.lease }),
            (6, None) => {
                let size = draw.size(70_000);
                if draw.one_in(2) {
                    Message::Binary(draw.bytes(size).into())
                } else {
                    Message::Text("x".repeat(size).into())
                }
            }
            _ => {
                let wrong_one_in = draw.pick(&[20, 1000]);
                let value = Maker { draw, known: &self.known.ids, wrong_one_in }.named("FromDevice");
                Message::Text(value.to_string().into())
            }
        })
    }

    /// A receipt that is signed, and seldom right.
    async fn commit(&self, draw: &mut Draw, lease: &LeaseGrant) -> anyhow::Result<Message> {
        let output = vec![draw.byte(); usize::try_from(lease.rows.saturating_mul(lease.task.out_bytes())).unwrap_or(0)];
        let goes_along = output.len() <= 16 << 10 && draw.one_in(2);
        if !goes_along && !draw.one_in(4) && output.len() < 1 << 20 {
            let target = format!("/v1/leases/{}/output", lease.token);
            let request = Request::put(target).body(Body::from(output.clone()))?;
            let status = self.edge.ask(request, ([127, 0, 0, 1], 1).into()).await?.status();
            ensure!(!status.is_server_error(), "an output is answered with {status}");
        }
        let mut receipt = Receipt {
            lease: lease.lease,
            job: lease.job,
            first_tile: lease.first_tile,
            tiles: lease.tiles,
            root: wire::TileHash(draw.array()),
            output: BlobHash(*blake3::hash(&output).as_bytes()),
            program: lease.task.program().to_owned(),
            backend: Backend::Vulkan,
            time: 0,
        };
        match draw.below(12) {
            0 => receipt.first_tile = draw.number(),
            1 => receipt.tiles = u32::try_from(draw.number() >> 32).unwrap_or(0),
            2 => receipt.program = draw.text(50),
            3 => receipt.backend = draw.pick(&Backend::ALL),
            4 => receipt.time = draw.signed(),
            5 => receipt.output = BlobHash(draw.array()),
            6 => receipt.lease = wire::LeaseId(draw.array()),
            _ => {}
        }
        let mut signature = Signature(self.key.sign(&receipt.signing_bytes()).to_bytes());
        if draw.one_in(12) {
            signature = Signature(draw.array());
        }
        let token = if draw.one_in(12) { draw.pick(&self.known.tokens) } else { lease.token.clone() };
        let output = goes_along.then_some(output);
        Ok(sent(draw, &FromDevice::Commit { receipt, signature, token, output }))
    }
}

/// A frame as it is, or damaged.
fn sent(draw: &mut Draw, frame: &FromDevice) -> Message {
    let text = serde_json::to_string(frame).expect("a frame should serialise");
    let text =
        if draw.one_in(12) { mutate::text(draw, &text, &["{", "}", "null", "1e99", "\"type\"", "-1"]) } else { text };
    if frame.along().is_empty() {
        return Message::Text(text.into());
    }
    let mut packed = Packed::default();
    for _ in 0..=draw.below(2) {
        packed.push(&text, frame.along());
    }
    let mut message = packed.into_message();
    if draw.one_in(12) {
        message.truncate(draw.size(message.len()));
    }
    if draw.one_in(12) {
        let (at, byte) = (draw.size(message.len()), draw.byte());
        message.splice(at.min(message.len()).., [byte]);
    }
    Message::Binary(message.into())
}

/// The last frame of a binary message.
fn last_frame(message: &[u8]) -> anyhow::Result<Option<ToDevice>> {
    let Unpacked::Frames(frames) = unpack(message)? else { return Ok(None) };
    let Some((json, along)) = frames.last() else { return Ok(None) };
    let mut frame: ToDevice = serde_json::from_str(json).with_context(|| format!("the server says {json}"))?;
    frame.take_along(along)?;
    Ok(Some(frame))
}
