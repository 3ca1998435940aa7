//! A device's key: its public half is the device's id, and every receipt is signed with it.

use ed25519_dalek::{Signer, SigningKey};
use wire::{DeviceId, Hello, Nonce, Receipt, Signature};

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

    /// Signs what the device says of itself to the server of this origin.
    pub fn sign_hello(&self, hello: &Hello, nonce: Nonce, origin: &str) -> Signature {
        Signature(self.0.sign(&hello.signing_bytes(nonce, origin)).to_bytes())
    }

    pub fn sign_receipt(&self, receipt: &Receipt) -> Signature {
        Signature(self.0.sign(&receipt.signing_bytes()).to_bytes())
    }
}
