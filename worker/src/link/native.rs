//! The native agent: a socket, HTTP for blobs, and a task for each lease in hand.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::task::JoinSet;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::device::DeviceClass;
use wire::{ErrorCode, LeaseGrant, LeaseId, ToDevice};

use super::{Credentials, Out, hello, reconnect_wait};
use crate::core::Core;
use crate::run::{Engine, Outcome, Pacing, RunFailure, Transfer, TransferError};

type Socket = tokio_tungstenite::WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Room made at once for what comes, however long it says that it is.
const BODY_BYTES_AIM: u64 = 1 << 30;

/// Where to work, and for whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The edge's origin.
    pub url: String,
    /// Whom the device earns for.
    pub account: Credentials,
    pub duty_percent: u8,
}

/// Why the agent stops for good.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the server refused this device: {message}")]
    Refused { code: ErrorCode, message: String },
    #[error("the device was lost: {reason}")]
    DeviceLost { reason: String },
    #[error("'{url}' is not an http or https address")]
    Url { url: String },
    #[error("the HTTP client could not be made")]
    Http(#[from] reqwest::Error),
}

/// How one connection ended.
enum ConnectionEnd {
    Lost(String),
    Asked,
    Final(AgentError),
}

/// Works until `stop` resolves or nothing more can be done. Connects anew after every loss.
pub async fn run(engine: Arc<Engine>, options: Options, stop: impl Future<Output = ()>) -> Result<(), AgentError> {
    let socket_url = match options.url.trim_end_matches('/').split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}/v1/devices/socket"),
        Some(("https", rest)) => format!("wss://{rest}/v1/devices/socket"),
        _ => return Err(AgentError::Url { url: options.url }),
    };
    let http = Http {
        // A large model may come slowly, as long as it comes.
        client: reqwest::Client::builder().read_timeout(Duration::from_mins(2)).build()?,
        url: options.url.trim_end_matches('/').to_owned(),
    };
    let duty = Arc::new(AtomicU8::new(options.duty_percent));
    let mut stop = std::pin::pin!(stop);
    let mut attempt = 0;
    let mut account = options.account;
    loop {
        let config = WebSocketConfig::default().read_buffer_size(4 << 10).max_message_size(Some(64 << 10));
        let connected = tokio::select! {
            () = &mut stop => return Ok(()),
            connected = tokio_tungstenite::connect_async_with_config(&socket_url, Some(config), true) => connected,
        };
        let reason = match connected {
            Ok((socket, _)) => {
                let mut session = Session {
                    engine: &engine,
                    account: &mut account,
                    http: &http,
                    duty: &duty,
                    core: Core::default(),
                    out: Out::default(),
                    running: HashMap::new(),
                    tasks: JoinSet::new(),
                };
                let begun = std::time::Instant::now();
                let end = session.run_connection(socket, stop.as_mut()).await;
                session.abandon_all();
                if begun.elapsed() > Duration::from_secs(10) {
                    attempt = 0;
                }
                match end {
                    ConnectionEnd::Asked => return Ok(()),
                    ConnectionEnd::Final(error) => return Err(error),
                    ConnectionEnd::Lost(reason) => reason,
                }
            }
            Err(error) => error.to_string(),
        };
        let wait = reconnect_wait(attempt, random_byte());
        attempt += 1;
        tracing::warn!(reason, wait_millis = wait.as_millis(), "not connected; trying again");
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // A wait that is not spread is still a wait.
    getrandom::fill(&mut byte).unwrap_or_default();
    byte[0]
}

struct Session<'a> {
    engine: &'a Arc<Engine>,
    account: &'a mut Credentials,
    http: &'a Http,
    duty: &'a Arc<AtomicU8>,
    core: Core,
    out: Out,
    running: HashMap<LeaseId, Arc<AtomicBool>>,
    tasks: JoinSet<(LeaseGrant, Result<Outcome, RunFailure>)>,
}

