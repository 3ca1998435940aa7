//! What only a browser has: its Web Worker, its tab's visibility, its battery, a monotonic clock. It compiles
//! for the server too, where a worker never starts and effects, which call the rest, never run.

pub mod backend;
pub mod conditions;
pub mod tab_storage;
pub mod web_worker;

use leptos::prelude::{Effect, RwSignal, Set, window};
use wasm_bindgen::JsValue;

use crate::visit::Visit;

/// Whether this browser has WebGPU's interface. Whether there is an adapter, only a worker finds out.
pub fn has_webgpu() -> bool {
    if cfg!(feature = "ssr") {
        return true;
    }
    js_sys::Reflect::get(&window().navigator(), &JsValue::from_str("gpu")).is_ok_and(|gpu| !gpu.is_undefined())
}

/// The site's address, as `https://host`.
pub fn origin() -> String {
    if cfg!(feature = "ssr") {
        return String::new();
    }
    window().location().origin().unwrap_or_default()
}

/// The same as a page shows it: until scripts run, the address that the server is reached at.
pub fn site_address() -> RwSignal<String> {
    let site = RwSignal::new(Visit::current().map(|visit| visit.public_url.to_string()).unwrap_or_default());
    Effect::new(move |_| site.set(origin()));
    site
}

/// Milliseconds since the page was opened, whatever is done to the wall clock.
pub fn monotonic_millis() -> f64 {
    if cfg!(feature = "ssr") {
        return 0.0;
    }
    window().performance().map_or(0.0, |performance| performance.now())
}
