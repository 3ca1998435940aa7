//! A device's WebSocket: it shows its key, says what it is, and then takes leases and commits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use futures::SinkExt;
use rules::scheduling::recheck_request::Answer;
use rules::verification::party::Network;
use wire::device::PROTOCOL;
use wire::frame::{MESSAGE_BYTES_MAX, Unpacked, unpack};
use wire::{DeviceId, ErrorCode, FromDevice, Hello, JobFault, LeaseId, Nonce, Receipt, ToDevice};

use super::admit::{admit, admit_checker, leave};
use super::closing::{Closing, closing, commit_failed, goodbye};
use super::commit::{HandedIn, Taken as CommitTaken};
use super::frame_pace::{FRAMES_PER_SECOND, FramePace};
use super::messages::{gather, read_frame, send, send_all};
use super::reveal::{Revealing, Taken};
use super::scheduler::SocketOrders;
use super::token::LeaseToken;
use super::uploads::{blob_of, keep_output};
use super::{challenge, commit, compile, drain, fault};
use crate::app::App;
use crate::http::client_address::ClientAddress;
use crate::http::error::ApiResult;
use crate::http::extract::SocketUpgrade;
use crate::http::limits::Action;
use crate::http::place::Place;
use crate::openapi::answers::{Draining, RateLimited, Refusals};
use crate::random;

/// Time for a device to answer the challenge.
const HELLO_WITHIN: Duration = Duration::from_secs(15);
/// A silent socket is asked this often whether it lives, and closed if it does not answer twice.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Time for a device to take the reason why it is disconnected.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
const NAME_MAX: usize = 128;

/// Sockets are numbered, so that an old one's end does not take a new one with it.
static SOCKETS: AtomicU64 = AtomicU64::new(0);

/// Connect a device
///
/// A WebSocket. Frames are JSON: `ToDevice` from the edge, which opens with a challenge; `FromDevice` from the device, which
/// answers with a hello that its Ed25519 key has signed. A text message is one frame. A binary message begins with a byte: 0
/// before a part of what a frame announced, 1 before frames with what goes along with them, which is a small lease's input or
/// output: of each frame two lengths, of its JSON and of what goes along, as four bytes little-endian, then both.
#[utoipa::path(
    get,
    path = "/v1/devices/socket",
    tag = "devices",
    responses(
        (status = 101, description = "The socket is open"),
        Refusals<(SocketUpgrade, RateLimited, Draining)>
    )
)]
pub async fn connect_device(
    SocketUpgrade(upgrade): SocketUpgrade,
    State(app): State<App>,
    from: ClientAddress,
    place: Option<Extension<Place>>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    drain::refuse_if_draining(&app)?;
    app.limits.check(Action::OpenSocket, from)?;
    let origins = origins(&app, &headers);
    let upgrade =
        upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX).read_buffer_size(4 << 10);
    Ok(upgrade.on_upgrade(async move |socket| {
        let (_place, _open) = (place, app.sockets.token());
        serve(app, socket, origins, Network::of(from.0)).await;
    }))
}

/// What a device may mean by this server. One for development, with nothing at stake, is also what it is called.
fn origins(app: &App, headers: &HeaderMap) -> Vec<String> {
    let mut origins: Vec<String> = app.config.origins().map(str::to_owned).collect();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if let Some(host) = host.filter(|_| app.config.development) {
        origins.extend(["http", "https"].map(|scheme| format!("{scheme}://{}", host.to_ascii_lowercase())));
    }
    origins
}

