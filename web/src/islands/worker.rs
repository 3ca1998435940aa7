//! The page's end of the Web Worker that computes.

use wire::lend::{FromWorker, ToWorker};

#[cfg(not(feature = "ssr"))]
pub use browser::Handle;
#[cfg(feature = "ssr")]
pub use server::Handle;

#[cfg(not(feature = "ssr"))]
mod browser {
    use wasm_bindgen::{JsCast, JsValue, closure::Closure};
    use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};

    use super::{FromWorker, ToWorker};

    const SCRIPT: &str = "/pkg/browser-worker_loader.js";

    /// A running worker. Dropping it ends it.
    pub struct Handle {
        worker: Worker,
        _on_message: Closure<dyn Fn(MessageEvent)>,
    }

    impl Handle {
        /// `None` where the browser lets no worker start.
        pub fn start(on_message: impl Fn(FromWorker) + 'static) -> Option<Self> {
            let options = WorkerOptions::new();
            options.set_type(WorkerType::Module);
            let worker = Worker::new_with_options(SCRIPT, &options).ok()?;
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
}

#[cfg(feature = "ssr")]
mod server {
    use super::{FromWorker, ToWorker};

    /// The server has no worker.
    pub struct Handle;

    impl Handle {
        pub fn start(_on_message: impl Fn(FromWorker) + 'static) -> Option<Self> {
            None
        }

        #[expect(clippy::unused_self, reason = "the browser's worker needs itself")]
        pub fn send(&self, _message: &ToWorker) {}
    }
}

/// Whether this browser has the interface at all; whether there is an adapter, the worker finds out.
pub fn has_webgpu() -> bool {
    use leptos::prelude::window;
    use wasm_bindgen::JsValue;
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
    leptos::prelude::window().location().origin().unwrap_or_default()
}

/// Milliseconds since the page was opened: they go on when the wall clock jumps.
pub fn monotonic_millis() -> f64 {
    if cfg!(feature = "ssr") {
        return 0.0;
    }
    leptos::prelude::window().performance().map_or(0.0, |performance| performance.now())
}
