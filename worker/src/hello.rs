//! What a device says first, and whom it earns for.

use wire::device::{DeviceClass, PROTOCOL};
use wire::{FromDevice, Hello, JobId, Nonce};

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

/// The answer to the edge's challenge.
pub(crate) fn hello(engine: &Engine, nonce: Nonce, class: DeviceClass, account: &Credentials) -> FromDevice {
    let info = &engine.info;
    FromDevice::Hello(Box::new(Hello {
        protocol: PROTOCOL,
        device: engine.identity.device(),
        signature: engine.identity.sign_hello(nonce),
        class,
        name: info.name.chars().take(128).collect(),
        backend: info.backend.to_owned(),
        software: info.software,
        buffer_bytes_max: info.buffer_bytes_max,
        runs_kernels: info.kernels.is_some(),
        checker: account.checker,
        only_job: account.only_job,
        key: account.key.clone(),
        code: account.code.clone(),
    }))
}
