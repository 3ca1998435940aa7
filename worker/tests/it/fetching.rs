//! What a device fetches for its leases, and what it keeps.

use std::cell::RefCell;
use std::time::Duration;

use futures::future::{AbortHandle, AbortRegistration};
use gpu_kernels::device::{Cpu, Device};
use wire::{BlobHash, DType, Field, InferTask, JobId, LeaseGrant, LeaseId, Task};
use worker::duty::DutyCycle;
use worker::engine::Engine;
use worker::failure::RunFailure;
use worker::identity::Identity;
use worker::transfer::{Transfer, TransferError};

/// The smallest model there is, and one row for it.
struct Edge {
    fetched: RefCell<Vec<String>>,
    /// Told once the model is down.
    lease: AbortHandle,
    takes_back: bool,
}

impl Edge {
    fn fetched(&self, file: &str) -> usize {
        self.fetched.borrow().iter().filter(|path| path.ends_with(file)).count()
    }
}

impl Transfer for Edge {
    async fn get(&self, path: &str) -> Result<Vec<u8>, TransferError> {
        self.fetched.borrow_mut().push(path.to_owned());
        // Whoever else would fetch has its turn.
        tokio::task::yield_now().await;
        if path.ends_with("/input") {
            return Ok((-1.0_f32).to_le_bytes().to_vec());
        }
        if self.takes_back {
            self.lease.abort();
        }
        Ok(std::fs::read("../e2e/samples/relu/relu.onnx").unwrap())
    }

    async fn put(&self, _path: &str, body: Vec<u8>) -> Result<(), TransferError> {
        assert_eq!(body, 0.0_f32.to_le_bytes());
        Ok(())
    }
}

fn edge(takes_back: bool) -> (Edge, AbortRegistration) {
    let (lease, registration) = AbortHandle::new_pair();
    (Edge { fetched: RefCell::default(), lease, takes_back }, registration)
}

fn engine() -> Engine {
    Engine::new(Device::Cpu(Cpu::open(Duration::from_millis(100), None)), Identity::from_secret(&[7; 32]))
}

fn grant(n: u8) -> LeaseGrant {
    let field = |name: &str| Field {
        name: name.to_owned(),
        dtype: DType::Float32,
        shape: vec![1],
        shared: false,
        whole: false,
    };
    LeaseGrant {
        lease: LeaseId([n; 16]),
        job: JobId::from_parts(1, [0; 10]),
        first_tile: n.into(),
        tiles: 1,
        rows: 1,
        tile_rows: 1,
        task: Task::Infer(InferTask { model: BlobHash([1; 32]), inputs: vec![field("x")], outputs: vec![field("y")] }),
        flops: 1,
        nudge: None,
        deadline_millis: 1000,
        token: n.to_string(),
        input: None,
    }
}

#[tokio::test]
async fn two_leases_of_one_model_fetch_it_once() {
    let (engine, (edge, first)) = (engine(), edge(false));
    let (_, second) = AbortHandle::new_pair();
    let duty = DutyCycle::new(100);

    let (one, other) = (grant(1), grant(2));
    let first = engine.compute(&edge, &one, duty.clone(), first);
    let (first, second) = futures::join!(first, engine.compute(&edge, &other, duty, second));

    assert!(first.is_ok() && second.is_ok());
    assert_eq!((edge.fetched("/code"), edge.fetched("/input")), (1, 2));
}

#[tokio::test]
async fn a_model_that_is_down_is_kept_though_its_lease_is_taken_back() {
    let (engine, duty) = (engine(), DutyCycle::new(100));
    let (edge_of_first, registration) = edge(true);
    let lost = engine.compute(&edge_of_first, &grant(1), duty.clone(), registration).await;
    assert!(matches!(lost, Err(RunFailure::Abandoned)));

    let (edge_of_next, registration) = edge(false);
    let next = engine.compute(&edge_of_next, &grant(2), duty, registration).await;

    assert!(next.is_ok());
    assert_eq!((edge_of_first.fetched("/code"), edge_of_next.fetched("/code")), (1, 0));
}
