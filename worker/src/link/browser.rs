//! The browser's Web Worker: it hears the lend page, speaks with the edge, and computes.
//!
//! One loop takes every event in turn: messages of the page, frames of the socket, finished leases.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, RequestInit, Response, WebSocket};
use wire::device::DeviceClass;
use wire::lend::{Benchmark, FailureCode, FromWorker, Status, ToWorker};
use wire::{ErrorCode, JobId, LeaseGrant, LeaseId, ToDevice};

use super::{Credentials, BusyShare, Out, hello, reconnect_wait};
use crate::core::Core;
use crate::device;
use crate::identity::Identity;
use crate::run::{Engine, Outcome, Pacing, RunFailure, Transfer, TransferError};

/// Events that wait for the loop. The edge has at most a few frames out for one device.
const EVENTS_MAX: usize = 256;
const DATABASE: &str = "tessera";
const STORE: &str = "device";
const KEY: &str = "secret";

enum Event {
    Page(ToWorker),
    Frame { socket: u32, text: String },
    Closed { socket: u32 },
    Done { grant: Box<LeaseGrant>, result: Box<Result<Outcome, RunFailure>> },
    Connect { socket: u32 },
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn post(message: &FromWorker) {
    let text = serde_json::to_string(message).expect("a message should serialise");
    // A page that is gone hears nothing.
    scope().post_message(&JsValue::from_str(&text)).unwrap_or_default();
}

fn fail(code: FailureCode, message: impl Into<String>) {
    post(&FromWorker::Failed { code, message: message.into() });
}

/// Installs the worker. Returns at once; the loop runs on the event loop.
pub fn start() {
    console_error_panic_hook::set_once();
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let to_loop = RefCell::new(sender.clone());
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let text = event.data().as_string().unwrap_or_default();
        match serde_json::from_str(&text) {
            Ok(message) => push(&to_loop, Event::Page(message)),
            Err(error) => fail(FailureCode::Refused(ErrorCode::MalformedFrame), error.to_string()),
        }
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // It is heard for as long as the worker lives.
    on_message.forget();
    spawn_local(run(sender, events));
    post(&FromWorker::Loaded);
}

fn push(sender: &RefCell<mpsc::Sender<Event>>, event: Event) {
    // A loop so far behind that its queue is full has nothing to gain from one event more.
    sender.borrow_mut().try_send(event).unwrap_or_default();
}

async fn run(sender: mpsc::Sender<Event>, mut events: mpsc::Receiver<Event>) {
    let (request, software) = loop {
        match events.next().await {
            Some(Event::Page(ToWorker::Start { url, software, duty_percent, code, only_job })) => {
                break (Request::Lend { url, duty_percent, code, only_job }, software);
            }
            Some(Event::Page(ToWorker::Benchmark { software, secs })) => break (Request::Benchmark { secs }, software),
            Some(Event::Page(ToWorker::Recompute { url, software, job })) => {
                break (Request::Recompute { url, job }, software);
            }
            Some(Event::Page(ToWorker::Try { url, software, grant })) => break (Request::Try { url, grant }, software),
            Some(_) => {}
            None => return,
        }
    };
    let identity = match identity().await {
        Ok(identity) => identity,
        Err(error) => return fail(FailureCode::Storage, format!("the device key cannot be kept: {error}")),
    };
    let device = match device::open().await {
        Ok(device) => device,
        Err(error) => return fail(FailureCode::NoWebGpu, error.to_string()),
    };
    if !software && device.info().software {
        return fail(FailureCode::SoftwareAdapter, device.info().name.clone());
    }
    let engine = Engine::new(device, identity);
    let (url, duty_percent, account) = match request {
        Request::Lend { url, duty_percent, code, only_job } => {
            (url, duty_percent, Credentials { code, only_job, ..Credentials::default() })
        }
        Request::Benchmark { secs } => return benchmark(&engine, secs).await,
        Request::Recompute { url, job } => return recompute(&engine, url, job).await,
        Request::Try { url, grant } => return try_tile(&engine, url, &grant).await,
    };
    let mut session = Session::new(Rc::new(engine), sender, url, duty_percent, account);
    session.connect();
    session.report();
    while let Some(event) = events.next().await {
        if let Err((code, message)) = session.on_event(event) {
            session.close();
            return fail(code, message);
        }
        session.report();
    }
}

/// What the page wants of this worker: one thing in its life.
enum Request {
    Lend { url: String, duty_percent: u8, code: Option<String>, only_job: Option<JobId> },
    Benchmark { secs: u8 },
    Recompute { url: String, job: JobId },
    Try { url: String, grant: String },
}

async fn benchmark(engine: &Engine, secs: u8) {
    match engine.measure(Duration::from_secs(secs.into())).await {
        Ok(measured) => post(&FromWorker::Benchmarked(Benchmark {
            adapter: engine.info.name.clone(),
            gflops: measured.gflops(),
            secs: measured.busy.as_secs_f64(),
        })),
        Err(error) => fail(FailureCode::DeviceLost, error.to_string()),
    }
}

async fn recompute(engine: &Engine, url: String, job: JobId) {
    match engine.recompute(&Http { url }, job).await {
        Ok(outcome) => post(&FromWorker::Recomputed(outcome)),
        Err(error) => fail(FailureCode::Sample, error.to_string()),
    }
}

async fn try_tile(engine: &Engine, url: String, grant: &str) {
    let grant: LeaseGrant = match serde_json::from_str(grant) {
        Ok(grant) => grant,
        Err(error) => return fail(FailureCode::Refused(ErrorCode::MalformedFrame), error.to_string()),
    };
    match engine.try_tile(&Http { url }, &grant).await {
        Ok(tried) => post(&FromWorker::Tried(tried)),
        Err(error) => fail(FailureCode::Sample, error.to_string()),
    }
}

/// The device's key, kept by this browser for this site.
async fn identity() -> Result<Identity, String> {
    let describe = |error: rexie::Error| error.to_string();
    let store = rexie::ObjectStore::new(STORE);
    let database =
        rexie::Rexie::builder(DATABASE).version(1).add_object_store(store).build().await.map_err(describe)?;
    let transaction = database.transaction(&[STORE], rexie::TransactionMode::ReadWrite).map_err(describe)?;
    let store = transaction.store(STORE).map_err(describe)?;
    let key = JsValue::from_str(KEY);
    let kept = store.get(key.clone()).await.map_err(describe)?.and_then(|value| value.as_string());
    let kept = kept.and_then(|text| text.parse::<wire::TileHash>().ok());
    let secret = if let Some(secret) = kept {
        secret
    } else {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
        let secret = wire::TileHash(secret);
        store.put(&JsValue::from_str(&secret.to_string()), Some(&key)).await.map_err(describe)?;
        secret
    };
    transaction.done().await.map_err(describe)?;
    Ok(Identity::from_secret(&secret.0))
}

struct Session {
    engine: Rc<Engine>,
    sender: mpsc::Sender<Event>,
    url: String,
    duty: Arc<AtomicU8>,
    core: Core,
    out: Out,
    running: HashMap<LeaseId, Arc<AtomicBool>>,
    socket: Option<Connection>,
    /// Number of the latest socket; events of older ones are stale.
    number: u32,
    attempt: u32,
    /// With a device code as long as that is not used up.
    account: Credentials,
    program: Option<String>,
    busy_share: BusyShare,
    gflops: f64,
    reported: Option<Status>,
}

/// A socket with its callbacks, which live as long as it.
struct Connection {
    socket: WebSocket,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_close: Closure<dyn Fn(JsValue)>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        self.socket.close().unwrap_or_default();
    }
}

