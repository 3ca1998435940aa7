//! A device's session with the edge, native or in a tab: connect, say hello, take leases, compute,
//! upload and commit them, and connect anew when the edge is lost.
//!
//! One loop takes every event in turn: commands of whoever owns the device, frames of the socket, and
//! finished leases. What differs by target is a [`Transport`]; who follows it is an [`Observer`].

use std::collections::HashMap;
use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use futures::future::{AbortHandle, FutureExt, LocalBoxFuture};
use futures::select_biased;
use futures::stream::{FusedStream, FuturesUnordered, StreamExt};
use gpu_kernels::device::GpuError;
use web_time::Instant;
use wire::device::DeviceClass;
use wire::frame::{Frame, Packed, Unpacked, part_message, unpack};
use wire::lend::{PauseReason, Status, Trouble};
use wire::{ErrorCode, FromDevice, LeaseGrant, LeaseId, SpeedChallenge, ToDevice};

use crate::challenge::{Answers, Product};
use crate::core::{Core, Link};
use crate::duty::{BusyShare, DutyCycle};
use crate::engine::{Engine, Outcome};
use crate::failure::RunFailure;
use crate::hello::{Credentials, hello};
use crate::link::{Closed, Message, Socket, Transport};
use crate::reconnect::{Backoff, Ended};

/// Breakdowns in a row, over work of ours, after which a device is taken to be lost.
const BREAKDOWNS_MAX: u32 = 3;
/// Characters of a compiler's message that the edge is told.
const COMPILE_ERROR_MAX: usize = 500;

/// What the device's owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The share of time that the device may be busy, in percent.
    Duty(u8),
    Pause(PauseReason),
    Resume,
    Stop,
}

/// Why a session ends before it is asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("the server refused this device: {message}")]
    Refused { code: ErrorCode, message: String },
    #[error("the device was lost: {reason}")]
    DeviceLost { reason: String },
}

/// Who follows a session: the log natively, the lend page in a tab.
pub trait Observer {
    fn on_frame(&mut self, _frame: &ToDevice) {}
    fn on_lease_failed(&mut self, _lease: LeaseId, _failure: &RunFailure) {}
    fn on_challenge_failed(&mut self, _error: &GpuError) {}
    /// The device broke down, and was opened anew.
    fn on_device_restarted(&mut self, _reason: &str) {}
    fn on_connection_lost(&mut self, _reason: &str, _wait: Duration) {}
    /// Called when it differs from the last.
    fn on_status(&mut self, _status: &Status) {}
}

/// Whom the device earns for, and how hard it works at first.
#[derive(Clone, Debug)]
pub struct Options {
    pub account: Credentials,
    pub duty_percent: u8,
    /// It runs no customer's kernel, also where it could.
    pub models_only: bool,
}

/// Works until a command stops it or nothing more can be done. Connects anew after every loss.
pub async fn run<T: Transport>(
    engine: &Engine,
    transport: &T,
    observer: impl Observer,
    options: Options,
    commands: impl FusedStream<Item = Command> + Unpin,
) -> Result<(), SessionError> {
    let mut session = Session {
        engine,
        transport,
        observer,
        commands,
        account: options.account,
        models_only: options.models_only,
        duty: DutyCycle::new(options.duty_percent),
        core: Core::default(),
        outbox: Outbox::default(),
        computing: FuturesUnordered::new(),
        proving: FuturesUnordered::new(),
        answers: Answers::default(),
        leases: HashMap::new(),
        backoff: Backoff::default(),
        welcomed: None,
        busy_share: BusyShare::default(),
        breakdowns: 0,
        failures: 0,
        gflops: 0.0,
        program: None,
        trouble: None,
        reported: None,
    };
    while let ConnectionEnd::Over(ended, reason) = session.run_connection().await? {
        if session.wait_to_reconnect(ended, &reason).await? == Wait::Stopped {
            break;
        }
    }
    Ok(())
}

