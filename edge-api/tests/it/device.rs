//! Devices: a key, a socket and the frames that both sides send.

use std::collections::VecDeque;
use std::net::SocketAddr;

use ed25519_dalek::{Signer, SigningKey};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::device::{Backend, DeviceClass, LeaseGrant, PROTOCOL};
use wire::frame::{Frame, Packed, Unpacked, unpack};
use wire::{BlobHash, DeviceId, ErrorCode, FromDevice, Hello, LeaseId, Receipt, Signature, ToDevice, merkle};

use crate::app::TestApp;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The device whose key is made of a seed.
pub(crate) fn id(seed: u8) -> DeviceId {
    DeviceId(key(seed).verifying_key().to_bytes())
}

/// The frame that answers a challenge.
pub(crate) fn hello(challenge: &Value, seed: u8, change: impl FnOnce(&mut Hello)) -> String {
    let nonce = challenge["nonce"].as_str().unwrap().parse().unwrap();
    let mut hello = Hello {
        protocol: PROTOCOL,
        device: id(seed),
        signature: Signature([0; 64]),
        class: DeviceClass::Native,
        name: "GPU".to_owned(),
        backend: Backend::Vulkan,
        software: false,
        buffer_bytes_max: 1 << 30,
        runs_kernels: true,
        checker: false,
        only_job: None,
        key: None,
        code: None,
    };
    change(&mut hello);
    hello.signature = Signature(key(seed).sign(&hello.signing_bytes(nonce, "http://tessera.test")).to_bytes());
    serde_json::to_string(&FromDevice::Hello(Box::new(hello))).unwrap()
}

/// A device that is connected.
pub(crate) struct Device {
    seed: u8,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that came in one message with others.
    heard: VecDeque<ToDevice>,
}

/// What a binary message holds, but for parts of what a frame announced.
fn frames(message: &[u8]) -> Vec<ToDevice> {
    let Unpacked::Frames(frames) = unpack(message).unwrap() else { return Vec::new() };
    let frame = |(json, along): (&str, &[u8])| {
        let mut frame: ToDevice = serde_json::from_str(json).unwrap();
        frame.take_along(along).unwrap();
        frame
    };
    frames.into_iter().map(frame).collect()
}

impl Device {
    /// Says hello. The code with which the server closes the socket, where it does not take the device.
    pub(crate) async fn connect(
        address: SocketAddr,
        seed: u8,
        change: impl FnOnce(&mut Hello),
    ) -> Result<Self, ErrorCode> {
        let url = format!("ws://{address}/v1/devices/socket");
        let (mut socket, _) = Box::pin(tokio_tungstenite::connect_async(url)).await.unwrap();
        let challenge = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        socket.send(Message::text(hello(&challenge, seed, change))).await.unwrap();
        let mut device = Self { seed, socket, heard: VecDeque::new() };
        match device.next().await {
            ToDevice::Welcome(_) => Ok(device),
            ToDevice::Close { code, .. } => Err(code),
            other => panic!("a hello was answered with {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, frame: &FromDevice) {
        let json = serde_json::to_string(frame).unwrap();
        let mut packed = Packed::default();
        let message = match frame.along() {
            [] => Message::text(json),
            along => {
                assert!(packed.push(&json, along), "a test's frame should fit");
                Message::binary(packed.into_message())
            }
        };
        self.socket.send(message).await.unwrap();
    }

    /// The next frame; pings come in between.
    async fn next(&mut self) -> ToDevice {
        loop {
            if let Some(frame) = self.heard.pop_front() {
                return frame;
            }
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Binary(message) => self.heard.extend(frames(&message)),
                _ => {}
            }
        }
    }

    /// The next lease that it is given.
    pub(crate) async fn lease(&mut self) -> LeaseGrant {
        loop {
            if let ToDevice::Lease(lease) = self.next().await {
                return lease;
            }
        }
    }

    /// Asks for a lease, and waits for it.
    pub(crate) async fn take_lease(&mut self) -> LeaseGrant {
        self.send(&FromDevice::Ready).await;
        self.lease().await
    }

    /// Waits until a lease of its is settled, and says which.
    pub(crate) async fn settled(&mut self) -> LeaseId {
        loop {
            match self.next().await {
                ToDevice::Settled { lease, .. } => return lease,
                ToDevice::Refused { message, .. } => panic!("a lease was refused: {message}"),
                _ => {}
            }
        }
    }

    /// Why the server closes its socket, without having lent it anything before.
    pub(crate) async fn closed(&mut self) -> ErrorCode {
        loop {
            match self.next().await {
                ToDevice::Close { code, .. } => return code,
                ToDevice::Lease(lease) => panic!("it was lent {lease:?}"),
                _ => {}
            }
        }
    }

    /// What the server takes its speed to be after a challenge.
    pub(crate) async fn speed(&mut self) -> u64 {
        loop {
            if let ToDevice::Speed { ops_per_sec } = self.next().await {
                return ops_per_sec;
            }
        }
    }

    /// Uploads zeros as the lease's output, and signs that they are.
    pub(crate) async fn commit_zeros(&mut self, app: &TestApp, lease: &LeaseGrant) {
        self.commit(app, lease, zeros(lease)).await;
    }

    /// Uploads a lease's output, and signs it.
    pub(crate) async fn commit(&mut self, app: &TestApp, lease: &LeaseGrant, output: Vec<u8>) {
        let upload = axum::http::Request::put(format!("/v1/leases/{}/output", lease.token));
        let stored = app.send(upload.body(output.clone().into()).unwrap()).await;
        assert_eq!(stored.status, 201);
        let receipt = receipt(app, lease, &output);
        assert_eq!(stored.json()["hash"], receipt.output.to_string());
        self.say_commit(lease, receipt, None).await;
    }

    /// Signs an output, and sends another one along or the same.
    pub(crate) async fn commit_along(&mut self, app: &TestApp, lease: &LeaseGrant, signed: &[u8], along: Vec<u8>) {
        self.say_commit(lease, receipt(app, lease, signed), Some(along)).await;
    }

    async fn say_commit(&mut self, lease: &LeaseGrant, receipt: Receipt, output: Option<Vec<u8>>) {
        let signature = Signature(key(self.seed).sign(&receipt.signing_bytes()).to_bytes());
        self.send(&FromDevice::Commit { receipt, signature, token: lease.token.clone(), output }).await;
    }

    /// Why the next of its leases that comes to nothing does.
    pub(crate) async fn refused(&mut self) -> ErrorCode {
        loop {
            match self.next().await {
                ToDevice::Refused { code, .. } => return code,
                ToDevice::Settled { .. } => panic!("a lease was settled"),
                _ => {}
            }
        }
    }
}

fn receipt(app: &TestApp, lease: &LeaseGrant, output: &[u8]) -> Receipt {
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let tile_bytes = usize::try_from(lease.task.output_bytes(lease.tile_rows, 1)).unwrap();
    let leaves = output.chunks(tile_bytes).map(|tile| merkle::leaf(lease.lease, tile, hash));
    Receipt {
        lease: lease.lease,
        job: lease.job,
        first_tile: lease.first_tile,
        tiles: lease.tiles,
        root: merkle::root(leaves, hash),
        output: BlobHash(hash(output)),
        program: lease.task.program().to_owned(),
        backend: Backend::Vulkan,
        time: app.app.clock.now(),
    }
}

/// As many zeros as the lease's output has bytes.
pub(crate) fn zeros(lease: &LeaseGrant) -> Vec<u8> {
    vec![0; usize::try_from(lease.task.output_bytes(lease.rows, lease.tiles.into())).unwrap()]
}