async fn serve(app: App, mut socket: WebSocket, origins: Vec<String>, network: Option<Network>) {
    let nonce = Nonce(random::bytes());
    if send(&mut socket, &ToDevice::Challenge { protocol: PROTOCOL, nonce }).await.is_err() {
        return;
    }
    let hello = match tokio::time::timeout(HELLO_WITHIN, read_hello(&mut socket, nonce, &origins)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(None)) => return,
        Ok(Err(Some(reason))) => return close(&mut socket, reason).await,
        Err(_elapsed) => {
            return close(&mut socket, closing(ErrorCode::MalformedFrame, "say hello within 15 seconds")).await;
        }
    };
    let device = hello.device;
    let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
    let admitted =
        if hello.checker { admit_checker(&app, &hello, number) } else { admit(&app, &hello, network, number).await };
    let mut orders = match admitted {
        Ok(Ok(orders)) => orders,
        Ok(Err(reason)) => return close(&mut socket, reason).await,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), %device, "a device could not be admitted");
            return close(&mut socket, closing(ErrorCode::Internal, "something went wrong on the server; try again"))
                .await;
        }
    };
    let _present = app.metrics.device(hello.class, hello.checker);
    let reason = run_connection(&app, &mut socket, device, &mut orders).await;
    leave(&app, device, number).await;
    if let Some(reason) = reason {
        close(&mut socket, reason).await;
    }
}

/// `Err(None)`: the device went away.
async fn read_hello(socket: &mut WebSocket, nonce: Nonce, origins: &[String]) -> Result<Hello, Option<Closing>> {
    let text = loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Some(closing(ErrorCode::MalformedFrame, "a hello is text"))),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        }
    };
    let Ok(FromDevice::Hello(hello)) = serde_json::from_str(&text) else {
        return Err(Some(closing(ErrorCode::MalformedFrame, "the first frame must be a hello")));
    };
    if hello.protocol != PROTOCOL {
        let message = format!(
            "this server speaks version {PROTOCOL} of the protocol and the device {}: update it",
            hello.protocol
        );
        return Err(Some(closing(ErrorCode::ProtocolVersion, message)));
    }
    if hello.name.chars().count() > NAME_MAX {
        return Err(Some(closing(ErrorCode::MalformedFrame, "the device's name is too long")));
    }
    let forged = || {
        let known = origins.join(" or ");
        let message = format!(
            "the hello is not signed by the device's key, or for another server than {known}: connect to that address, or start the server with --device-origin and the one that the device uses"
        );
        Some(closing(ErrorCode::InvalidSignature, message))
    };
    let key = VerifyingKey::from_bytes(&hello.device.0).map_err(|_no_key| forged())?;
    let signature = ed25519_dalek::Signature::from_bytes(&hello.signature.0);
    let is_signed_for = |origin: &String| key.verify_strict(&hello.signing_bytes(nonce, origin), &signature).is_ok();
    if origins.iter().any(is_signed_for) { Ok(*hello) } else { Err(forged()) }
}

/// Frames both ways until one side ends. The reason, where it is ours to say.
async fn run_connection(
    app: &App,
    socket: &mut WebSocket,
    device: DeviceId,
    orders: &mut SocketOrders,
) -> Option<Closing> {
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut unanswered = 0u8;
    let mut hearing = Hearing { app, device, pace: FramePace::default(), revealing: None, was_asked_for_rows: false };
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Some(goodbye()),
            Some(reason) = orders.closing.recv() => return Some(reason),
            frame = orders.frames.recv() => match frame {
                Some(first) => {
                    let frames = gather(first, &mut orders.frames);
                    let said = send_all(app, socket, frames).await.ok()?;
                    hearing.on_said(said.last().map(|out| &out.frame));
                }
                None => return Some(closing(ErrorCode::ReplayedFrame, "this device has connected elsewhere")),
            },
            // Part by part, so that other frames go their way meanwhile.
            () = std::future::ready(()), if hearing.revealing.as_ref().is_some_and(Revealing::is_probing) => {
                if let Some(revealing) = &mut hearing.revealing {
                    socket.send(Message::Binary(revealing.next_part().into())).await.ok()?;
                }
            }
            _ = ping.tick() => {
                if unanswered >= 2 {
                    return None;
                }
                unanswered += 1;
                socket.send(Message::Ping(Vec::new().into())).await.ok()?;
            }
            message = socket.recv() => {
                unanswered = 0;
                let heard = match message {
                    Some(Ok(Message::Text(text))) => hearing.on_frame(socket, &text, &[]).await,
                    Some(Ok(Message::Binary(message))) => hearing.on_message(socket, &message).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => hearing.pace_frame(),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                };
                if let Err(reason) = heard {
                    return Some(reason);
                }
            }
        }
    }
}