/// What a device's owner is told of a lease that failed. A program that never ends is its customer's affair, and a lease that
/// was taken back is nobody's.
fn trouble(failure: &RunFailure) -> Option<Trouble> {
    let message = || failure.to_string().chars().take(COMPILE_ERROR_MAX).collect();
    if failure.compile_error().is_some() {
        Some(Trouble::CannotCompile { message: message() })
    } else if failure.breaks_device() {
        Some(Trouble::Restarted { message: message() })
    } else if failure.is_of_no_kernel() {
        Some(Trouble::GivenBack { message: message() })
    } else {
        None
    }
}

/// Before a lease that failed is given back, so that a device which cannot fetch its files does not ask for one after
/// another.
fn wait_after(failures: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(2);
    Duration::from_millis(125).saturating_mul(1 << failures.min(10)).min(LONGEST)
}

fn unknown(error: impl Display) -> ConnectionEnd {
    ConnectionEnd::lost(format!("the server said something unknown: {error}"))
}

/// Frames as messages: one message where bytes go along with any of them, else a text each.
fn messages(frames: &[FromDevice]) -> Vec<Message> {
    let json = |frame: &FromDevice| serde_json::to_string(frame).expect("a frame should serialise");
    if frames.iter().all(|frame| frame.along().is_empty()) {
        return frames.iter().map(|frame| Message::Text(json(frame))).collect();
    }
    let (mut messages, mut packed) = (Vec::new(), Packed::default());
    for frame in frames {
        let json = json(frame);
        if !packed.push(&json, frame.along()) {
            messages.push(Message::Bytes(std::mem::take(&mut packed).into_message()));
            let has_room = packed.push(&json, frame.along());
            assert!(has_room, "a small output and a token that came in a message should go into one");
        }
    }
    messages.push(Message::Bytes(packed.into_message()));
    messages
}

struct Session<'a, T: Transport, O, C> {
    engine: &'a Engine,
    transport: &'a T,
    observer: O,
    commands: C,
    account: Credentials,
    models_only: bool,
    duty: DutyCycle,
    core: Core,
    outbox: Outbox,
    /// Also those that were taken back and end with their submission.
    computing: FuturesUnordered<LocalBoxFuture<'a, Finished>>,
    proving: FuturesUnordered<LocalBoxFuture<'a, Proved>>,
    answers: Answers,
    /// Those that are still this device's.
    leases: HashMap<LeaseId, AbortHandle>,
    backoff: Backoff,
    /// When the edge took the device on, over this connection.
    welcomed: Option<Instant>,
    busy_share: BusyShare,
    /// Since a lease was computed, and over no customer's kernel.
    breakdowns: u32,
    /// Leases that could not be fetched, computed or uploaded since the last that could.
    failures: u32,
    /// Of the last lease, while the device was busy.
    gflops: f64,
    /// Program of the latest lease.
    program: Option<String>,
    /// What went wrong since a lease was computed last.
    trouble: Option<Trouble>,
    reported: Option<Status>,
}

/// A lease that was computed, or was not.
struct Finished {
    grant: LeaseGrant,
    result: Result<Outcome, RunFailure>,
}

/// A challenge that was answered, or could not be.
type Proved = (SpeedChallenge, Result<Product, GpuError>);

/// What happens next.
enum Event<T> {
    Command(Command),
    Finished(Box<Finished>),
    Proved(Proved),
    Awaited(T),
}

/// How one connection ended.
enum ConnectionEnd {
    /// And why.
    Over(Ended, String),
    Stopped,
}

impl ConnectionEnd {
    fn lost(reason: String) -> Self {
        Self::Over(Ended::Lost, reason)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Over,
    Stopped,
}

/// What the core wants said and computed, until the loop does it.
#[derive(Default)]
struct Outbox {
    frames: Vec<FromDevice>,
    /// Parts of what a frame announced; said after the frames.
    parts: Vec<Vec<u8>>,
    grants: Vec<LeaseGrant>,
}

impl Link for Outbox {
    fn send(&mut self, frame: FromDevice) {
        self.frames.push(frame);
    }

