//! A session over a transport that plays what an edge says.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::mpsc;
use gpu_kernels::device::{Cpu, Device};
use wire::device::{DeviceClass, Earnings, PROTOCOL};
use wire::lend::{Status, Trouble};
use wire::{
    BlobHash, ChallengeId, ErrorCode, FromDevice, InferTask, JobId, LeaseGrant, LeaseId, Nonce, SpeedChallenge, Task,
    ToDevice,
};
use worker::engine::Engine;
use worker::hello::Credentials;
use worker::identity::Identity;
use worker::link::{Closed, Message, Socket, Transport};
use worker::session::{self, Command, Observer, Options, SessionError};
use worker::transfer::{Transfer, TransferError};

/// An edge that says some frames over each connection, then has the device stopped. It has no blobs.
struct Edge {
    connections: RefCell<VecDeque<Vec<ToDevice>>>,
    said: RefCell<Vec<&'static str>>,
    waits: Cell<u32>,
    commands: mpsc::Sender<Command>,
}

struct Connection<'a> {
    edge: &'a Edge,
    frames: VecDeque<ToDevice>,
}

struct NoBlobs;

impl Transfer for NoBlobs {
    async fn get(&self, _path: &str) -> Result<Vec<u8>, TransferError> {
        Err(TransferError::Status { status: 404 })
    }

    async fn put(&self, _path: &str, _body: Vec<u8>) -> Result<(), TransferError> {
        Err(TransferError::Status { status: 404 })
    }
}

impl<'a> Transport for &'a Edge {
    const CLASS: DeviceClass = DeviceClass::Native;
    type Socket = Connection<'a>;
    type Http = NoBlobs;

    fn origin(&self) -> &'static str {
        "http://edge.test"
    }

    fn http(&self) -> &NoBlobs {
        &NoBlobs
    }

    async fn connect(&self) -> Result<Connection<'a>, Closed> {
        let frames = self.connections.borrow_mut().pop_front();
        frames
            .map(|frames| Connection { edge: self, frames: frames.into() })
            .ok_or_else(|| Closed { reason: "nobody listens".to_owned() })
    }

    async fn wait(&self, _time: Duration) {
        self.waits.set(self.waits.get() + 1);
    }
}

impl Socket for Connection<'_> {
    async fn receive(&mut self) -> Result<Message, Closed> {
        let is_answered = self.edge.said.borrow().contains(&"proved");
        let next = self.frames.pop_front_if(|frame| is_answered || !matches!(frame, ToDevice::Reveal { .. }));
        if let Some(frame) = next {
            return Ok(Message::Text(serde_json::to_string(&frame).unwrap()));
        }
        if !self.frames.is_empty() {
            return std::future::pending().await;
        }
        self.edge.commands.clone().try_send(Command::Stop).unwrap();
        std::future::pending().await
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        let Message::Text(text) = message else {
            self.edge.said.borrow_mut().push("rows");
            return Ok(());
        };
        self.edge.said.borrow_mut().push(match serde_json::from_str(&text).unwrap() {
            FromDevice::Hello(_) => "hello",
            FromDevice::Ready => "ready",
            FromDevice::Commit { .. } => "commit",
            FromDevice::Return { .. } => "return",
            FromDevice::Fault { .. } => "fault",
            FromDevice::CannotCompile { .. } => "cannot compile",
            FromDevice::Proved { .. } => "proved",
            FromDevice::Rest => "rest",
        });
        Ok(())
    }

    async fn close(&mut self) {
        self.edge.said.borrow_mut().push("close");
    }
}

/// Notes what its owner is told went wrong.
#[derive(Clone, Default)]
struct Owner(Rc<RefCell<Vec<Trouble>>>);

impl Observer for Owner {
    fn on_status(&mut self, status: &Status) {
        let mut told = self.0.borrow_mut();
        if let Some(trouble) = status.trouble.clone().filter(|trouble| told.last() != Some(trouble)) {
            told.push(trouble);
        }
    }
}

