//! A device that does what a test tells it, step by step, honest or not. It computes on the
//! CPU, so it needs no GPU.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::{SinkExt, StreamExt};
use onnx::{Feed, Graph};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::device::{Backend, DeviceClass, PROTOCOL};
use wire::frame::{Frame, Packed, Unpacked, part_message, unpack};
use wire::program::map::join_tiles;
use wire::{BlobHash, FromDevice, Hello, LeaseGrant, Micros, Nonce, Receipt, Signature, ToDevice, merkle};
use worker::identity::Identity;

/// Longer than the server waits for anybody, so that only a test that has lost its way meets it.
const HEAR_WITHIN: Duration = Duration::from_secs(300);

const READ_BUFFER: usize = 4 << 10;

type Socket = tokio_tungstenite::WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

pub struct Scripted {
    pub identity: Identity,
    /// Made when it is first needed: of ten thousand devices few fetch anything.
    http: OnceLock<reqwest::Client>,
    url: String,
    socket: Socket,
    /// Frames that came in one message with others.
    heard: VecDeque<ToDevice>,
}

impl Scripted {
    /// Opens a socket and waits for the challenge, no more.
    pub async fn open(url: &str, identity: Identity) -> anyhow::Result<(Self, Nonce)> {
        Self::open_from("127.0.0.1", url, identity).await
    }

