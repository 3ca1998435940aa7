//! The page's end of the Web Worker that computes.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};
use wire::lend::{FailureCode, FromWorker, ToWorker};

use crate::text::text;

const GPU: &str = "/pkg/browser-worker_loader.js";
const CPU: &str = "/pkg/browser-worker-cpu_loader.js";

/// A running worker. Dropping it ends it. The server never has one.
pub struct Handle {
    worker: Worker,
    _on_message: Closure<dyn Fn(MessageEvent)>,
}

impl Handle {
    /// The worker for the GPU, or the one for the processor, which is only then downloaded. `None`
    /// where the browser lets no worker start.
    pub fn start(on_cpu: bool, on_message: impl Fn(FromWorker) + 'static) -> Option<Self> {
        if cfg!(feature = "ssr") {
            return None;
        }
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(if on_cpu { CPU } else { GPU }, &options).ok()?;
        let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(message) = event.data().as_string().and_then(|text| serde_json::from_str(&text).ok()) {
                on_message(message);
            }
        });
        worker.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        Some(Self { worker, _on_message: heard })
    }

    pub fn send(&self, message: &ToWorker) {
        if let Ok(text) = serde_json::to_string(message) {
            // A worker that has ended hears nothing.
            self.worker.post_message(&JsValue::from_str(&text)).unwrap_or_default();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.terminate();
    }
}

/// Where a page keeps the worker that does one thing for it.
pub type Slot = StoredValue<Option<Handle>, LocalStorage>;

/// What a worker is told, by whether a GPU that the processor plays will do.
pub type Told = Rc<dyn Fn(bool) -> ToWorker>;

/// What a page does with what came.
pub type End = Rc<dyn Fn(Result<FromWorker, String>)>;

/// One try: on the processor, and whether a GPU that the processor plays will do.
pub type Try = (bool, bool);

/// A GPU in earnest, else the processor's own vector code, else what there is.
pub const ANY: &[Try] = &[(false, false), (true, false), (false, true)];
/// Kernels run on a GPU alone, whatever it is.
pub const KERNEL: &[Try] = &[(false, true)];

/// Has a worker of its own do one thing, and ends it: the first of `tries` that can.
pub fn compute(slot: Slot, tries: &'static [Try], told: Told, end: End) {
    let Some((&(on_cpu, software), rest)) = tries.split_first() else { return };
    let order = told(software);
    let unheard = Rc::clone(&end);
    let heard = move |message| {
        let outcome = match message {
            FromWorker::Loaded => {
                slot.with_value(|worker| {
                    if let Some(worker) = worker {
                        worker.send(&order);
                    }
                });
                return;
            }
            FromWorker::Status(_) => return,
            FromWorker::Failed { code, message } => {
                let missing = matches!(code, FailureCode::NoWebGpu | FailureCode::SoftwareAdapter);
                Err((missing || on_cpu, message))
            }
            FromWorker::Benchmarked(_) | FromWorker::Recomputed(_) | FromWorker::Tried(_) => Ok(message),
        };
        let (told, end) = (Rc::clone(&told), Rc::clone(&end));
        // Not from within the worker's own message. The page may have moved on meanwhile.
        let later = move || {
            slot.try_update_value(|worker| *worker = None).unwrap_or_default();
            match outcome {
                Err((true, _)) if !rest.is_empty() => compute(slot, rest, told, end),
                outcome => end(outcome.map_err(|(_, message)| message)),
            }
        };
        set_timeout(later, std::time::Duration::ZERO);
    };
    match Handle::start(on_cpu, heard) {
        Some(handle) => slot.set_value(Some(handle)),
        None => unheard(Err(text().lend.no_worker.to_owned())),
    }
}
