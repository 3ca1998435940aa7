//! The network's health: each part now, what was wrong with it, and how much of the time.

use serde::{Deserialize, Serialize};

use crate::Micros;

/// What people depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StatusPart {
    /// Servers that answer.
    Edge,
    Database,
    Blobs,
    Devices,
    /// That receipts are checked and paid.
    Checks,
}

impl StatusPart {
    pub const ALL: [Self; 5] = [Self::Edge, Self::Database, Self::Blobs, Self::Devices, Self::Checks];

    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Database => "database",
            Self::Blobs => "blobs",
            Self::Devices => "devices",
            Self::Checks => "checks",
        }
    }
}

/// What is wrong with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It does not answer, or not as it should.
    Unreachable,
    /// No server runs.
    NoServers,
    /// A job runs, and no device is connected.
    NoDevices,
    /// A receipt has waited for its check for more than ten minutes.
    ReceiptsWait,
}

impl Trouble {
    pub const ALL: [Self; 4] = [Self::Unreachable, Self::NoServers, Self::NoDevices, Self::ReceiptsWait];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoServers => "no_servers",
            Self::NoDevices => "no_devices",
            Self::ReceiptsWait => "receipts_wait",
        }
    }
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    Up,
    Down,
    /// No device is connected, and no job runs that would want one.
    Idle,
    /// No server has looked within a minute.
    Unknown,
}

/// The network's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkStatus {
    /// When this was read, by the database's clock; by the server's while the database is away.
    pub at: Micros,
    /// When a server last looked at the parts. Left out where none ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Micros>,
    /// Each part, always in one order.
    pub parts: Vec<PartStatus>,
    /// What was wrong within ninety days, the latest first; 100 at most.
    pub incidents: Vec<Incident>,
}

/// One part, as the last look found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartStatus {
    /// Which one.
    pub part: StatusPart,
    /// Whether it works.
    pub state: PartState,
    /// What is wrong. Left out where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// What it took to answer, in microseconds: of servers by how much one comes late to what is due, of checks how long the
    /// oldest receipt has waited. Left out where there is no such time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Micros>,
    /// How many there are: servers that run, devices that are connected. Left out of other parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<u64>,
    /// Days of the last ninety of which anything is known, oldest first.
    pub days: Vec<PartDay>,
}

/// How a part did on a day of UTC. What is neither up nor down is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartDay {
    /// Its midnight.
    pub day: Micros,
    /// Microseconds for which it was found to work.
    pub up_micros: Micros,
    /// Microseconds for which it was found not to.
    pub down_micros: Micros,
}

/// Something was wrong, at two looks in a row at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Incident {
    /// With which part.
    pub part: StatusPart,
    /// What.
    pub trouble: Trouble,
    /// When it was first seen.
    pub began_at: Micros,
    /// When it was first seen to be over. Left out while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
}
