//! What a device says first, and whom it earns for.

use wire::device::{DeviceClass, PROTOCOL};
use wire::{FromDevice, Hello, JobId, Nonce, Signature};

use crate::backend::backend_of;
use crate::engine::Engine;

/// Whom a device earns for. With neither it is a guest, or whoever it was linked to before.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// An account's key.
    pub key: Option<String>,
    /// A device code; it works once.
    pub code: Option<String>,
    /// It earns for nobody: it recomputes for the operator.
    pub checker: bool,
    /// A job of the account, where the device works for nothing else.
    pub only_job: Option<JobId>,
}

/// The answer to the challenge of the edge at `origin`.
pub(crate) fn hello(
    engine: &Engine,
    (nonce, origin): (Nonce, &str),
    (class, runs_kernels): (DeviceClass, bool),
    account: &Credentials,
) -> FromDevice {
    let info = &engine.info;
    let mut hello = Hello {
        protocol: PROTOCOL,
        device: engine.identity.device(),
        signature: Signature([0; 64]),
        class,
        name: info.name.chars().take(128).collect(),
        backend: backend_of(info.backend),
        software: info.software,
        buffer_bytes_max: info.buffer_bytes_max,
        runs_kernels,
        checker: account.checker,
        only_job: account.only_job,
        key: account.key.clone(),
        code: account.code.clone(),
    };
    hello.signature = engine.identity.sign_hello(&hello, nonce, origin);
    FromDevice::Hello(Box::new(hello))
}
