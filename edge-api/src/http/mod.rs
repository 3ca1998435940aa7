//! What every handler shares: how a request is read, how it is refused, and how much one caller may ask.

pub mod attachment;
mod body_error;
pub mod client_address;
pub mod detail;
pub mod error;
pub mod extract;
pub mod head;
pub mod limits;
pub mod pace;
pub mod place;
pub mod resume;
pub mod stall;

/// Chooses who encrypts what this server asks others for. A second time changes nothing.
pub fn install_tls() {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
}