/// What is known of a connection while its device is heard.
struct Hearing<'a> {
    app: &'a App,
    device: DeviceId,
    pace: FramePace,
    revealing: Option<Revealing>,
    was_asked_for_rows: bool,
}

impl Hearing<'_> {
    /// After the last of some frames was sent.
    fn on_said(&mut self, last: Option<&ToDevice>) {
        if let Some(ToDevice::Reveal { challenge, probe_bytes, .. }) = last {
            let expected = self.app.scheduler.lock().challenges.bytes_to_show(self.device, *challenge);
            self.revealing = expected.map(|expected| Revealing::new(*challenge, *probe_bytes, expected));
            self.was_asked_for_rows = true;
        }
    }

    fn pace_frame(&mut self) -> Result<(), Closing> {
        if self.pace.allows_frame() {
            return Ok(());
        }
        let message = format!("a device sends at most {FRAMES_PER_SECOND} frames a second; connect again");
        Err(closing(ErrorCode::RateLimited, message))
    }

    /// One frame, with what goes along.
    async fn on_frame(&mut self, socket: &mut WebSocket, json: &str, along: &[u8]) -> Result<(), Closing> {
        self.pace_frame()?;
        let frame = read_frame(json, along).map_err(|error| closing(ErrorCode::MalformedFrame, error))?;
        if on_frame(self.app, socket, self.device, frame).await? == Heard::Work {
            self.pace.on_work();
        }
        Ok(())
    }

    async fn on_message(&mut self, socket: &mut WebSocket, message: &[u8]) -> Result<(), Closing> {
        match unpack(message).map_err(|broken| closing(ErrorCode::MalformedFrame, broken.to_string()))? {
            Unpacked::Part(part) => self.on_part(part),
            Unpacked::Frames(frames) => {
                for (json, along) in frames {
                    self.on_frame(socket, json, along).await?;
                }
                Ok(())
            }
        }
    }

    /// Rows of a challenge's answer.
    fn on_part(&mut self, part: &[u8]) -> Result<(), Closing> {
        self.pace_frame()?;
        match self.revealing.as_mut().map(|revealing| revealing.take(part)) {
            Some(Taken::More) => Ok(()),
            Some(Taken::All(shown)) => {
                self.revealing = None;
                challenge::on_shown(self.app, self.device, shown);
                Ok(())
            }
            Some(Taken::Unasked) => {
                let message = "rows of a challenge that were not asked for, or before the probe was there";
                Err(closing(ErrorCode::MalformedFrame, message))
            }
            // Rows that nobody waits for any more.
            None if self.was_asked_for_rows => Ok(()),
            None => Err(closing(ErrorCode::MalformedFrame, "no rows of a challenge were asked for")),
        }
    }
}

/// What a frame was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It handed in what was computed.
    Work,
    Other,
}

