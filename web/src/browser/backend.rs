//! What a page's Web Worker computes with.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// WebGPU on a hardware adapter.
    #[default]
    Gpu,
    /// The processor's vector instructions, without WebGPU.
    Cpu,
    /// WebGPU on any adapter, a software one included. It runs kernels; models run many times as fast on
    /// [`Backend::Cpu`].
    Software,
}

/// In order of speed: what a page falls back through until one is there.
pub const ANY_BACKEND: &[Backend] = &[Backend::Gpu, Backend::Cpu, Backend::Software];
/// A customer's kernel needs WebGPU, whatever the adapter.
pub const ANY_WEBGPU: &[Backend] = &[Backend::Software];

impl Backend {
    pub const ALL: [Self; 3] = [Self::Gpu, Self::Cpu, Self::Software];

    /// As a choice's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Software => "software",
        }
    }

    /// This one, without another to fall back to.
    pub fn alone(self) -> &'static [Self] {
        match self {
            Self::Gpu => &[Self::Gpu],
            Self::Cpu => &[Self::Cpu],
            Self::Software => &[Self::Software],
        }
    }

    /// Whether the worker may take a software adapter.
    pub fn allows_software(self) -> bool {
        self == Self::Software
    }
}
