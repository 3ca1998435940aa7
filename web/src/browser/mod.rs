//! What only a browser has: a Web Worker, a clock that never jumps, a battery, kept settings. While the
//! server renders, each of them is simply not there.

pub mod backend;
pub mod conditions;
pub mod web_worker;

use leptos::prelude::window;
use wasm_bindgen::JsValue;

/// Whether this browser has the interface at all; whether there is an adapter, the worker finds out.
pub fn has_webgpu() -> bool {
    if cfg!(feature = "ssr") {
        return true;
    }
    js_sys::Reflect::get(&window().navigator(), &JsValue::from_str("gpu")).is_ok_and(|gpu| !gpu.is_undefined())
}

/// Where this page came from.
pub fn origin() -> String {
    if cfg!(feature = "ssr") {
        return String::new();
    }
    window().location().origin().unwrap_or_default()
}

/// Milliseconds since the page was opened: they go on when the wall clock jumps.
pub fn monotonic_millis() -> f64 {
    if cfg!(feature = "ssr") {
        return 0.0;
    }
    window().performance().map_or(0.0, |performance| performance.now())
}
