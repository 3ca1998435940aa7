//! The engine without the network: [`case`] natively and in a page, and `page` for the page's script,
//! which times it beside its peers.

pub mod case;
#[cfg(target_arch = "wasm32")]
pub mod page;
