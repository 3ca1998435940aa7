//! Challenges that devices on this replica have not ended.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gpu_kernels::challenge::Chain;
use rules::scheduling::challenge::{ANSWER_WITHIN, Purpose, Size};
use rules::scheduling::line::Direction;
use rules::verification::party::Network;
use tokio::time::Instant;
use wire::{ChallengeId, DeviceId, Micros, TileHash};

/// Time to show the rows, and to take the probe before that where there is one: a megabit will do.
const REVEAL_WITHIN: Duration = Duration::from_secs(20);
const PROBE_WITHIN: Duration = Duration::from_secs(70);
/// Devices that show rows at once: some twenty megabytes. And those of one network.
const REVEALING_MAX: usize = 64;
const REVEALING_OF_NETWORK_MAX: usize = 8;
/// Of one BLAKE3 hash.
pub const HASH_BYTES: usize = 32;

/// What devices here are asked, and have not shown.
#[derive(Default)]
pub struct Challenges {
    pub open: HashMap<DeviceId, Open>,
    /// Those that have answered and wait for their turn to show rows.
    pub waiting: VecDeque<DeviceId>,
}

/// One device's challenge.
#[derive(Clone, Debug)]
pub struct Open {
    pub id: ChallengeId,
    pub purpose: Purpose,
    pub chain: Chain,
    pub size: Size,
    /// Of growing size, counted from one.
    pub round: u32,
    /// When the first was asked.
    pub first_at: Instant,
    /// Where the device connects from.
    pub network: Option<Network>,
    /// When it came to its stage.
    pub since: Instant,
    pub stage: Stage,
}

#[derive(Clone, Debug)]
pub enum Stage {
    Asked,
    /// It is bound to an answer.
    Answered(Answer),
    /// It is to show these rows, in this order, after a probe of so many bytes.
    Revealing {
        answer: Answer,
        rows: Vec<u32>,
        probe_bytes: u32,
    },
    /// It has shown them.
    Judging,
}

#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Matrices that it multiplied.
    pub steps: u32,
    pub root: TileHash,
    /// That this shows if it is right.
    pub ops_per_sec: u64,
}

/// What a device showed over its socket.
#[derive(Debug)]
pub struct Shown {
    pub challenge: ChallengeId,
    /// It had all bytes of the probe, or there was none.
    pub is_probe_right: bool,
    /// BLAKE3 of each row, then the rows that were asked for.
    pub bytes: Vec<u8>,
    /// Bytes each way and the time that they took, where the line was measured.
    pub line: Option<[(Direction, u64, Micros); 2]>,
}

impl Challenges {
    /// Bytes that the device is to show, with the hash of the probe before them.
    pub fn bytes_to_show(&self, device: DeviceId, challenge: ChallengeId) -> Option<usize> {
        let open = self.open.get(&device).filter(|open| open.id == challenge)?;
        let Stage::Revealing { rows, .. } = &open.stage else { return None };
        let side: usize = wire::number::to(open.chain.side);
        Some(HASH_BYTES + side * HASH_BYTES + rows.len() * side * 4)
    }

    /// The device leaves, or is out of time: its challenge is withdrawn. Whether it owed us a proof.
    pub fn withdraw(&mut self, device: DeviceId) -> bool {
        self.waiting.retain(|waiting| *waiting != device);
        let withdrawn = self.open.remove(&device);
        withdrawn.is_some_and(|open| {
            open.purpose == Purpose::Proof && matches!(open.stage, Stage::Asked | Stage::Revealing { .. })
        })
    }

    /// The next device that is to show rows, if there is room for one more: of one network only a few do at once, so that
    /// nobody who takes its time for it holds up everybody.
    pub fn take_next(&mut self) -> Option<DeviceId> {
        let mut by_network: HashMap<Option<Network>, usize> = HashMap::new();
        let mut revealing = 0;
        for open in self.open.values().filter(|open| matches!(open.stage, Stage::Revealing { .. } | Stage::Judging)) {
            revealing += 1;
            *by_network.entry(open.network).or_default() += 1;
        }
        if revealing >= REVEALING_MAX {
            return None;
        }
        let has_room = |device: &DeviceId| {
            let network = self.open.get(device).and_then(|open| open.network);
            by_network.get(&network).is_none_or(|revealing| *revealing < REVEALING_OF_NETWORK_MAX)
        };
        let at = self.waiting.iter().position(has_room)?;
        self.waiting.remove(at)
    }

    /// Devices that are out of time.
    pub fn overdue(&self) -> Vec<DeviceId> {
        let answer_within = Duration::from_micros(ANSWER_WITHIN.unsigned_abs());
        let is_over = |open: &Open| match open.stage {
            Stage::Asked => open.since.elapsed() > answer_within,
            Stage::Answered(_) | Stage::Judging => false,
            Stage::Revealing { probe_bytes: 0, .. } => open.since.elapsed() > REVEAL_WITHIN,
            Stage::Revealing { .. } => open.since.elapsed() > PROBE_WITHIN,
        };
        self.open.iter().filter(|(_, open)| is_over(open)).map(|(device, _)| *device).collect()
    }
}
