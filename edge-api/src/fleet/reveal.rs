//! The part of a challenge that goes over a device's socket as bytes: the probe to it, and rows of its answer back.

use rules::scheduling::line::Direction;
use tokio::time::Instant;
use wire::frame::part_message;
use wire::{ChallengeId, Micros};

use super::open_challenges::{HASH_BYTES, Shown};
use crate::random;

/// Bytes of one message.
const MESSAGE_BYTES: usize = 48 << 10;

/// Rows that are on their way from a device.
pub struct Revealing {
    challenge: ChallengeId,
    probe_bytes: u32,
    /// Of the probe that are still to be sent, and random bytes for them, so that no line makes them smaller.
    probe_left: usize,
    pad: blake3::OutputReader,
    probe: blake3::Hasher,
    /// When the probe began to leave.
    since: Instant,
    /// When the first bytes were here, and how many.
    first: Option<(Instant, usize)>,
    bytes: Vec<u8>,
    expected: usize,
}

/// What came of some bytes.
pub enum Taken {
    More,
    All(Shown),
    /// More than was asked for, or before the probe was there.
    Unasked,
}

impl Revealing {
    /// Sends a probe, part by part, and waits for `expected` bytes in answer.
    pub fn new(challenge: ChallengeId, probe_bytes: u32, expected: usize) -> Self {
        Self {
            challenge,
            probe_bytes,
            probe_left: wire::number::to(probe_bytes),
            pad: blake3::Hasher::new_keyed(&random::bytes()).finalize_xof(),
            probe: blake3::Hasher::new(),
            since: Instant::now(),
            first: None,
            bytes: Vec::with_capacity(expected),
            expected,
        }
    }

    pub fn is_probing(&self) -> bool {
        self.probe_left > 0
    }

    /// The next part of the probe, as a message.
    pub fn next_part(&mut self) -> Vec<u8> {
        let mut part = vec![0; self.probe_left.min(MESSAGE_BYTES)];
        self.pad.fill(&mut part);
        self.probe.update(&part);
        self.probe_left -= part.len();
        part_message(&part)
    }

    pub fn take(&mut self, part: &[u8]) -> Taken {
        // The first part has the hash of all of the probe: whoever sends it sooner does not have it.
        let is_too_soon = self.is_probing() || (self.bytes.is_empty() && part.len() < HASH_BYTES);
        if is_too_soon || self.bytes.len() + part.len() > self.expected {
            return Taken::Unasked;
        }
        self.first.get_or_insert_with(|| (Instant::now(), part.len()));
        self.bytes.extend(part);
        if self.bytes.len() < self.expected { Taken::More } else { Taken::All(self.finish()) }
    }

    fn finish(&mut self) -> Shown {
        let (first_at, first_bytes) = self.first.unwrap_or((self.since, 0));
        let bytes = std::mem::take(&mut self.bytes);
        let (probe_hash, rows) = bytes.split_at(HASH_BYTES.min(bytes.len()));
        let micros = |from: Instant, to: Instant| Micros::try_from((to - from).as_micros()).unwrap_or(Micros::MAX);
        let up_bytes = wire::number::to(bytes.len() - first_bytes);
        let line = (self.probe_bytes > 0).then(|| {
            [
                (Direction::Down, self.probe_bytes.into(), micros(self.since, first_at)),
                (Direction::Up, up_bytes, micros(first_at, Instant::now())),
            ]
        });
        Shown {
            challenge: self.challenge,
            is_probe_right: self.probe_left == 0 && probe_hash == self.probe.finalize().as_bytes(),
            bytes: rows.to_vec(),
            line,
        }
    }
}
