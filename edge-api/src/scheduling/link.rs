//! A device's WebSocket: it shows its key, says what it is, and then takes leases and commits.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use ed25519_dalek::VerifyingKey;
use futures::SinkExt;
use tokio::sync::mpsc;
use wire::device::{Earnings, PROTOCOL, hello_bytes};
use wire::{AccountId, AccountKind, DeviceId, ErrorCode, FromDevice, Hello, JobFault, Micros, Nonce, ToDevice};

use super::core::Device;
use super::{FRAMES_WAITING_MAX, fault, settle};
use crate::app::App;
use crate::auth::hash_secret;
use crate::db::DbConnection;
use crate::devices::presence::{self, Stay};
use crate::devices::routes::normal_code;
use crate::error::ApiResult;
use crate::verification::Standing;
use crate::verification::checkers::{self, Answer};
use crate::{billing, devices, random, receipts};

/// A frame is a few hundred bytes.
const FRAME_BYTES_MAX: usize = 16 << 10;
/// Time for a device to answer the challenge.
const HELLO_WITHIN: Duration = Duration::from_secs(15);
/// A silent socket is asked this often whether it lives, and closed if it does not answer twice.
const PING_EVERY: Duration = Duration::from_secs(15);
const NAME_MAX: usize = 128;

/// Sockets are numbered, so that an old one's end does not take a new one with it.
static SOCKETS: AtomicU64 = AtomicU64::new(0);

/// Connect a device
pub async fn connect_device(
    upgrade: WebSocketUpgrade,
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
) -> ApiResult<Response> {
    app.limits.check_socket(from.ip())?;
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).read_buffer_size(4 << 10);
    Ok(upgrade.on_upgrade(move |socket| serve(app, socket)))
}

/// Why a socket is closed; the device is told.
#[derive(Debug)]
struct Closing {
    code: ErrorCode,
    message: String,
}

fn closing(code: ErrorCode, message: impl Into<String>) -> Closing {
    Closing { code, message: message.into() }
}

async fn serve(app: App, mut socket: WebSocket) {
    let nonce = Nonce(random::bytes());
    if send(&mut socket, &ToDevice::Challenge { protocol: PROTOCOL, nonce }).await.is_err() {
        return;
    }
    let hello = match tokio::time::timeout(HELLO_WITHIN, read_hello(&mut socket, nonce)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(None)) => return,
        Ok(Err(Some(reason))) => return close(&mut socket, reason).await,
        Err(_elapsed) => {
            return close(&mut socket, closing(ErrorCode::MalformedFrame, "say hello within 15 seconds")).await;
        }
    };
    let device = hello.device;
    let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
    let admitted = if hello.checker { admit_checker(&app, &hello, number) } else { admit(&app, &hello, number).await };
    let mut frames = match admitted {
        Ok(Ok(frames)) => frames,
        Ok(Err(reason)) => return close(&mut socket, reason).await,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), %device, "a device could not be admitted");
            return close(&mut socket, closing(ErrorCode::Internal, "something went wrong on the server; try again"))
                .await;
        }
    };
    if let Some(reason) = converse(&app, &mut socket, device, &mut frames).await {
        close(&mut socket, reason).await;
    }
    leave(&app, device, number).await;
}

/// `Err(None)`: the device went away.
async fn read_hello(socket: &mut WebSocket, nonce: Nonce) -> Result<Hello, Option<Closing>> {
    let text = loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Some(closing(ErrorCode::MalformedFrame, "frames are text"))),
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
    if hello.name.chars().count() > NAME_MAX || hello.backend.len() > 32 {
        return Err(Some(closing(ErrorCode::MalformedFrame, "the device's name or backend is too long")));
    }
    let forged = || Some(closing(ErrorCode::InvalidSignature, "the hello is not signed by the device's key"));
    let key = VerifyingKey::from_bytes(&hello.device.0).map_err(|_no_key| forged())?;
    let signature = ed25519_dalek::Signature::from_bytes(&hello.signature.0);
    key.verify_strict(&hello_bytes(nonce, hello.device), &signature).map_err(|_forged| forged())?;
    Ok(*hello)
}

