//! The network's health.

use wire::status::{Incident, NetworkStatus, PartDay, PartState, PartStatus, StatusPart, Trouble};

use super::example_parts::{NOON, SECOND};

pub(super) fn part_day() -> PartDay {
    PartDay { day: NOON - 43_200 * SECOND, up_micros: 43_155 * SECOND, down_micros: 45 * SECOND }
}

pub(super) fn part_status() -> PartStatus {
    PartStatus {
        part: StatusPart::Edge,
        state: PartState::Up,
        trouble: None,
        latency_micros: Some(820),
        present: Some(3),
        days: vec![part_day()],
    }
}

pub(super) fn incident() -> Incident {
    Incident {
        part: StatusPart::Blobs,
        trouble: Trouble::Unreachable,
        began_at: NOON - 3600 * SECOND,
        ended_at: Some(NOON - 3555 * SECOND),
    }
}

pub(super) fn network_status() -> NetworkStatus {
    NetworkStatus {
        at: NOON,
        looked_at: Some(NOON - 4 * SECOND),
        parts: vec![part_status()],
        incidents: vec![incident()],
    }
}
