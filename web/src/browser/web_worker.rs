//! The page's side of the Web Worker that computes.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};
use wire::lend::{FailureCode, FromWorker, ToWorker};

use super::backend::Backend;
use crate::text::text;

const GPU_SCRIPT: &str = "/pkg/browser-worker_loader.js";
const CPU_SCRIPT: &str = "/pkg/browser-worker-cpu_loader.js";

/// A running worker. Dropping it ends it. The server never has one.
pub struct WebWorker {
    worker: Worker,
    _callback: Closure<dyn Fn(MessageEvent)>,
}

impl WebWorker {
    /// The worker for WebGPU, or the one for the processor, which is only then downloaded. `None`
    /// where the browser lets no worker start.
    pub fn start(backend: Backend, on_message: impl Fn(FromWorker) + 'static) -> Option<Self> {
        if cfg!(feature = "ssr") {
            return None;
        }
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let script = if backend == Backend::Cpu { CPU_SCRIPT } else { GPU_SCRIPT };
        let worker = Worker::new_with_options(script, &options).ok()?;
        let callback = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(message) = event.data().as_string().and_then(|text| serde_json::from_str(&text).ok()) {
                on_message(message);
            }
        });
        worker.set_onmessage(Some(callback.as_ref().unchecked_ref()));
        Some(Self { worker, _callback: callback })
    }

    pub fn send(&self, message: &ToWorker) {
        if let Ok(text) = serde_json::to_string(message) {
            // A worker that has ended takes no message.
            self.worker.post_message(&JsValue::from_str(&text)).unwrap_or_default();
        }
    }
}

impl Drop for WebWorker {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.terminate();
    }
}

/// Where a page keeps the worker that does one thing for it.
pub type WorkerSlot = StoredValue<Option<WebWorker>, LocalStorage>;

/// What a worker is asked to do, on the backend that it was started for.
pub type MakeRequest = Rc<dyn Fn(Backend) -> ToWorker>;

/// Takes the worker's answer, or what a person is told in place of one.
pub type OnFinish = Rc<dyn Fn(Result<FromWorker, String>)>;

/// Has a worker of its own do one thing, and ends it: on the first of `backends` that is there.
pub fn run_request(slot: WorkerSlot, backends: &'static [Backend], make_request: MakeRequest, on_finish: OnFinish) {
    let Some((&backend, rest)) = backends.split_first() else { return };
    let request = make_request(backend);
    let on_no_worker = Rc::clone(&on_finish);
    let on_message = move |message| {
        let outcome = match message {
            FromWorker::Loaded => {
                slot.with_value(|worker| {
                    if let Some(worker) = worker {
                        worker.send(&request);
                    }
                });
                return;
            }
            FromWorker::Status(_) => return,
            FromWorker::Failed { code, message } => {
                let missing = matches!(code, FailureCode::NoWebGpu | FailureCode::SoftwareAdapter);
                Err((missing || backend == Backend::Cpu, message))
            }
            FromWorker::Benchmarked(_) | FromWorker::Recomputed(_) | FromWorker::Tried(_) => Ok(message),
        };
        let (make_request, on_finish) = (Rc::clone(&make_request), Rc::clone(&on_finish));
        // A worker must not be dropped from within its own message. The page may have moved on meanwhile.
        let later = move || {
            slot.try_update_value(|worker| *worker = None).unwrap_or_default();
            match outcome {
                Err((true, _)) if !rest.is_empty() => run_request(slot, rest, make_request, on_finish),
                outcome => on_finish(outcome.map_err(|(_, message)| message)),
            }
        };
        set_timeout(later, std::time::Duration::ZERO);
    };
    match WebWorker::start(backend, on_message) {
        Some(worker) => slot.set_value(Some(worker)),
        None => on_no_worker(Err(text().lend.no_worker.to_owned())),
    }
}
