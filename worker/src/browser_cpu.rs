//! The Web Worker of a browser that lends its processor: the same, with feature `cpu`.

#[cfg(target_arch = "wasm32")]
fn main() {
    worker::link::browser::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
