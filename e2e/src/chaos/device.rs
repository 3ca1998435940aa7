//! A device that computes by the reference, gets cut off, goes away without a word, and says again what was not answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use fastrand::Rng;
use tokio::sync::watch;
use wire::{ErrorCode, FromDevice, LeaseGrant, LeaseId, ToDevice};
use worker::identity::Identity;

use crate::scripted::Scripted;

/// Before a device that was cut off connects again.
const PAUSE: Duration = Duration::from_millis(50);
/// For a lease, in milliseconds.
const COMPUTES: std::ops::Range<u64> = 5..80;
/// In a hundred leases each.
const GOES_WITH_A_LEASE: u8 = 3;
const GOES_WITHOUT_AN_ANSWER: u8 = 6;
const SAYS_TWICE: u8 = 9;

/// What devices were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Leases that are paid, as the devices know.
    pub(super) settled: BTreeSet<LeaseId>,
    /// Handed in and not answered.
    pub(super) waiting: BTreeSet<LeaseId>,
    /// How many leases came to nothing, by what was said of them.
    pub(super) refused: BTreeMap<String, u64>,
}

pub(super) type Ledger = Arc<Mutex<Told>>;

pub(super) fn read(told: &Ledger) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Device {
    url: String,
    secret: [u8; 32],
    rng: Rng,
    told: Ledger,
    /// Said once more after each reconnection.
    unanswered: BTreeMap<LeaseId, FromDevice>,
}

/// Works at this address until it is told to stop. Its key and its whims follow from the seed.
pub(super) async fn work(url: String, seed: u64, told: Ledger, mut stop: watch::Receiver<bool>) {
    let mut rng = Rng::with_seed(seed);
    let secret = std::array::from_fn(|_| rng.u8(..));
    let mut device = Device { url, secret, rng, told, unanswered: BTreeMap::new() };
    loop {
        tokio::select! {
            // Whatever broke off, it comes back.
            ended = device.session() => drop(ended),
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // As long as nobody is ready, it does not ask without a pause.
        if tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

impl Device {
    async fn session(&mut self) -> anyhow::Result<()> {
        let mut socket = Scripted::join(&self.url, Identity::from_secret(&self.secret)).await?;
        for commit in self.unanswered.values() {
            socket.say(commit).await?;
        }
        socket.say(&FromDevice::Ready).await?;
        loop {
            match socket.hear().await? {
                ToDevice::Lease(grant) => {
                    let whim = self.rng.u8(..100);
                    if whim < GOES_WITH_A_LEASE {
                        return Ok(());
                    }
                    self.hand_in(&mut socket, &grant, whim).await?;
                    if whim < GOES_WITHOUT_AN_ANSWER {
                        return Ok(());
                    }
                    socket.say(&FromDevice::Ready).await?;
                }
                ToDevice::Settled { lease, .. } => {
                    self.answered(lease);
                    read(&self.told).settled.insert(lease);
                }
                // It has said it twice.
                ToDevice::Refused { code: ErrorCode::ReplayedFrame, .. } => {}
                ToDevice::Refused { lease, message, .. } => {
                    self.answered(lease);
                    *read(&self.told).refused.entry(message).or_default() += 1;
                }
                ToDevice::Close { code, message } => bail!("{code:?}: {message}"),
                _ => {}
            }
        }
    }

    fn answered(&mut self, lease: LeaseId) {
        self.unanswered.remove(&lease);
        read(&self.told).waiting.remove(&lease);
    }

    async fn hand_in(&mut self, socket: &mut Scripted, grant: &LeaseGrant, whim: u8) -> anyhow::Result<()> {
        // A device takes its time.
        tokio::time::sleep(Duration::from_millis(self.rng.u64(COMPUTES))).await;
        let output = socket.compute(grant).await?;
        let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_le_bytes()).collect();
        let is_uploaded = self.rng.bool();
        if is_uploaded {
            socket.upload_bytes(grant, &bytes).await?;
        }
        let receipt = socket.receipt(grant, &bytes)?;
        let signature = socket.identity.sign_receipt(&receipt);
        let output = (!is_uploaded).then_some(bytes);
        let commit = FromDevice::Commit { receipt, signature, token: grant.token.clone(), output };
        read(&self.told).waiting.insert(grant.lease);
        self.unanswered.insert(grant.lease, commit.clone());
        socket.say(&commit).await?;
        if (GOES_WITHOUT_AN_ANSWER..SAYS_TWICE).contains(&whim) {
            socket.say(&commit).await?;
        }
        Ok(())
    }
}