async fn on_frame(app: &App, socket: &mut WebSocket, device: DeviceId, frame: FromDevice) -> Result<Heard, Closing> {
    let now = app.clock.now();
    match frame {
        FromDevice::Hello(_) => return Err(closing(ErrorCode::ReplayedFrame, "a second hello")),
        // It is lent nothing more here.
        FromDevice::Ready if app.draining.is_cancelled() => {}
        FromDevice::Ready => {
            app.scheduler.lock().drive(|core, link| core.on_device_ready(link, now, device));
            app.scheduler.wake.notify_one();
            challenge::benchmark(app, device);
        }
        FromDevice::Proved { challenge, steps, root } => challenge::on_proved(app, device, challenge, steps, root),
        FromDevice::Rest => app.scheduler.lock().core.on_device_rest(device),
        FromDevice::Return { lease } => {
            app.scheduler.lock().drive(|core, link| {
                if core.is_recheck(device, lease) {
                    core.on_recheck_returned(link, now, lease);
                } else {
                    core.on_lease_returned(link, now, device, lease);
                }
            });
        }
        FromDevice::Fault { lease, tile, line, turns } => {
            let fault = JobFault::OutOfFuel { line, turns, tile };
            if is_recheck(app, device, lease) {
                let answer = Answer::Fault(fault);
                app.scheduler.lock().drive(|core, link| core.on_recheck_answered(link, lease, answer));
                send(socket, &ToDevice::Checked { lease }).await.ok();
            } else {
                fault::report_fault(app, device, lease, fault);
            }
        }
        FromDevice::CannotCompile { lease, message } => compile::report_compile_error(app, device, lease, &message),
        FromDevice::Commit { receipt, token, output, .. } if is_recheck(app, device, receipt.lease) => {
            let heard = on_recheck_commit(app, &receipt, &token, output).await;
            send(socket, &ToDevice::Checked { lease: receipt.lease }).await.ok();
            return Ok(heard);
        }
        FromDevice::Commit { receipt, signature, token, output } => {
            let lease = receipt.lease;
            let handed_in = HandedIn { receipt, signature, token, output: output.map(Bytes::from) };
            match commit::commit(app, device, handed_in).await {
                Ok(Ok(CommitTaken::Now)) => return Ok(Heard::Work),
                Ok(Ok(CommitTaken::Before)) => {}
                Ok(Err(refusal)) => {
                    let frame = ToDevice::Refused { lease, code: refusal.code, message: refusal.message };
                    if send(socket, &frame).await.is_err() {
                        return Err(closing(ErrorCode::Internal, "the socket is gone"));
                    }
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), %device, "a commit failed");
                    return Err(commit_failed());
                }
            }
        }
    }
    Ok(Heard::Other)
}

fn is_recheck(app: &App, device: DeviceId, lease: LeaseId) -> bool {
    app.scheduler.lock().core.is_recheck(device, lease)
}

/// A device has recomputed tiles. An output that is not stored whole is no answer.
async fn on_recheck_commit(app: &App, receipt: &Receipt, token: &str, output: Option<Vec<u8>>) -> Heard {
    let lease = receipt.lease;
    let expected = app.scheduler.lock().core.recheck_output_bytes(lease);
    let is_computed = match (expected, output) {
        (Some(bytes), Some(output)) => {
            wire::number::to::<u64>(output.len()) == bytes && keep_answer(app, receipt, token, output.into()).await
        }
        (Some(bytes), None) => commit::is_output_of(app, lease, receipt.output, bytes).await.unwrap_or(false),
        (None, _) => false,
    };
    let now = app.clock.now();
    app.scheduler.lock().drive(|core, link| {
        if is_computed {
            core.on_recheck_answered(link, lease, Answer::Output(receipt.output));
        } else {
            core.on_recheck_returned(link, now, lease);
        }
    });
    if is_computed { Heard::Work } else { Heard::Other }
}

/// Keeps what came along with an answer, if it is what the answer names.
async fn keep_answer(app: &App, receipt: &Receipt, token: &str, output: Bytes) -> bool {
    let token = LeaseToken::open(token, &app.secret, app.clock.now());
    match token.filter(|token| token.lease == receipt.lease && blob_of(&output).hash == receipt.output) {
        Some(token) => keep_output(app, &token, output).await.is_ok(),
        None => false,
    }
}

/// Says why and ends the socket. What the device had sent meanwhile is read and dropped: closing with unread bytes
/// resets the connection, and a reset takes the reason with it.
async fn close(socket: &mut WebSocket, reason: Closing) {
    let frame = ToDevice::Close { code: reason.code, message: reason.message };
    let goodbye = async {
        send(socket, &frame).await?;
        SinkExt::close(socket).await?;
        while let Some(Ok(_dropped)) = socket.recv().await {}
        Ok::<_, axum::Error>(())
    };
    // The socket may be gone already; then there is nobody to tell.
    drop(tokio::time::timeout(GOODBYE_WITHIN, goodbye).await);
}
