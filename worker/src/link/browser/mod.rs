//! The browser's Web Worker: it does what the lend page, or another, wants of it. It lends the device
//! in a session, or does one thing and is ended.

mod http;
mod key;
mod page;
mod socket;

use std::cell::RefCell;
use std::future::ready;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{FutureExt, StreamExt};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::MessageEvent;
use wire::device::DeviceClass;
use wire::lend::{Benchmark, FailureCode, FromWorker, Status, ToWorker};
use wire::{ErrorCode, JobId, LeaseGrant};

use self::http::Http;
use self::page::{fail, post};
use self::socket::TabSocket;
use super::{Closed, Transport};
use crate::device;
use crate::engine::Engine;
use crate::hello::Credentials;
use crate::session::{self, Command, Observer, Options, SessionError};
use crate::transfer::EdgeUrl;

/// Messages of the page that wait. It sends a few at a time.
const MESSAGES_MAX: usize = 256;

/// Installs the worker. Returns at once; the rest runs on the event loop.
pub fn start() {
    console_error_panic_hook::set_once();
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let sender = RefCell::new(sender);
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let text = event.data().as_string().unwrap_or_default();
        match serde_json::from_str(&text) {
            // A worker so far behind that its queue is full has nothing to gain from one message more.
            Ok(message) => sender.borrow_mut().try_send(message).unwrap_or_default(),
            Err(error) => fail(FailureCode::Refused(ErrorCode::MalformedFrame), error.to_string()),
        }
    });
    page::scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The callback lives as long as the worker.
    on_message.forget();
    spawn_local(run(messages));
    post(&FromWorker::Loaded);
}

/// What the page wants of this worker: one thing in its life.
enum Request {
    Lend { url: String, options: Options },
    Benchmark { secs: u8 },
    Recompute { url: String, job: JobId },
    Try { url: String, grant: String },
}

impl Request {
    /// With whether a GPU emulated by the processor will do. `None`: nothing can be done with that yet.
    fn read(message: ToWorker) -> Option<(Self, bool)> {
        match message {
            ToWorker::Start { url, software, duty_percent, models_only, code, only_job } => {
                let account = Credentials { code, only_job, ..Credentials::default() };
                Some((Self::Lend { url, options: Options { account, duty_percent, models_only } }, software))
            }
            ToWorker::Benchmark { software, secs } => Some((Self::Benchmark { secs }, software)),
            ToWorker::Recompute { url, software, job } => Some((Self::Recompute { url, job }, software)),
            ToWorker::Try { url, software, grant } => Some((Self::Try { url, grant }, software)),
            ToWorker::Stop | ToWorker::Duty { .. } | ToWorker::Pause { .. } | ToWorker::Resume => None,
        }
    }
}

/// Why a worker cannot go on.
type Failure = (FailureCode, String);

async fn run(mut messages: mpsc::Receiver<ToWorker>) {
    let (request, software) = loop {
        let Some(message) = messages.next().await else { return };
        if let Some(request) = Request::read(message) {
            break request;
        }
    };
    if let Err((code, message)) = answer(request, software, messages).await {
        fail(code, message);
    }
}

async fn answer(request: Request, software: bool, messages: mpsc::Receiver<ToWorker>) -> Result<(), Failure> {
    let identity = key::identity()
        .await
        .map_err(|error| (FailureCode::Storage, format!("the device key cannot be kept: {error}")))?;
    let device = device::open().await.map_err(|error| (FailureCode::NoWebGpu, error.to_string()))?;
    if !software && device.info().software {
        return Err((FailureCode::SoftwareAdapter, device.info().name.clone()));
    }
    let engine = Engine::new(device, identity).reopen_with(|| device::open().boxed_local());
    match request {
        Request::Lend { url, options } => lend(&engine, &url, options, messages).await,
        Request::Benchmark { secs } => benchmark(&engine, secs).await,
        Request::Recompute { url, job } => {
            let recomputed = engine.recompute(&Http::new(edge_url(&url)?), job).await;
            post(&FromWorker::Recomputed(recomputed.map_err(|error| (FailureCode::Sample, error.to_string()))?));
            Ok(())
        }
        Request::Try { url, grant } => {
            let grant: LeaseGrant = serde_json::from_str(&grant).map_err(malformed)?;
            let tried = engine.try_tile(&Http::new(edge_url(&url)?), &grant).await;
            post(&FromWorker::Tried(tried.map_err(|error| (FailureCode::Sample, error.to_string()))?));
            Ok(())
        }
    }
}

fn edge_url(url: &str) -> Result<EdgeUrl, Failure> {
    EdgeUrl::parse(url).map_err(malformed)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn malformed(error: impl ToString) -> Failure {
    (FailureCode::Refused(ErrorCode::MalformedFrame), error.to_string())
}

async fn benchmark(engine: &Engine, secs: u8) -> Result<(), Failure> {
    let measured = engine.measure(Duration::from_secs(secs.into())).await;
    let measured = measured.map_err(|error| (FailureCode::DeviceLost, error.to_string()))?;
    post(&FromWorker::Benchmarked(Benchmark {
        adapter: engine.info.name.clone(),
        gflops: measured.gflops(),
        secs: measured.busy.as_secs_f64(),
    }));
    Ok(())
}

/// Lends the device until the page stops it.
async fn lend(engine: &Engine, url: &str, options: Options, messages: mpsc::Receiver<ToWorker>) -> Result<(), Failure> {
    let url = edge_url(url)?;
    let transport = TabTransport { origin: url.origin(), socket_url: url.socket(), http: Http::new(url) };
    let commands = messages.filter_map(|message| ready(command(&message)));
    session::run(engine, &transport, Page, options, commands).await.map_err(|error| match error {
        SessionError::Refused { code, message } => (FailureCode::Refused(code), message),
        SessionError::DeviceLost { reason } => (FailureCode::DeviceLost, reason),
    })
}

fn command(message: &ToWorker) -> Option<Command> {
    match *message {
        ToWorker::Start { duty_percent, .. } | ToWorker::Duty { percent: duty_percent } => {
            Some(Command::Duty(duty_percent))
        }
        ToWorker::Stop => Some(Command::Stop),
        ToWorker::Pause { reason } => Some(Command::Pause(reason)),
        ToWorker::Resume => Some(Command::Resume),
        // A worker does one thing in its life.
        ToWorker::Benchmark { .. } | ToWorker::Recompute { .. } | ToWorker::Try { .. } => None,
    }
}

struct TabTransport {
    origin: String,
    socket_url: String,
    http: Http,
}

impl Transport for TabTransport {
    const CLASS: DeviceClass = DeviceClass::Tab;
    type Socket = TabSocket;
    type Http = Http;

    fn origin(&self) -> &str {
        &self.origin
    }

    fn http(&self) -> &Http {
        &self.http
    }

    async fn connect(&self) -> Result<TabSocket, Closed> {
        TabSocket::open(&self.socket_url)
    }

    async fn wait(&self, time: Duration) {
        gloo_timers::future::sleep(time).await;
    }
}

/// Shows how the session goes.
struct Page;

impl Observer for Page {
    fn on_status(&mut self, status: &Status) {
        post(&FromWorker::Status(status.clone()));
    }
}
