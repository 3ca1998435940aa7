//! Why rows were not computed.

use std::error::Error;

use gpu_kernels::customer_kernel::Fault;
use gpu_kernels::device::GpuError;
use gpu_kernels::dtype::OutOfRange;

use crate::transfer::TransferError;

/// What a failure leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    Sound,
    Broken,
}

/// Why a lease was not computed. It goes back to the edge.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// What only one program can say; each has errors of its own.
    #[error(transparent)]
    Program(Box<dyn Error + Send + Sync>),
    /// In which tile of the lease, and at which loop of the customer's kernel.
    #[error("tile {tile}: the loop in line {} {}", fault.line, if fault.turns { "turned too often" } else { "ran out of fuel" })]
    OutOfFuel { tile: u64, fault: Fault },
    /// A customer's kernel does not compile here, or takes the device down.
    #[error("the kernel cannot run here: {reason}")]
    CannotCompile { reason: String, device: DeviceState },
    /// The device's driver or compiler panicked over work of ours.
    #[error("the device broke down: {reason}")]
    Broken { reason: String },
    #[error("the device is being opened anew")]
    Reopening,
    #[error(transparent)]
    Value(OutOfRange),
    #[error("the input has {found} bytes where {expected} were expected")]
    Input { expected: usize, found: usize },
    #[error("the server drew no tile: {0}")]
    Sample(serde_json::Error),
    #[error("the lease was taken back")]
    Abandoned,
    #[error("the model made room for others before it ran")]
    Evicted,
}

impl RunFailure {
    /// What one program alone can say.
    pub(crate) fn program(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Program(Box::new(error))
    }

    /// Nothing more can be computed before the device is opened anew.
    pub fn breaks_device(&self) -> bool {
        matches!(
            self,
            Self::Gpu(GpuError::Lost { .. })
                | Self::Broken { .. }
                | Self::CannotCompile { device: DeviceState::Broken, .. }
        )
    }

    /// It is not the lease's kernel that is to blame, so that the next lease may fail like it.
    pub fn is_of_no_kernel(&self) -> bool {
        self.fault().is_none() && self.compile_error().is_none() && !matches!(self, Self::Abandoned)
    }

    /// What the device's compiler says against the lease's kernel.
    pub fn compile_error(&self) -> Option<&str> {
        match self {
            Self::CannotCompile { reason, .. } => Some(reason),
            Self::OutOfFuel { .. }
            | Self::Transfer(_)
            | Self::Gpu(_)
            | Self::Program(_)
            | Self::Broken { .. }
            | Self::Reopening
            | Self::Value(_)
            | Self::Input { .. }
            | Self::Sample(_)
            | Self::Abandoned
            | Self::Evicted => None,
        }
    }

    /// The lease's kernel ran out of fuel: in which tile of the lease, and at which loop.
    pub fn fault(&self) -> Option<(u64, Fault)> {
        match self {
            Self::OutOfFuel { tile, fault } => Some((*tile, *fault)),
            Self::Transfer(_)
            | Self::Gpu(_)
            | Self::Program(_)
            | Self::CannotCompile { .. }
            | Self::Broken { .. }
            | Self::Reopening
            | Self::Value(_)
            | Self::Input { .. }
            | Self::Sample(_)
            | Self::Abandoned
            | Self::Evicted => None,
        }
    }
}
