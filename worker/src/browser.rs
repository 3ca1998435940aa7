//! The browser's Web Worker. Everything is in `link::browser`; elsewhere this does nothing.

#[cfg(target_arch = "wasm32")]
fn main() {
    worker::link::browser::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