    fn compute(&mut self, grant: LeaseGrant) {
        self.grants.push(grant);
    }
}

impl<T: Transport, O: Observer, C: FusedStream<Item = Command> + Unpin> Session<'_, T, O, C> {
    /// From connecting to the loss of the socket, or the end of the session.
    async fn run_connection(&mut self) -> Result<ConnectionEnd, SessionError> {
        self.report();
        let transport = self.transport;
        match self.work_until(transport.connect()).await? {
            None => Ok(ConnectionEnd::Stopped),
            Some(Err(Closed { reason })) => Ok(ConnectionEnd::lost(reason)),
            Some(Ok(mut socket)) => {
                let end = self.serve(&mut socket).await;
                self.disconnect();
                end
            }
        }
    }

    async fn serve(&mut self, socket: &mut T::Socket) -> Result<ConnectionEnd, SessionError> {
        loop {
            let end = match self.next_event(socket.receive()).await {
                Event::Command(command) => {
                    self.on_command(command);
                    Ok(None)
                }
                Event::Finished(finished) => self.on_finished(*finished).await.map(|()| None),
                Event::Proved(proved) => {
                    self.on_proved(proved);
                    Ok(None)
                }
                Event::Awaited(Ok(Message::Text(text))) => self.on_text(&text),
                Event::Awaited(Ok(Message::Bytes(bytes))) => self.on_bytes(&bytes),
                Event::Awaited(Err(Closed { reason })) => Ok(Some(ConnectionEnd::lost(reason))),
            };
            // Leases go back politely if the socket still stands, whatever the end.
            let flushed = self.flush(socket).await;
            self.report();
            if let Some(end) = end? {
                return Ok(end);
            }
            if self.core.is_stopped() {
                socket.close().await;
                return Ok(ConnectionEnd::Stopped);
            }
            if let Err(Closed { reason }) = flushed {
                return Ok(ConnectionEnd::lost(reason));
            }
        }
    }

    async fn wait_to_reconnect(&mut self, ended: Ended, reason: &str) -> Result<Wait, SessionError> {
        let connected = self.welcomed.take().map_or(Duration::ZERO, |since| since.elapsed());
        let wait = self.backoff.next_wait(connected, ended);
        self.observer.on_connection_lost(reason, wait);
        self.report();
        let transport = self.transport;
        let waited = self.work_until(transport.wait(wait)).await?;
        Ok(if waited.is_some() { Wait::Over } else { Wait::Stopped })
    }

    /// Takes commands and finished leases until `awaited` is there; `None` once the session is stopped.
    async fn work_until<F: Future>(&mut self, awaited: F) -> Result<Option<F::Output>, SessionError> {
        let mut awaited = pin!(awaited);
        loop {
            match self.next_event(awaited.as_mut()).await {
                Event::Command(command) => self.on_command(command),
                Event::Finished(finished) => self.on_finished(*finished).await?,
                // Nobody hears it, and the edge counts it as failed.
                Event::Proved(_) => {}
                Event::Awaited(output) => return Ok(Some(output)),
            }
            self.report();
            if self.core.is_stopped() {
                return Ok(None);
            }
        }
    }

    async fn next_event<F: Future>(&mut self, awaited: F) -> Event<F::Output> {
        let mut awaited = pin!(awaited.fuse());
        select_biased! {
            command = self.commands.select_next_some() => Event::Command(command),
            proved = self.proving.select_next_some() => Event::Proved(proved),
            finished = self.computing.select_next_some() => Event::Finished(Box::new(finished)),
            output = awaited => Event::Awaited(output),
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Duty(percent) => self.duty.set(percent),
            Command::Pause(reason) => self.core.on_pause(&mut self.outbox, reason),
            Command::Resume => self.core.on_resume(&mut self.outbox),
            Command::Stop => self.core.on_stop(&mut self.outbox),
        }
    }

    fn on_text(&mut self, text: &str) -> Result<Option<ConnectionEnd>, SessionError> {
        match serde_json::from_str(text) {
            Ok(frame) => self.on_frame(frame),
            Err(error) => Ok(Some(unknown(error))),
        }
    }