/// Puts the device on record and into the core. Frames for it come out of the channel.
async fn admit(app: &App, hello: &Hello, number: u64) -> anyhow::Result<Result<mpsc::Receiver<ToDevice>, Closing>> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let known = devices::store::find_device(&mut tx, hello.device).await?;
    let account = match (&hello.key, &known) {
        (Some(key), _) => {
            let account = crate::accounts::store::find_account_by_key(&mut tx, &hash_secret(key)).await?;
            match account {
                Some(account) => account,
                None => return Ok(Err(closing(ErrorCode::Unauthorized, "no account has this key"))),
            }
        }
        (None, _) if hello.code.is_some() => {
            let code = hash_secret(&normal_code(hello.code.as_deref().unwrap_or_default()));
            let Some(account) = devices::store::take_device_code(&mut tx, &code, now).await? else {
                let message =
                    "this device code is unknown, used or older than fifteen minutes; make another on the lend page";
                return Ok(Err(closing(ErrorCode::UnknownCode, message)));
            };
            account
        }
        (None, Some(known)) => known.account,
        (None, None) => {
            let (millis, bytes) = random::id_parts(now);
            let guest = AccountId::from_parts(millis, bytes);
            crate::accounts::store::insert_account(&mut tx, guest, "guest", "Guest", now).await?;
            guest
        }
    };
    devices::store::upsert_device(&mut tx, hello, account, now).await?;
    if let Some(known) = known.filter(|known| known.account != account) {
        claim_guest(&mut tx, hello.device, known.account, account, now).await?;
    }
    devices::store::mark_present(&mut tx, &app.replica, hello.device, now).await?;
    let record = devices::store::find_device(&mut tx, hello.device).await?;
    let balance = crate::accounts::store::find_account(&mut tx, account, app.config.development).await?;
    tx.commit().await?;

    let (sender, frames) = mpsc::channel(FRAMES_WAITING_MAX);
    let earnings =
        balance.map(|account| Earnings { available: account.available, pending: account.pending }).unwrap_or_default();
    sender.try_send(ToDevice::Welcome(earnings))?;
    let record = record.ok_or_else(|| anyhow::anyhow!("a device just written should be on record"))?;
    let mut device = Device::new(account, hello.class, record.verified, hello.buffer_bytes_max);
    device.standing = Standing { passed: record.passed, age: now - record.created_at };
    device.suspended_until = record.suspended_until;
    device.remember_speed(record.flops_per_sec);
    device.runs_kernels = hello.runs_kernels;
    device.only_job = hello.only_job;
    let mut state = app.scheduler.lock();
    // An older socket of the same device ends: its leases go to others.
    state.drive(|core, link| core.on_device_left(link, now, hello.device));
    state.sockets.senders.insert(hello.device, (number, sender));
    state.core.on_device_joined(hello.device, device);
    state.accounted.entry(hello.device).or_insert(now);
    Ok(Ok(frames))
}

/// A device of the operator's: known by its key, paid nothing, and on no list of devices.
fn admit_checker(app: &App, hello: &Hello, number: u64) -> anyhow::Result<Result<mpsc::Receiver<ToDevice>, Closing>> {
    if !app.config.checkers.contains(&hello.device) {
        let message = format!("this server does not know the checker {}; start it with --checker {0}", hello.device);
        return Ok(Err(closing(ErrorCode::Unauthorized, message)));
    }
    if !hello.runs_kernels {
        let message = "a checker runs kernels, so it needs a GPU or a software adapter: start it with --backend gpu";
        return Ok(Err(closing(ErrorCode::MalformedFrame, message)));
    }
    let (sender, frames) = mpsc::channel(FRAMES_WAITING_MAX);
    sender.try_send(ToDevice::Welcome(Earnings::default()))?;
    let mut state = app.scheduler.lock();
    state.sockets.senders.insert(hello.device, (number, sender));
    app.checkers.left(hello.device, app.clock.now());
    app.checkers.joined(hello.device, hello.buffer_bytes_max);
    tracing::info!(device = %hello.device, name = hello.name, "a checker connected");
    Ok(Ok(frames))
}

/// What a device earned as a guest goes with it to the account that it is linked to. The device's
/// row is locked by now, so no settlement comes in between.
async fn claim_guest(
    conn: &mut DbConnection,
    device: DeviceId,
    from: AccountId,
    to: AccountId,
    now: Micros,
) -> anyhow::Result<()> {
    let guest = crate::accounts::store::find_account(conn, from, false).await?;
    let Some(guest) = guest.filter(|account| account.kind == AccountKind::Guest) else { return Ok(()) };
    receipts::store::reassign_receipts(conn, device, to).await?;
    let transfer = billing::claim(from, to, device, guest.available, guest.pending, now)?;
    billing::store::post(conn, &transfer).await?;
    Ok(())
}

async fn leave(app: &App, device: DeviceId, number: u64) {
    let now = app.clock.now();
    let stay = {
        let mut state = app.scheduler.lock();
        if state.sockets.senders.get(&device).is_none_or(|(current, _)| *current != number) {
            return;
        }
        state.sockets.senders.remove(&device);
        let is_checker = app.checkers.is_checker(device);
        app.checkers.left(device, now);
        checkers::hand_out(app, &mut state, now);
        if is_checker {
            return;
        }
        let speed = state.core.flops_per_sec(device);
        state.drive(|core, link| core.on_device_left(link, now, device));
        let since = state.accounted.remove(&device).unwrap_or(now);
        Stay { device, speed, since }
    };
    if let Err(error) = presence::write_left(app, stay, now).await {
        tracing::error!(%error, %device, "a device's leaving could not be written");
    }
}

