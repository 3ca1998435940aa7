//! The Web Worker of a browser that lends its GPU. Everything is in `link::browser`; natively this does
//! nothing.

#[cfg(target_arch = "wasm32")]
fn main() {
    worker::link::browser::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