    fn on_bytes(&mut self, bytes: &[u8]) -> Result<Option<ConnectionEnd>, SessionError> {
        let frames = match unpack(bytes) {
            Ok(Unpacked::Part(part)) => {
                self.outbox.parts = self.answers.on_bytes(part);
                return Ok(None);
            }
            Ok(Unpacked::Frames(frames)) => frames,
            Err(error) => return Ok(Some(unknown(error))),
        };
        for (json, along) in frames {
            let mut frame: ToDevice = match serde_json::from_str(json) {
                Ok(frame) => frame,
                Err(error) => return Ok(Some(unknown(error))),
            };
            if let Err(error) = frame.take_along(along) {
                return Ok(Some(unknown(error)));
            }
            if let Some(end) = self.on_frame(frame)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn on_frame(&mut self, frame: ToDevice) -> Result<Option<ConnectionEnd>, SessionError> {
        self.observer.on_frame(&frame);
        match &frame {
            ToDevice::Challenge { nonce, .. } => {
                let runs_kernels = !self.models_only && self.engine.info.kernels.is_some();
                let to = (*nonce, self.transport.origin());
                self.outbox.frames.push(hello(self.engine, to, (T::CLASS, runs_kernels), &self.account));
            }
            ToDevice::Welcome(_) => {
                // A device code works once: the device is linked by now.
                self.account.code = None;
                self.welcomed = Some(Instant::now());
            }
            ToDevice::Close { code, message } => return self.on_close(*code, message).map(Some),
            ToDevice::Prove(challenge) => self.prove(*challenge),
            ToDevice::Reveal { challenge, rows, probe_bytes } => {
                self.outbox.parts = self.answers.on_reveal(*challenge, rows.clone(), *probe_bytes);
            }
            ToDevice::Lease(_)
            | ToDevice::Revoke { .. }
            | ToDevice::Settled { .. }
            | ToDevice::Checked { .. }
            | ToDevice::Speed { .. }
            | ToDevice::Refused { .. } => {}
        }
        self.core.on_frame(&mut self.outbox, frame);
        Ok(None)
    }

    /// The edge closes the connection: for good, or so that the device comes back.
    fn on_close(&mut self, code: ErrorCode, message: &str) -> Result<ConnectionEnd, SessionError> {
        let passing = matches!(code, ErrorCode::Internal | ErrorCode::RateLimited | ErrorCode::Draining);
        // A page makes a new code at each start. This one was used up by a connection that broke off: the
        // device is linked by now, or a guest.
        let code_is_used = code == ErrorCode::UnknownCode && T::CLASS == DeviceClass::Tab;
        if code_is_used {
            self.account.code = None;
        }
        if passing {
            let ended = match code {
                ErrorCode::RateLimited => Ended::TurnedAway,
                ErrorCode::Draining => Ended::SentOn,
                _ => Ended::Lost,
            };
            Ok(ConnectionEnd::Over(ended, message.to_owned()))
        } else if code_is_used {
            Ok(ConnectionEnd::lost(message.to_owned()))
        } else {
            Err(SessionError::Refused { code, message: message.to_owned() })
        }
    }

    /// A device that rests computes nothing; whoever paused it wants it for something else.
    fn prove(&mut self, challenge: SpeedChallenge) {
        if self.core.is_working() {
            let (engine, duty) = (self.engine, self.duty.clone());
            self.proving.push(Box::pin(async move { (challenge, engine.prove(&challenge, duty).await) }));
        }
    }

    fn on_proved(&mut self, (challenge, product): Proved) {
        match product {
            Ok(product) => self.outbox.frames.push(self.answers.on_proved(&challenge, product)),
            Err(error) => self.observer.on_challenge_failed(&error),
        }
    }

    async fn on_finished(&mut self, Finished { grant, result }: Finished) -> Result<(), SessionError> {
        self.leases.remove(&grant.lease);
        match result {
            Ok(outcome) => {
                #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "shown with one decimal")]
                let flops = outcome.flops as f64;
                self.gflops = flops / outcome.busy.as_secs_f64().max(1e-6) / 1e9;
                self.busy_share.add(outcome.busy);
                (self.breakdowns, self.failures) = (0, 0);
                self.trouble = None;
                self.core.on_computed(&mut self.outbox, outcome.receipt, outcome.signature, outcome.output);
            }
            Err(failure) => {
                self.failures += u32::from(failure.is_of_no_kernel());
                self.give_back(&grant, &failure);
                self.trouble = trouble(&failure).or(self.trouble.take());
                self.observer.on_lease_failed(grant.lease, &failure);
                if failure.breaks_device() {
                    self.restart(&failure).await?;
                }
            }
        }
        Ok(())
    }

    /// Says why a lease is not computed, where that is the kernel's doing.
    fn give_back(&mut self, grant: &LeaseGrant, failure: &RunFailure) {
        if let Some((tile, fault)) = failure.fault() {
            let tile = grant.first_tile.saturating_add(tile);
            self.core.on_fault(&mut self.outbox, grant.lease, tile, fault.line, fault.turns);
        } else if let Some(reason) = failure.compile_error() {
            let message = reason.chars().take(COMPILE_ERROR_MAX).collect();
            self.core.on_cannot_compile(&mut self.outbox, grant.lease, message);
        } else {
            self.core.on_compute_failed(&mut self.outbox, grant.lease);
        }
    }

    /// Opens the device anew. A customer's kernel never ends the session; a device that breaks down over our own
    /// work again and again does.
    async fn restart(&mut self, failure: &RunFailure) -> Result<(), SessionError> {
        let reason = failure.to_string();
        self.breakdowns += u32::from(failure.compile_error().is_none());
        if self.breakdowns > BREAKDOWNS_MAX {
            return Err(SessionError::DeviceLost { reason });
        }
        match self.engine.restart().await {
            Ok(()) => {
                self.observer.on_device_restarted(&reason);
                Ok(())
            }
            Err(error) => Err(SessionError::DeviceLost { reason: format!("{reason}; {error}") }),
        }
    }

    /// Says and begins what the core asked for.
    async fn flush(&mut self, socket: &mut T::Socket) -> Result<(), Closed> {
        self.abort_lost_leases();
        for grant in std::mem::take(&mut self.outbox.grants) {
            self.begin(grant);
        }
        for message in messages(&std::mem::take(&mut self.outbox.frames)) {
            socket.send(message).await?;
        }
        for part in std::mem::take(&mut self.outbox.parts) {
            socket.send(Message::Bytes(part_message(&part))).await?;
        }
        Ok(())
    }

    fn begin(&mut self, grant: LeaseGrant) {
        let (handle, registration) = AbortHandle::new_pair();
        self.leases.insert(grant.lease, handle);
        self.program = Some(grant.task.program().to_owned());
        self.busy_share.begin();
        let (engine, http, duty) = (self.engine, self.transport.http(), self.duty.clone());
        let (transport, wait) = (self.transport, wait_after(self.failures));
        self.computing.push(Box::pin(async move {
            let result = engine.compute(http, &grant, duty, registration).await;
            if result.as_ref().is_err_and(RunFailure::is_of_no_kernel) {
                transport.wait(wait).await;
            }
            Finished { grant, result }
        }));
    }

    /// Leases that were revoked or given back need not be finished.
    fn abort_lost_leases(&mut self) {
        let core = &self.core;
        self.leases.retain(|lease, handle| {
            let holds = core.holds(*lease);
            if !holds {
                handle.abort();
            }
            holds
        });
    }

    fn disconnect(&mut self) {
        self.core.on_disconnected();
        self.outbox = Outbox::default();
        self.abort_lost_leases();
    }

    /// Tells the observer what changed.
    fn report(&mut self) {
        let tiles_in_hand = self.core.tiles_in_hand();
        let status = Status {
            phase: self.core.phase(),
            device: self.engine.identity.device(),
            adapter: self.engine.info.name.clone(),
            tiles_verified: self.core.tiles_verified,
            leases_refused: self.core.leases_refused,
            earnings: self.core.earnings,
            tiles_in_hand,
            gflops: self.gflops,
            program: self.program.clone().filter(|_| tiles_in_hand > 0),
            busy_percent: self.busy_share.percent(),
            trouble: self.trouble.clone(),
        };
        if self.reported.as_ref() != Some(&status) {
            self.observer.on_status(&status);
            self.reported = Some(status);
        }
    }
}
