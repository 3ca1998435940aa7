#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]
#![expect(unreachable_pub, reason = "a component's macro makes its function as visible as its props")]
#![expect(clippy::needless_pass_by_value, reason = "a component owns its props")]

pub mod api;
mod browser;
pub mod components;
#[cfg(feature = "ssr")]
pub mod document;
pub mod format;
pub mod islands;
#[cfg(feature = "ssr")]
pub mod pages;
mod programs;
pub mod route;
pub mod text;
pub mod visit;

/// Makes the browser ready for islands; `page.js` then wakes each of them.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
