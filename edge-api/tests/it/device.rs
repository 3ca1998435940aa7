//! A device of one key, as far as its first frame.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use wire::device::{Backend, DeviceClass, PROTOCOL};
use wire::{DeviceId, FromDevice, Hello, Signature};

/// The frame that answers a challenge.
pub(crate) fn hello(challenge: &Value) -> String {
    let key = SigningKey::from_bytes(&[7; 32]);
    let device = DeviceId(key.verifying_key().to_bytes());
    let nonce = challenge["nonce"].as_str().unwrap().parse().unwrap();
    let mut hello = Hello {
        protocol: PROTOCOL,
        device,
        signature: Signature([0; 64]),
        class: DeviceClass::Native,
        name: "GPU".to_owned(),
        backend: Backend::Vulkan,
        software: false,
        buffer_bytes_max: 1 << 30,
        runs_kernels: true,
        checker: false,
        only_job: None,
        key: None,
        code: None,
    };
    hello.signature = Signature(key.sign(&hello.signing_bytes(nonce, "http://tessera.test")).to_bytes());
    serde_json::to_string(&FromDevice::Hello(Box::new(hello))).unwrap()
}
