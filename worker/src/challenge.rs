//! Challenges: a device shows how fast it is when the edge asks, and shows rows of what it computed.

use std::ops::{ControlFlow, RangeInclusive};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use gpu_kernels::challenge::{Chain, Pace, Prover};
use gpu_kernels::device::GpuError;
use wire::{ChallengeId, FromDevice, SpeedChallenge, TileHash};

use crate::device;
use crate::duty::DutyCycle;

/// Bytes of one binary message.
const MESSAGE_BYTES_MAX: usize = 48 << 10;

/// Rows of a challenge's matrices that a device takes.
const SIDES: RangeInclusive<u32> = 32..=4096;
const SIDE_MULTIPLE: u32 = 32;

/// How many steps were done, and the last product, row by row.
pub(crate) type Product = (u32, Vec<u32>);

/// A challenge that waits for the device. Whoever holds the device takes it between two submissions.
#[derive(Clone, Default)]
pub(crate) struct ChallengeSlot(Arc<Mutex<Option<Waiting>>>);

struct Waiting {
    chain: Chain,
    pace: Pace,
    duty: DutyCycle,
    product: oneshot::Sender<Result<Product, GpuError>>,
}

impl ChallengeSlot {
    /// Has the challenge wait, in the place of an older one.
    pub(crate) fn put(
        &self,
        challenge: &SpeedChallenge,
        duty: DutyCycle,
    ) -> oneshot::Receiver<Result<Product, GpuError>> {
        let (product, receiver) = oneshot::channel();
        let chain = Chain { seed: challenge.seed, side: challenge.side };
        let pace = Pace { steps: challenge.steps, time: Duration::from_millis(challenge.millis.into()) };
        *self.lock() = Some(Waiting { chain, pace, duty, product });
        receiver
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.lock().is_some()
    }

    /// Answers the challenge that waits, if one does.
    pub(crate) async fn serve(&self, prover: &mut Prover) {
        let Some(Waiting { chain, pace, duty, product }) = self.lock().take() else { return };
        let rest = async |busy: Duration| {
            device::sleep(duty.rest_after(busy)).await;
            ControlFlow::Continue(())
        };
        let proved = if SIDES.contains(&chain.side) && chain.side.is_multiple_of(SIDE_MULTIPLE) {
            // A driver may panic over anything, and that is no fault of the lease that is being computed.
            let proved = AssertUnwindSafe(prover.prove(chain, pace, rest)).catch_unwind().await;
            proved.unwrap_or_else(|_panic| Err(GpuError::Lost { reason: "the device broke down".to_owned() }))
        } else {
            Err(GpuError::Validation { reason: format!("there are no matrices of {} rows", chain.side) })
        };
        // Whoever asked may have lost its socket.
        product.send(proved).unwrap_or_default();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a device has computed for the last challenge, until rows of it are asked for.
#[derive(Default)]
pub(crate) struct Answers {
    answer: Option<Answer>,
    reveal: Option<Reveal>,
}

struct Answer {
    challenge: ChallengeId,
    row_len: usize,
    /// Row by row, little-endian.
    bytes: Vec<u8>,
    /// BLAKE3 of each row.
    hashes: Vec<u8>,
}

/// Rows that were asked for, to be sent after the bytes that measure the line.
struct Reveal {
    rows: Vec<u32>,
    bytes_to_come: u64,
    probe: blake3::Hasher,
}

impl Answers {
    /// Keeps what was computed, and says so.
    pub(crate) fn on_proved(&mut self, challenge: &SpeedChallenge, (steps, product): Product) -> FromDevice {
        let row_len = 4 * wire::number::to::<usize>(challenge.side);
        let bytes: Vec<u8> = product.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let hashes: Vec<u8> = bytes.chunks(row_len.max(1)).flat_map(|row| *blake3::hash(row).as_bytes()).collect();
        let root = TileHash(*blake3::hash(&hashes).as_bytes());
        self.reveal = None;
        self.answer = Some(Answer { challenge: challenge.challenge, row_len, bytes, hashes });
        FromDevice::Proved { challenge: challenge.challenge, steps, root }
    }

    /// Rows are asked for. Returns messages to send.
    pub(crate) fn on_reveal(&mut self, challenge: ChallengeId, rows: Vec<u32>, probe_bytes: u32) -> Vec<Vec<u8>> {
        if self.answer.as_ref().is_none_or(|answer| answer.challenge != challenge) {
            return Vec::new();
        }
        self.reveal = Some(Reveal { rows, bytes_to_come: probe_bytes.into(), probe: blake3::Hasher::new() });
        self.reveal_if_due()
    }

    /// Some of the bytes that measure the line. Returns messages to send.
    pub(crate) fn on_bytes(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let Some(reveal) = &mut self.reveal else { return Vec::new() };
        reveal.probe.update(bytes);
        reveal.bytes_to_come = reveal.bytes_to_come.saturating_sub(wire::number::to(bytes.len()));
        self.reveal_if_due()
    }

    fn reveal_if_due(&mut self) -> Vec<Vec<u8>> {
        let Some(reveal) = self.reveal.take_if(|reveal| reveal.bytes_to_come == 0) else { return Vec::new() };
        let Some(answer) = self.answer.take() else { return Vec::new() };
        let mut bytes = reveal.probe.finalize().as_bytes().to_vec();
        bytes.extend(&answer.hashes);
        for row in reveal.rows {
            let row = answer.bytes.chunks(answer.row_len.max(1)).nth(wire::number::to(row));
            bytes.extend(row.unwrap_or_default());
        }
        bytes.chunks(MESSAGE_BYTES_MAX).map(<[u8]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: SpeedChallenge =
        SpeedChallenge { challenge: ChallengeId([1; 16]), seed: [1; 4], side: 2, steps: 3, millis: 1 };

    fn hash(bytes: &[u8]) -> [u8; 32] {
        *blake3::hash(bytes).as_bytes()
    }

    #[test]
    fn rows_are_shown_after_the_bytes_that_measure_the_line_and_once() {
        let mut answers = Answers::default();
        let (first, second) = ([1u8, 0, 0, 0, 2, 0, 0, 0], [3u8, 0, 0, 0, 4, 0, 0, 0]);
        let hashes = [hash(&first), hash(&second)].concat();

        let said = answers.on_proved(&CHALLENGE, (3, vec![1, 2, 3, 4]));

        let root = TileHash(hash(&hashes));
        assert_eq!(said, FromDevice::Proved { challenge: CHALLENGE.challenge, steps: 3, root });
        assert!(answers.on_reveal(ChallengeId([2; 16]), vec![1], 0).is_empty(), "of another challenge");
        assert!(answers.on_reveal(CHALLENGE.challenge, vec![1, 7], 4).is_empty(), "the line first");
        assert!(answers.on_bytes(b"ab").is_empty());
        let shown = answers.on_bytes(b"cd").concat();
        assert_eq!(shown, [&hash(b"abcd")[..], &hashes, &second].concat(), "and no row that there is not");
        assert!(answers.on_reveal(CHALLENGE.challenge, vec![1], 0).is_empty());
    }
}
