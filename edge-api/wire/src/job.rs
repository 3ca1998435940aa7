use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BlobHash, Credits, Field, JobId, Micros, PricePerCu, Program};

/// A stored blob of the account's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Blob {
    /// BLAKE3 of its bytes, which is its address.
    pub hash: BlobHash,
    /// In bytes.
    pub size: u64,
}

/// Who may see a job's inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// Any device, strangers' tabs among them.
    #[default]
    Open,
    /// Devices of verified accounts.
    Known,
    /// The customer's own devices.
    Own,
}

impl Privacy {
    pub const ALL: [Self; 3] = [Self::Open, Self::Known, Self::Own];

    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Known => "known",
            Self::Own => "own",
        }
    }
}

/// Who recomputes a job's tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckedBy {
    /// The server's own processor.
    Edge,
    /// An operator's device.
    Checker,
    /// Devices of other accounts that have standing, which must agree.
    Quorum,
    /// Nobody: the customer's own devices compute it.
    Owner,
}

impl CheckedBy {
    pub const ALL: [Self; 4] = [Self::Edge, Self::Checker, Self::Quorum, Self::Owner];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Checker => "checker",
            Self::Quorum => "quorum",
            Self::Owner => "owner",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct QuoteRequest {
    /// What would run, and over what.
    pub program: Program,
    /// Who may see its inputs.
    #[serde(default)]
    pub privacy: Privacy,
}

/// What a job would be and cost at the present price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quote {
    /// Rows of the input, each computed by itself.
    pub rows: u64,
    /// What the program reads.
    pub inputs: Vec<Field>,
    /// What it answers.
    pub outputs: Vec<Field>,
    /// Rows of each tile but the last.
    pub tile_rows: u64,
    /// Tiles that the job is cut into.
    pub tiles: u64,
    /// Floating-point operations of the whole job; of a `map` job the most that it can take.
    pub flops: u64,
    /// Of one CU, now.
    pub price: PricePerCu,
    /// The most that the job can cost: what is held at submit.
    pub cost: Credits,
    /// Largest buffer that a device needs, in bytes.
    pub device_bytes: u64,
    /// Memory that a device needs at most, in bytes: for one tile at a time.
    pub peak_bytes: u64,
    /// Who would recompute its tiles.
    pub checked_by: CheckedBy,
    /// Connected devices that may run it.
    pub devices: u64,
    /// How long those would take at their measured speeds. Left out when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Why nobody would do it now; left out where somebody would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
}

/// Why nobody computes or checks a job now. The job waits until it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Obstacle {
    /// No device is connected.
    NoDevice,
    /// The job is for devices of its customer's own, and none is connected.
    NoOwnDevice,
    /// The job is for devices of verified accounts, and none is connected.
    NoKnownDevice,
    /// Every connected device is too small.
    Memory {
        /// Largest buffer that a device needs, in bytes.
        needs: u64,
        /// What the largest connected device allows, in bytes.
        largest: u64,
    },
    /// No connected device runs customers' kernels.
    NoKernelDevice,
    /// Those connected that could do it have said that they cannot compile or compute it.
    AllUnfit,
    /// Those connected that could do it take no work now.
    AllAtRest,
    /// What it computes is checked by a checker, and none is connected.
    NoChecker,
    /// No connected checker is large enough.
    CheckerMemory {
        /// Largest buffer that a checker needs, in bytes.
        needs: u64,
    },
    /// What it computes is checked by devices of two other accounts with standing, and there are fewer.
    FewJudges,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct SubmitJob {
    /// What runs, and over what.
    pub program: Program,
    /// Who may see its inputs.
    #[serde(default)]
    pub privacy: Privacy,
    /// What to call it; 128 characters at most.
    #[cfg_attr(feature = "openapi", schema(max_length = 128))]
    #[serde(default)]
    pub name: String,
    /// Refuse if it would cost more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Credits>,
    /// So many seconds after it was submitted the job ends by itself, if it is not done: what was verified is paid, the rest
    /// of the hold is free again. Left out, it waits for as long as it takes.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u32>,
    /// What the customer calls the order's files, by the fields that name them: `model`, `input`, `inputs.NAME`, `kernel`,
    /// `params`. Shown to the job's owner alone.
    #[cfg_attr(feature = "openapi", schema(example = json!({ "model": "resnet50.onnx", "input": "photos.npy" })))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub file_names: BTreeMap<String, String>,
}