impl Session<'_> {
    async fn run_connection(&mut self, mut socket: Socket, mut stop: std::pin::Pin<&mut impl Future<Output = ()>>) -> ConnectionEnd {
        loop {
            tokio::select! {
                () = &mut stop => {
                    self.core.on_stop(&mut self.out);
                    // Leases go back politely if the socket still stands.
                    self.flush(&mut socket).await.unwrap_or_default();
                    socket.close(None).await.unwrap_or_default();
                    return ConnectionEnd::Asked;
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                        Ok(frame) => if let Some(end) = self.on_frame(frame) { return end },
                        Err(error) => return ConnectionEnd::Lost(format!("the server said something unknown: {error}")),
                    },
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_))) | None => return ConnectionEnd::Lost("the server closed the connection".to_owned()),
                    Some(Err(error)) => return ConnectionEnd::Lost(error.to_string()),
                },
                Some(done) = self.tasks.join_next() => {
                    let (grant, result) = done.expect("a lease's task should not panic");
                    if let Some(end) = self.finish(&grant, result) { return end }
                }
            }
            if let Err(error) = self.flush(&mut socket).await {
                return ConnectionEnd::Lost(error.to_string());
            }
        }
    }

    fn on_frame(&mut self, frame: ToDevice) -> Option<ConnectionEnd> {
        match &frame {
            ToDevice::Challenge { nonce, .. } => {
                self.out.frames.push(hello(self.engine, *nonce, DeviceClass::Native, self.account.clone()));
            }
            ToDevice::Close { code, message } => {
                let lasting = !matches!(code, ErrorCode::Internal | ErrorCode::RateLimited);
                let (code, message) = (*code, message.clone());
                return Some(if lasting {
                    ConnectionEnd::Final(AgentError::Refused { code, message })
                } else {
                    ConnectionEnd::Lost(message)
                });
            }
            ToDevice::Welcome(earnings) => {
                // A device code works once: the device is linked now.
                self.account.code = None;
                tracing::info!(device = %self.engine.identity.device(), earned = %earnings.available, "connected");
            }
            ToDevice::Settled { tiles, earnings, .. } => {
                tracing::info!(tiles, earned = %earnings.available, pending = %earnings.pending, "verified");
            }
            ToDevice::Refused { lease, message, .. } => tracing::warn!(%lease, message, "refused"),
            ToDevice::Checked { lease } => tracing::info!(%lease, "recomputed"),
            ToDevice::Lease(_) | ToDevice::Revoke { .. } => {}
        }
        self.core.on_frame(&mut self.out, frame);
        let core = &self.core;
        self.running.retain(|lease, abandoned| {
            let holds = core.holds(*lease);
            abandoned.store(!holds, Ordering::Relaxed);
            holds
        });
        None
    }

    fn finish(&mut self, grant: &LeaseGrant, result: Result<Outcome, RunFailure>) -> Option<ConnectionEnd> {
        let lease = grant.lease;
        self.running.remove(&lease);
        match result {
            Ok(outcome) => self.core.on_computed(&mut self.out, outcome.receipt, outcome.signature),
            Err(failure) => {
                match failure.fault() {
                    Some((tile, fault)) => {
                        let tile = grant.first_tile + tile;
                        self.core.on_fault(&mut self.out, lease, tile, fault.line, fault.turns);
                    }
                    None => self.core.on_compute_failed(&mut self.out, lease),
                }
                if failure.is_device_lost() {
                    return Some(ConnectionEnd::Final(AgentError::DeviceLost { reason: failure.to_string() }));
                }
                if !matches!(failure, RunFailure::Abandoned) {
                    tracing::warn!(%lease, reason = %failure, "a lease went back");
                }
            }
        }
        None
    }

    /// Says and begins what the core asked for.
    async fn flush(&mut self, socket: &mut Socket) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        for grant in std::mem::take(&mut self.out.grants) {
            let pacing = Pacing::new(self.duty);
            self.running.insert(grant.lease, Arc::clone(&pacing.abandoned));
            let (engine, http) = (Arc::clone(self.engine), self.http.clone());
            self.tasks.spawn(async move {
                let outcome = engine.compute(&http, &grant, pacing).await;
                (grant, outcome)
            });
        }
        for frame in std::mem::take(&mut self.out.frames) {
            let text = serde_json::to_string(&frame).expect("a frame should serialise");
            socket.send(Message::text(text)).await?;
        }
        Ok(())
    }

    fn abandon_all(&mut self) {
        self.running.values().for_each(|abandoned| abandoned.store(true, Ordering::Relaxed));
        self.core.on_disconnected();
    }
}

/// Blobs over HTTP.
#[derive(Clone, Debug)]
pub struct Http {
    pub client: reqwest::Client,
    pub url: String,
}

fn network(error: &reqwest::Error) -> TransferError {
    TransferError::Network { reason: error.to_string() }
}

fn checked(response: reqwest::Response) -> Result<reqwest::Response, TransferError> {
    let status = response.status();
    if status.is_success() { Ok(response) } else { Err(TransferError::Status { status: status.as_u16() }) }
}

impl Transfer for Http {
    async fn get(&self, path: &str) -> Result<Vec<u8>, TransferError> {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.map_err(|error| network(&error))?;
        let mut response = checked(response)?;
        let size = response.content_length().unwrap_or(0).min(BODY_BYTES_AIM);
        let mut body = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(|error| network(&error))? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), TransferError> {
        let response =
            self.client.put(format!("{}{path}", self.url)).body(body).send().await.map_err(|error| network(&error))?;
        checked(response).map(drop)
    }
}
