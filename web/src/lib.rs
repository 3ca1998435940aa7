//! Portal, lend page and explorer. Rendered inside the edge with feature `ssr`, hydrated in the
//! browser with feature `hydrate`; pages fetch, components show.

#![recursion_limit = "256"]
#![expect(unreachable_pub, reason = "a component's macro makes its function as visible as its props")]

pub mod api;
pub mod app;
pub mod components;
pub mod format;
pub mod pages;
pub mod route;
pub mod text;

/// Takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}
