//! A device's key: its public half is the device's id, and every receipt is signed with it.

use ed25519_dalek::{Signer, SigningKey};
use wire::device::hello_bytes;
use wire::{DeviceId, Nonce, Receipt, Signature};

#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// From 32 random bytes.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    pub fn device(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    pub fn sign_hello(&self, nonce: Nonce) -> Signature {
        Signature(self.0.sign(&hello_bytes(nonce, self.device())).to_bytes())
    }

    pub fn sign_receipt(&self, receipt: &Receipt) -> Signature {
        Signature(self.0.sign(&receipt.signing_bytes()).to_bytes())
    }
}