/// What the device says, how often it waits, and how its session ends.
async fn session(
    connections: impl Into<VecDeque<Vec<ToDevice>>>,
) -> (Vec<&'static str>, u32, Result<(), SessionError>) {
    session_of(connections, Owner::default()).await
}

async fn session_of(
    connections: impl Into<VecDeque<Vec<ToDevice>>>,
    owner: Owner,
) -> (Vec<&'static str>, u32, Result<(), SessionError>) {
    let (commands, stop) = mpsc::channel(1);
    let (connections, said, waits) = (RefCell::new(connections.into()), RefCell::default(), Cell::default());
    let edge = Edge { connections, said, waits, commands };
    let device = Device::Cpu(Cpu::open(Duration::from_millis(100), None));
    let engine = Engine::new(device, Identity::from_secret(&[7; 32]));
    let options = Options { account: Credentials::default(), duty_percent: 100, models_only: false };
    let ended = session::run(&engine, &&edge, owner, options, stop).await;
    (edge.said.take(), edge.waits.get(), ended)
}

fn challenge() -> ToDevice {
    ToDevice::Challenge { protocol: PROTOCOL, nonce: Nonce([0; 16]) }
}

fn close(code: ErrorCode) -> ToDevice {
    ToDevice::Close { code, message: "closed".to_owned() }
}

fn lease() -> ToDevice {
    ToDevice::Lease(LeaseGrant {
        lease: LeaseId([1; 16]),
        job: JobId::from_parts(1, [0; 10]),
        first_tile: 0,
        tiles: 1,
        rows: 1,
        tile_rows: 1,
        task: Task::Infer(InferTask { model: BlobHash([0; 32]), inputs: Vec::new(), outputs: Vec::new() }),
        flops: 1,
        nudge: None,
        deadline_millis: 1000,
        token: String::new(),
        input: None,
    })
}

#[tokio::test]
async fn a_lease_that_cannot_be_fetched_goes_back_after_a_while_and_a_stopped_device_says_so() {
    let owner = Owner::default();
    let frames = vec![challenge(), ToDevice::Welcome(Earnings::default()), lease()];
    let (said, waits, ended) = session_of([frames], owner.clone()).await;

    assert_eq!(said, ["hello", "ready", "ready", "return", "ready", "rest", "close"]);
    assert_eq!((waits, ended), (1, Ok(())));
    let told = owner.0.take();
    assert!(matches!(&told[..], [Trouble::GivenBack { message }] if message.contains("404")), "{told:?}");
}

#[tokio::test]
async fn a_challenge_is_answered_and_rows_are_shown_once_they_are_asked_for() {
    let id = ChallengeId([1; 16]);
    let prove = ToDevice::Prove(SpeedChallenge { challenge: id, seed: [1; 4], side: 64, steps: 2, millis: 60_000 });
    let reveal = |challenge| ToDevice::Reveal { challenge, rows: vec![3], probe_bytes: 0 };
    let welcome = ToDevice::Welcome(Earnings::default());

    let (said, ..) = session([vec![challenge(), welcome, prove, reveal(ChallengeId([2; 16])), reveal(id)]]).await;

    assert_eq!(said, ["hello", "ready", "ready", "proved", "rows", "rest", "close"]);
}

#[tokio::test]
async fn a_device_comes_back_after_a_passing_refusal_and_stays_away_after_a_lasting_one() {
    let lost = vec![challenge(), close(ErrorCode::Internal)];
    let refused = vec![challenge(), close(ErrorCode::UnknownCode)];

    let (said, waits, ended) = session([lost, refused]).await;

    assert_eq!((said, waits), (vec!["hello", "hello"], 1));
    assert_eq!(ended, Err(SessionError::Refused { code: ErrorCode::UnknownCode, message: "closed".to_owned() }));
}