type Failure = (FailureCode, String);

impl Session {
    fn new(
        engine: Rc<Engine>,
        sender: mpsc::Sender<Event>,
        url: String,
        duty_percent: u8,
        account: Credentials,
    ) -> Self {
        Self {
            engine,
            sender,
            url,
            duty: Arc::new(AtomicU8::new(duty_percent)),
            core: Core::default(),
            out: Out::default(),
            running: HashMap::new(),
            socket: None,
            number: 0,
            attempt: 0,
            account,
            program: None,
            busy_share: BusyShare::default(),
            gflops: 0.0,
            reported: None,
        }
    }

    fn connect(&mut self) {
        self.number += 1;
        let number = self.number;
        // http becomes ws, https wss.
        let address = format!("ws{}/v1/devices/socket", self.url.trim_end_matches('/').trim_start_matches("http"));
        let Ok(socket) = WebSocket::new(&address) else {
            return self.reconnect();
        };
        let sender = RefCell::new(self.sender.clone());
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                push(&sender, Event::Frame { socket: number, text });
            }
        });
        let sender = RefCell::new(self.sender.clone());
        let on_close = Closure::<dyn Fn(JsValue)>::new(move |_event| push(&sender, Event::Closed { socket: number }));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        self.socket = Some(Connection { socket, _on_message: on_message, _on_close: on_close });
    }

    fn reconnect(&mut self) {
        self.close();
        let mut byte = [0];
        getrandom::fill(&mut byte).unwrap_or_default();
        let wait = reconnect_wait(self.attempt, byte[0]);
        self.attempt += 1;
        let (sender, socket) = (RefCell::new(self.sender.clone()), self.number);
        spawn_local(async move {
            gloo_timers::future::sleep(wait).await;
            push(&sender, Event::Connect { socket });
        });
    }

    fn close(&mut self) {
        self.socket = None;
        self.running.values().for_each(|abandoned| abandoned.store(true, Ordering::Relaxed));
        self.running.clear();
        self.core.on_disconnected();
    }

    fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Page(message) => self.on_page(&message),
            Event::Frame { socket, text } if socket == self.number => self.on_frame(&text)?,
            Event::Closed { socket } if socket == self.number && !self.core.is_stopped() => self.reconnect(),
            Event::Connect { socket } if socket == self.number && !self.core.is_stopped() => self.connect(),
            Event::Frame { .. } | Event::Closed { .. } | Event::Connect { .. } => {}
            Event::Done { grant, result } => self.on_done(&grant, *result)?,
        }
        self.mark_abandoned();
        self.flush();
        if self.core.is_stopped() {
            self.close();
        }
        Ok(())
    }

    fn on_page(&mut self, message: &ToWorker) {
        match *message {
            ToWorker::Start { duty_percent, .. } | ToWorker::Duty { percent: duty_percent } => {
                self.duty.store(duty_percent, Ordering::Relaxed);
            }
            ToWorker::Stop => self.core.on_stop(&mut self.out),
            ToWorker::Pause { reason } => self.core.on_pause(&mut self.out, reason),
            ToWorker::Resume => self.core.on_resume(&mut self.out),
            // A worker does one thing in its life.
            ToWorker::Benchmark { .. } | ToWorker::Recompute { .. } | ToWorker::Try { .. } => {}
        }
    }

    fn on_frame(&mut self, text: &str) -> Result<(), Failure> {
        let frame: ToDevice = serde_json::from_str(text)
            .map_err(|error| (FailureCode::Refused(ErrorCode::MalformedFrame), error.to_string()))?;
        match &frame {
            ToDevice::Challenge { nonce, .. } => {
                self.out.frames.push(hello(&self.engine, *nonce, DeviceClass::Tab, self.account.clone()));
            }
            ToDevice::Close { code: ErrorCode::Internal | ErrorCode::RateLimited, .. } => self.reconnect(),
            // It was used up by a connection that broke off: the device is linked by now, or a guest.
            ToDevice::Close { code: ErrorCode::UnknownCode, .. } => {
                self.account.code = None;
                self.reconnect();
            }
            ToDevice::Close { code, message } => return Err((FailureCode::Refused(*code), message.clone())),
            ToDevice::Welcome(_) => {
                self.attempt = 0;
                self.account.code = None;
            }
            ToDevice::Lease(_)
            | ToDevice::Revoke { .. }
            | ToDevice::Settled { .. }
            | ToDevice::Checked { .. }
            | ToDevice::Refused { .. } => {}
        }
        self.core.on_frame(&mut self.out, frame);
        Ok(())
    }

    fn on_done(&mut self, grant: &LeaseGrant, result: Result<Outcome, RunFailure>) -> Result<(), Failure> {
        self.running.remove(&grant.lease);
        match result {
            Ok(outcome) => {
                #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
                let gflops = grant.flops as f64 / outcome.busy.as_secs_f64().max(1e-6) / 1e9;
                self.gflops = gflops;
                self.busy_share.add(outcome.busy);
                self.core.on_computed(&mut self.out, outcome.receipt, outcome.signature);
            }
            Err(failure) => {
                match failure.fault() {
                    Some((tile, fault)) => {
                        let tile = grant.first_tile + tile;
                        self.core.on_fault(&mut self.out, grant.lease, tile, fault.line, fault.turns);
                    }
                    None => self.core.on_compute_failed(&mut self.out, grant.lease),
                }
                if failure.is_device_lost() {
                    self.flush();
                    return Err((FailureCode::DeviceLost, failure.to_string()));
                }
            }
        }
        Ok(())
    }

    fn mark_abandoned(&mut self) {
        let core = &self.core;
        self.running.retain(|lease, abandoned| {
            let holds = core.holds(*lease);
            abandoned.store(!holds, Ordering::Relaxed);
            holds
        });
    }

    /// Says and begins what the core asked for.
    fn flush(&mut self) {
        for grant in std::mem::take(&mut self.out.grants) {
            let pacing = Pacing::new(&self.duty);
            self.running.insert(grant.lease, Arc::clone(&pacing.abandoned));
            self.program = Some(grant.task.program().to_owned());
            self.busy_share.begin();
            let (engine, http) = (Rc::clone(&self.engine), Http { url: self.url.clone() });
            let mut sender = self.sender.clone();
            spawn_local(async move {
                let result = Box::new(engine.compute(&http, &grant, pacing).await);
                sender.try_send(Event::Done { grant: Box::new(grant), result }).unwrap_or_default();
            });
        }
        let Some(connection) = &self.socket else { return };
        for frame in std::mem::take(&mut self.out.frames) {
            let text = serde_json::to_string(&frame).expect("a frame should serialise");
            // A socket that is closing says so by its own event.
            connection.socket.send_with_str(&text).unwrap_or_default();
        }
    }

    /// Tells the page what changed.
    fn report(&mut self) {
        let status = Status {
            phase: self.core.phase(),
            device: self.engine.identity.device(),
            adapter: self.engine.info.name.clone(),
            tiles_verified: self.core.tiles_verified,
            leases_refused: self.core.leases_refused,
            earnings: self.core.earnings,
            tiles_in_hand: self.core.tiles_in_hand(),
            gflops: self.gflops,
            program: self.program.clone().filter(|_| self.core.tiles_in_hand() > 0),
            busy_percent: self.busy_share.percent(),
        };
        if self.reported.as_ref() != Some(&status) {
            post(&FromWorker::Status(status.clone()));
            self.reported = Some(status);
        }
    }
}

/// Blobs by `fetch`.
struct Http {
    url: String,
}

impl Http {
    async fn fetch(&self, path: &str, options: &RequestInit) -> Result<Response, TransferError> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let response = JsFuture::from(scope().fetch_with_str_and_init(&url, options)).await.map_err(network)?;
        let response: Response = response.unchecked_into();
        if response.ok() { Ok(response) } else { Err(TransferError::Status { status: response.status() }) }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn network(error: JsValue) -> TransferError {
    TransferError::Network { reason: format!("{error:?}") }
}

impl Transfer for Http {
    async fn get(&self, path: &str) -> Result<Vec<u8>, TransferError> {
        let response = self.fetch(path, &RequestInit::new()).await?;
        let buffer = JsFuture::from(response.array_buffer().map_err(network)?).await.map_err(network)?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), TransferError> {
        let options = RequestInit::new();
        options.set_method("PUT");
        options.set_body(&Uint8Array::from(body.as_slice()));
        self.fetch(path, &options).await.map(drop)
    }
}