    /// The same through a proxy that names this address as the device's.
    pub async fn open_from(address: &str, url: &str, identity: Identity) -> anyhow::Result<(Self, Nonce)> {
        let mut request = format!("{}/v1/devices/socket", url.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("x-forwarded-for", address.parse()?);
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(request, Some(config), true).await?;
        let mut device = Self { identity, http: OnceLock::new(), url: url.to_owned(), socket, heard: VecDeque::new() };
        match device.hear().await? {
            ToDevice::Challenge { nonce, .. } => Ok((device, nonce)),
            other => bail!("expected a challenge, heard {other:?}"),
        }
    }

    /// Opens a socket and says an honest hello.
    pub async fn join(url: &str, identity: Identity) -> anyhow::Result<Self> {
        let (mut device, nonce) = Self::open(url, identity).await?;
        device.say(&FromDevice::Hello(Box::new(device.hello(nonce)))).await?;
        match device.hear().await? {
            ToDevice::Welcome(_) => Ok(device),
            other => bail!("expected a welcome, heard {other:?}"),
        }
    }

    /// An honest hello, signed for this server; one that is changed must be signed anew.
    pub fn hello(&self, nonce: Nonce) -> Hello {
        self.signed(
            nonce,
            Hello {
                protocol: PROTOCOL,
                device: self.identity.device(),
                signature: Signature([0; 64]),
                class: DeviceClass::Native,
                name: "Scripted".to_owned(),
                backend: Backend::Vulkan,
                software: true,
                buffer_bytes_max: 128 << 20,
                runs_kernels: true,
                checker: false,
                only_job: None,
                key: None,
                code: None,
            },
        )
    }

    /// The hello under the device's signature.
    pub fn signed(&self, nonce: Nonce, hello: Hello) -> Hello {
        Hello { signature: self.identity.sign_hello(&hello, nonce, &self.url), ..hello }
    }

    /// Says a frame, with what goes along with it.
    pub async fn say(&mut self, frame: &FromDevice) -> anyhow::Result<()> {
        let json = serde_json::to_string(frame)?;
        if frame.along().is_empty() {
            return self.say_text(json).await;
        }
        let mut packed = Packed::default();
        anyhow::ensure!(packed.push(&json, frame.along()), "a frame is too large");
        Ok(self.socket.send(Message::binary(packed.into_message())).await?)
    }

    pub async fn say_text(&mut self, text: String) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// A part of what a frame announced.
    pub async fn say_bytes(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::binary(part_message(&bytes))).await?)
    }

    /// So many bytes that a frame announced.
    pub async fn hear_bytes(&mut self, count: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let heard = tokio::time::timeout(HEAR_WITHIN, self.socket.next()).await;
            if let Message::Binary(message) =
                heard.context("the server sends nothing")?.context("the socket closed")??
            {
                match unpack(&message)? {
                    Unpacked::Part(part) => bytes.extend(part),
                    Unpacked::Frames(frames) => self.keep(frames)?,
                }
            }
        }
        Ok(bytes)
    }

    /// The next frame; an error after five minutes without one.
    pub async fn hear(&mut self) -> anyhow::Result<ToDevice> {
        loop {
            if let Some(frame) = self.heard.pop_front() {
                return Ok(frame);
            }
            let heard = tokio::time::timeout(HEAR_WITHIN, self.socket.next()).await;
            match heard.context("the server says nothing")?.context("the server closed the socket")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Binary(message) => {
                    if let Unpacked::Frames(frames) = unpack(&message)? {
                        self.keep(frames)?;
                    }
                }
                Message::Close(_) => bail!("the server closed the socket"),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn keep(&mut self, frames: Vec<(&str, &[u8])>) -> anyhow::Result<()> {
        for (json, along) in frames {
            let mut frame: ToDevice = serde_json::from_str(json)?;
            frame.take_along(along)?;
            self.heard.push_back(frame);
        }
        Ok(())
    }

    /// Asks for a lease and waits for it.
    pub async fn lease(&mut self) -> anyhow::Result<LeaseGrant> {
        self.say(&FromDevice::Ready).await?;
        loop {
            if let ToDevice::Lease(grant) = self.hear().await? {
                return Ok(grant);
            }
        }
    }

    fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(reqwest::Client::new)
    }

    async fn fetch(&self, grant: &LeaseGrant, part: &str) -> anyhow::Result<Vec<u8>> {
        let response = self.http().get(format!("{}/v1/leases/{}/{part}", self.url, grant.token)).send().await?;
        Ok(response.error_for_status()?.bytes().await?.to_vec())
    }

    /// The rows of a lease.
    pub async fn input(&self, grant: &LeaseGrant) -> anyhow::Result<Vec<u8>> {
        match &grant.input {
            Some(input) => Ok(input.clone()),
            None => self.fetch(grant, "input").await,
        }
    }

    /// The right answer to a lease.
    pub async fn compute(&self, grant: &LeaseGrant) -> anyhow::Result<Vec<f32>> {
        let graph = Graph::parse(&self.fetch(grant, "code").await?)?;
        let input = self.input(grant).await?;
        let input: Vec<u32> = input.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
        let shape = grant.task.inputs().into_iter().next().context("a task should have an input")?.shape;
        let shape: Vec<usize> = shape.iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>()?;
        let outputs = graph.plan(usize::try_from(grant.rows)?, &[Feed::Rows(shape)])?.run(&[&input]);
        Ok(outputs.into_iter().flatten().map(f32::from_bits).collect())
    }

    /// Uploads an output and returns its bytes. A kernel's records have left no fuel.
    pub async fn upload(&self, grant: &LeaseGrant, output: &[f32]) -> anyhow::Result<Vec<u8>> {
        let mut bytes: Vec<u8> = output.iter().flat_map(|value| value.to_le_bytes()).collect();
        if grant.task.tile_note_bytes() > 0 {
            let tile_bytes = usize::try_from(grant.tile_rows * grant.task.out_bytes())?;
            bytes = join_tiles(&bytes, tile_bytes, &vec![0; usize::try_from(grant.tiles)?]);
        }
        self.upload_bytes(grant, &bytes).await?;
        Ok(bytes)
    }

    pub async fn upload_bytes(&self, grant: &LeaseGrant, bytes: &[u8]) -> anyhow::Result<()> {
        let put = self.http().put(format!("{}/v1/leases/{}/output", self.url, grant.token)).body(bytes.to_vec());
        put.send().await?.error_for_status()?;
        Ok(())
    }

    /// A receipt for an output.
    pub fn receipt(&self, grant: &LeaseGrant, output: &[u8]) -> anyhow::Result<Receipt> {
        let tile_bytes = grant.task.output_bytes(grant.tile_rows, 1);
        Ok(Receipt {
            lease: grant.lease,
            job: grant.job,
            first_tile: grant.first_tile,
            tiles: grant.tiles,
            root: merkle::output_root(grant.lease, output, tile_bytes, |bytes| *blake3::hash(bytes).as_bytes()),
            output: BlobHash(*blake3::hash(output).as_bytes()),
            program: grant.task.program().to_owned(),
            backend: Backend::Vulkan,
            time: now(),
        })
    }

    pub fn commit(&self, receipt: &Receipt) -> FromDevice {
        self.commit_with_token(receipt, "")
    }

    /// To a server that may not have granted the lease.
    pub fn commit_with_token(&self, receipt: &Receipt, token: &str) -> FromDevice {
        let signature = self.identity.sign_receipt(receipt);
        FromDevice::Commit { receipt: receipt.clone(), signature, token: token.to_owned(), output: None }
    }

    /// With the output along, which is not uploaded then.
    pub fn commit_with_output(&self, receipt: &Receipt, output: Vec<u8>) -> FromDevice {
        let signature = self.identity.sign_receipt(receipt);
        FromDevice::Commit { receipt: receipt.clone(), signature, token: String::new(), output: Some(output) }
    }

    /// Waits for the edge's word on a lease: whether it was settled.
    pub async fn verdict(&mut self, grant: &LeaseGrant) -> anyhow::Result<bool> {
        loop {
            match self.hear().await? {
                ToDevice::Settled { lease, .. } if lease == grant.lease => return Ok(true),
                ToDevice::Refused { lease, .. } if lease == grant.lease => return Ok(false),
                _ => {}
            }
        }
    }

    /// One lease from asking to the edge's word; `touch` may change the output.
    pub async fn work(&mut self, touch: impl FnOnce(&mut Vec<f32>)) -> anyhow::Result<(LeaseGrant, bool)> {
        let grant = self.lease().await?;
        let mut output = self.compute(&grant).await?;
        touch(&mut output);
        let bytes = self.upload(&grant, &output).await?;
        let receipt = self.receipt(&grant, &bytes)?;
        self.say(&self.commit(&receipt)).await?;
        let settled = self.verdict(&grant).await?;
        Ok((grant, settled))
    }
}

#[expect(clippy::disallowed_methods, reason = "a device has a clock of its own")]
fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Micros::try_from(since.expect("it is after 1970").as_micros()).expect("it is before the year 200000")
}

/// A fresh device key.
pub fn identity() -> Identity {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("the system should have randomness");
    Identity::from_secret(&secret)
}
