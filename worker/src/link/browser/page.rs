//! Messages to the page that started the worker.

use wasm_bindgen::prelude::*;
use web_sys::DedicatedWorkerGlobalScope;
use wire::lend::{FailureCode, FromWorker};

pub(super) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

pub(super) fn post(message: &FromWorker) {
    let text = serde_json::to_string(message).expect("a message should serialise");
    // A page that is gone gets no message.
    scope().post_message(&JsValue::from_str(&text)).unwrap_or_default();
}

pub(super) fn fail(code: FailureCode, message: String) {
    post(&FromWorker::Failed { code, message });
}