impl SubmitJob {
    /// Without a name, for any device, whatever it costs and however long it takes.
    pub fn new(program: Program) -> Self {
        Self {
            program,
            privacy: Privacy::default(),
            name: String::new(),
            limit: None,
            deadline_seconds: None,
            file_names: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Running,
    Done,
    Cancelled,
    /// Devices that should agree did not: nobody is paid for what was in dispute, nobody is blamed.
    Nondeterministic,
    /// Its program cannot finish; `fault` says where. What was verified is paid, the rest is free again.
    Failed,
}

impl JobState {
    pub const ALL: [Self; 5] = [Self::Running, Self::Done, Self::Cancelled, Self::Nondeterministic, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Nondeterministic => "nondeterministic",
            Self::Failed => "failed",
        }
    }

    pub fn has_ended(self) -> bool {
        self != Self::Running
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// Names the job.
    pub id: JobId,
    /// What its owner calls it.
    pub name: String,
    /// How far it is, or how it ended.
    pub state: JobState,
    /// Who may see its inputs.
    pub privacy: Privacy,
    /// Shown to everyone on the explorer.
    pub published: bool,
    /// What runs, and over what.
    pub program: Program,
    /// Rows of the input, each computed by itself.
    pub rows: u64,
    /// What the program reads.
    pub inputs: Vec<Field>,
    /// What it answers.
    pub outputs: Vec<Field>,
    /// Rows of each tile but the last.
    pub tile_rows: u64,
    /// Tiles that it is cut into.
    pub tiles: u64,
    /// Tiles verified and settled.
    pub verified_tiles: u64,
    /// Tiles that a checker computed again.
    pub recomputed_tiles: u64,
    /// Devices whose work was accepted.
    pub devices: u64,
    /// Floating-point operations of the whole job; of a `map` job the most that it can take.
    pub flops: u64,
    /// Of one CU, when it was submitted.
    pub price: PricePerCu,
    /// Set aside at submit.
    pub hold: Credits,
    /// Paid so far.
    pub cost: Credits,
    /// When it was submitted.
    pub created_at: Micros,
    /// When it ended; left out while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
    /// When it ends by itself, if it is not done by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Micros>,
    /// What its customer calls the order's files, by the fields that name them.
    #[cfg_attr(feature = "openapi", schema(example = json!({ "model": "resnet50.onnx", "input": "photos.npy" })))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub file_names: BTreeMap<String, String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<JobFault>,
}

/// Why a job's program cannot finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum JobFault {
    /// A record's loop ran out of fuel, or turned too often where `turns` is set.
    OutOfFuel {
        /// Of the loop in the kernel, counted from one.
        line: u32,
        /// It turned too often, though there was fuel left.
        turns: bool,
        /// Counted over the job.
        tile: u64,
    },
    /// Devices cannot compile the kernel, though the gate took it.
    CannotCompile {
        /// Of the device that said so: `vulkan`, `metal`, `dx12` or `webgpu`.
        backend: String,
        /// What its compiler said.
        message: String,
    },
    /// Devices gave a tile back time and again, and whoever checks could not compute it either.
    CannotCompute {
        /// Counted over the job.
        tile: u64,
        /// What went wrong, for a person.
        reason: String,
    },
    /// Its deadline passed before it was done.
    DeadlinePassed {
        /// When that was.
        deadline: Micros,
    },
}

/// One page of an account's jobs, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobPage {
    /// At most as many as were asked for.
    pub jobs: Vec<Job>,
    /// Pass as `before` for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<JobId>,
}

/// One live event of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// The job as it stands.
    pub job: Job,
    /// The job's tiles in order, in at most 1,024 cells: each digit says how many ninths of its
    /// tiles are settled.
    pub mosaic: String,
    /// As many cells: each digit says how many ninths of its tiles are computed and still being checked.
    #[serde(default)]
    pub checking: String,
    /// Tiles that are computed and still being checked.
    #[serde(default)]
    pub checking_tiles: u64,
    /// Devices that hold a lease of it now.
    pub devices_at_work: u64,
    /// Why nobody does it now; left out where somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
}