/// Frames both ways until one side ends. The reason, where it is ours to say.
async fn converse(
    app: &App,
    socket: &mut WebSocket,
    device: DeviceId,
    frames: &mut mpsc::Receiver<ToDevice>,
) -> Option<Closing> {
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut unanswered = 0u8;
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Some(closing(ErrorCode::Internal, "the server is stopping; connect again")),
            frame = frames.recv() => match frame {
                Some(frame) => send(socket, &frame).await.ok()?,
                None => return Some(closing(ErrorCode::ReplayedFrame, "this device has connected elsewhere")),
            },
            _ = ping.tick() => {
                if unanswered >= 2 {
                    return None;
                }
                unanswered += 1;
                socket.send(Message::Ping(Vec::new().into())).await.ok()?;
            }
            message = socket.recv() => {
                unanswered = 0;
                match message {
                    Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                        Ok(frame) => if let Some(reason) = hear(app, socket, device, frame).await { return Some(reason) },
                        Err(error) => return Some(closing(ErrorCode::MalformedFrame, format!("not a frame: {error}"))),
                    },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_))) => return Some(closing(ErrorCode::MalformedFrame, "frames are text")),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                }
            }
        }
    }
}

async fn hear(app: &App, socket: &mut WebSocket, device: DeviceId, frame: FromDevice) -> Option<Closing> {
    let now = app.clock.now();
    match frame {
        FromDevice::Hello(_) => return Some(closing(ErrorCode::ReplayedFrame, "a second hello")),
        FromDevice::Ready => {
            let mut state = app.scheduler.lock();
            app.checkers.ready(device);
            state.core.note_ready(device);
            // Somebody waits for a check; free tiles wait for nobody.
            checkers::hand_out(app, &mut state, now);
            state.drive(|core, link| core.assign(link, now));
            drop(state);
            app.scheduler.wake.notify_one();
        }
        FromDevice::Rest => {
            app.checkers.rests(device);
            app.scheduler.lock().core.on_device_rest(device);
        }
        FromDevice::Return { lease } if app.checkers.knows(device, lease) => {
            let mut state = app.scheduler.lock();
            app.checkers.given_back(lease, now);
            checkers::hand_out(app, &mut state, now);
        }
        FromDevice::Return { lease } => {
            app.scheduler.lock().drive(|core, link| core.on_lease_returned(link, now, device, lease));
        }
        FromDevice::Fault { lease, tile, line, turns } => {
            let fault = JobFault::OutOfFuel { line, turns, tile };
            if app.checkers.knows(device, lease) {
                app.checkers.answered(lease, Answer::Fault(fault));
                send(socket, &ToDevice::Checked { lease }).await.ok();
            } else {
                fault::report_fault(app, device, lease, fault);
            }
        }
        FromDevice::Commit { receipt, .. } if app.checkers.knows(device, receipt.lease) => {
            let lease = receipt.lease;
            let size = app.blobs.size(receipt.output).await;
            if matches!(size, Ok(found) if found.is_some() && found == app.checkers.expected_bytes(lease)) {
                app.checkers.answered(lease, Answer::Output(receipt.output));
            } else {
                app.checkers.given_back(lease, now);
            }
            send(socket, &ToDevice::Checked { lease }).await.ok();
        }
        FromDevice::Commit { receipt, signature } => {
            let lease = receipt.lease;
            match settle::commit(app, device, receipt, signature).await {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => {
                    let frame = ToDevice::Refused { lease, code: refusal.code, message: refusal.message };
                    if send(socket, &frame).await.is_err() {
                        return Some(closing(ErrorCode::Internal, "the socket is gone"));
                    }
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), %device, "a commit failed");
                    return Some(closing(ErrorCode::Internal, "something went wrong on the server; connect again"));
                }
            }
        }
    }
    None
}

async fn send(socket: &mut WebSocket, frame: &ToDevice) -> Result<(), axum::Error> {
    let text = serde_json::to_string(frame).map_err(axum::Error::new)?;
    socket.send(Message::Text(text.into())).await
}

async fn close(socket: &mut WebSocket, reason: Closing) {
    let frame = ToDevice::Close { code: reason.code, message: reason.message };
    // The socket may be gone already; then there is nobody to tell.
    if send(socket, &frame).await.is_ok() {
        SinkExt::close(socket).await.unwrap_or_default();
    }
}
