//! What a device does next. Pure: frames in, frames and work out.

use std::collections::BTreeSet;

use wire::device::Earnings;
use wire::lend::{PauseReason, Phase};
use wire::{FromDevice, LeaseGrant, LeaseId, Receipt, Signature, ToDevice};

/// Leases in hand at once: the next one's input comes down while the first is computed.
const LEASES_MAX: usize = 2;

/// What the core has done for it: frames said, and leases computed.
pub trait Link {
    fn send(&mut self, frame: FromDevice);
    /// Begin to compute; the answer is [`Core::on_computed`] or [`Core::on_compute_failed`].
    fn compute(&mut self, grant: LeaseGrant);
}

#[derive(Debug, Default)]
pub struct Core {
    connected: bool,
    paused: Option<PauseReason>,
    stopped: bool,
    /// Leases being computed, with their number of tiles.
    in_hand: Vec<(LeaseId, u32)>,
    /// Ready credits that the edge holds: each lets it lend one more lease.
    ready_credits: usize,
    /// Committed, and not yet answered.
    committed: BTreeSet<LeaseId>,
    pub earnings: Earnings,
    pub tiles_verified: u64,
    pub leases_refused: u64,
}

impl Core {
    pub fn on_frame(&mut self, link: &mut impl Link, frame: ToDevice) {
        match frame {
            ToDevice::Challenge { .. } | ToDevice::Close { .. } => {}
            ToDevice::Welcome(earnings) => {
                self.connected = true;
                self.earnings = earnings;
                self.send_ready_credits(link);
            }
            ToDevice::Lease(grant) => self.on_lease(link, grant),
            ToDevice::Revoke { lease } => {
                self.forget(lease);
                self.send_ready_credits(link);
            }
            ToDevice::Settled { lease, tiles, earnings } => {
                self.committed.remove(&lease);
                self.tiles_verified += u64::from(tiles);
                self.earnings = earnings;
            }
            ToDevice::Checked { lease } => {
                self.committed.remove(&lease);
            }
            ToDevice::Refused { lease, .. } => {
                self.committed.remove(&lease);
                self.forget(lease);
                self.leases_refused += 1;
                self.send_ready_credits(link);
            }
        }
    }

    fn on_lease(&mut self, link: &mut impl Link, grant: LeaseGrant) {
        self.ready_credits = self.ready_credits.saturating_sub(1);
        if !self.is_working() {
            link.send(FromDevice::Return { lease: grant.lease });
            return;
        }
        self.in_hand.push((grant.lease, grant.tiles));
        link.compute(grant);
        self.send_ready_credits(link);
    }

    /// The output is uploaded and the receipt signed.
    pub fn on_computed(&mut self, link: &mut impl Link, receipt: Receipt, signature: Signature) {
        if self.forget(receipt.lease) {
            self.committed.insert(receipt.lease);
            link.send(FromDevice::Commit { receipt, signature });
        }
        self.send_ready_credits(link);
    }

    pub fn on_compute_failed(&mut self, link: &mut impl Link, lease: LeaseId) {
        if self.forget(lease) {
            link.send(FromDevice::Return { lease });
        }
        self.send_ready_credits(link);
    }

    /// A record of the lease ran out of fuel in `tile`, counted over the job.
    pub fn on_fault(&mut self, link: &mut impl Link, lease: LeaseId, tile: u64, line: u32, turns: bool) {
        if self.forget(lease) {
            link.send(FromDevice::Fault { lease, tile, line, turns });
        }
        self.send_ready_credits(link);
    }

    /// The lease's kernel does not compile here, or breaks the device.
    pub fn on_cannot_compile(&mut self, link: &mut impl Link, lease: LeaseId, message: String) {
        if self.forget(lease) {
            link.send(FromDevice::CannotCompile { lease, message });
        }
        self.send_ready_credits(link);
    }

    /// Gives everything back and takes nothing more until [`Core::on_resume`].
    pub fn on_pause(&mut self, link: &mut impl Link, reason: PauseReason) {
        self.paused = Some(reason);
        self.give_back(link);
    }

    pub fn on_resume(&mut self, link: &mut impl Link) {
        self.paused = None;
        self.send_ready_credits(link);
    }

    pub fn on_stop(&mut self, link: &mut impl Link) {
        self.stopped = true;
        self.give_back(link);
    }

    pub fn on_disconnected(&mut self) {
        self.connected = false;
        self.ready_credits = 0;
        self.in_hand.clear();
        self.committed.clear();
    }

    /// Whether this lease is still this device's to compute.
    pub fn holds(&self, lease: LeaseId) -> bool {
        self.in_hand.iter().any(|(held, _)| *held == lease)
    }

    pub fn tiles_in_hand(&self) -> u32 {
        self.in_hand.iter().map(|(_, tiles)| tiles).sum()
    }

    pub fn phase(&self) -> Phase {
        match (self.stopped, self.paused, self.connected) {
            (true, _, _) => Phase::Stopped,
            (false, Some(reason), _) => Phase::Paused(reason),
            (false, None, false) => Phase::Connecting,
            (false, None, true) if self.in_hand.is_empty() => Phase::Waiting,
            (false, None, true) => Phase::Computing,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn is_working(&self) -> bool {
        self.connected && !self.stopped && self.paused.is_none()
    }

    fn send_ready_credits(&mut self, link: &mut impl Link) {
        while self.is_working() && self.ready_credits + self.in_hand.len() < LEASES_MAX {
            self.ready_credits += 1;
            link.send(FromDevice::Ready);
        }
    }

    fn give_back(&mut self, link: &mut impl Link) {
        if !self.connected {
            return;
        }
        for (lease, _) in std::mem::take(&mut self.in_hand) {
            link.send(FromDevice::Return { lease });
        }
        self.ready_credits = 0;
        link.send(FromDevice::Rest);
    }

    fn forget(&mut self, lease: LeaseId) -> bool {
        let before = self.in_hand.len();
        self.in_hand.retain(|(held, _)| *held != lease);
        self.in_hand.len() < before
    }
}

#[cfg(test)]
mod tests {
    use wire::{BlobHash, InferTask, JobId, Task, TileHash};

    use super::*;

    #[derive(Default)]
    struct Record(Vec<String>);

    impl Link for Record {
        fn send(&mut self, frame: FromDevice) {
            self.0.push(match frame {
                FromDevice::Hello(_) => "hello".into(),
                FromDevice::Ready => "ready".into(),
                FromDevice::Commit { receipt, .. } => format!("commit {}", receipt.lease.0[0]),
                FromDevice::Return { lease } => format!("return {}", lease.0[0]),
                FromDevice::Fault { lease, tile, line, .. } => format!("fault {} {tile} {line}", lease.0[0]),
                FromDevice::CannotCompile { lease, message } => format!("cannot compile {} {message}", lease.0[0]),
                FromDevice::Rest => "rest".into(),
            });
        }

        fn compute(&mut self, grant: LeaseGrant) {
            self.0.push(format!("compute {}", grant.lease.0[0]));
        }
    }

    fn lease(n: u8) -> LeaseId {
        LeaseId([n; 16])
    }

    fn grant(n: u8) -> ToDevice {
        ToDevice::Lease(LeaseGrant {
            lease: lease(n),
            job: JobId::from_parts(1, [0; 10]),
            first_tile: 0,
            tiles: 3,
            rows: 3,
            tile_rows: 1,
            task: Task::Infer(InferTask { model: BlobHash([0; 32]), inputs: Vec::new(), outputs: Vec::new() }),
            flops: 3,
            deadline_millis: 1000,
            token: String::new(),
        })
    }

    fn receipt(n: u8) -> Receipt {
        Receipt {
            lease: lease(n),
            job: JobId::from_parts(1, [0; 10]),
            first_tile: 0,
            tiles: 3,
            root: TileHash([0; 32]),
            output: BlobHash([0; 32]),
            program: "infer/1".into(),
            backend: "vulkan".into(),
            time: 0,
        }
    }

    fn working() -> (Core, Record) {
        let (mut core, mut link) = (Core::default(), Record::default());
        core.on_frame(&mut link, ToDevice::Welcome(Earnings::default()));
        core.on_frame(&mut link, grant(1));
        link.0.clear();
        (core, link)
    }

    #[test]
    fn a_device_keeps_two_leases_in_hand() {
        let (mut core, mut link) = (Core::default(), Record::default());

        core.on_frame(&mut link, ToDevice::Welcome(Earnings::default()));
        core.on_frame(&mut link, grant(1));
        core.on_frame(&mut link, grant(2));
        core.on_computed(&mut link, receipt(1), Signature([0; 64]));

        assert_eq!(link.0, ["ready", "ready", "compute 1", "compute 2", "commit 1", "ready"]);
        assert_eq!(core.phase(), Phase::Computing);
    }

    #[test]
    fn a_hidden_tab_gives_its_leases_back_and_takes_none() {
        let (mut core, mut link) = working();

        core.on_pause(&mut link, PauseReason::Hidden);
        core.on_computed(&mut link, receipt(1), Signature([0; 64]));
        core.on_frame(&mut link, grant(2));

        assert_eq!(link.0, ["return 1", "rest", "return 2"]);
        assert_eq!(core.phase(), Phase::Paused(PauseReason::Hidden));
        core.on_resume(&mut link);
        assert_eq!(link.0[3..], ["ready", "ready"]);
    }

    #[test]
    fn a_revoked_lease_is_not_committed() {
        let (mut core, mut link) = working();

        core.on_frame(&mut link, ToDevice::Revoke { lease: lease(1) });
        core.on_computed(&mut link, receipt(1), Signature([0; 64]));

        assert!(!link.0.iter().any(|said| said.starts_with("commit")), "{:?}", link.0);
    }

    #[test]
    fn a_lease_that_cannot_be_computed_goes_back() {
        let (mut core, mut link) = working();

        core.on_compute_failed(&mut link, lease(1));

        assert_eq!(link.0, ["return 1", "ready"]);
    }

    #[test]
    fn a_kernel_out_of_fuel_is_told_once_and_the_lease_is_gone() {
        let (mut core, mut link) = working();

        core.on_fault(&mut link, lease(1), 7, 12, false);
        core.on_fault(&mut link, lease(1), 7, 12, false);

        assert_eq!(link.0, ["fault 1 7 12", "ready"]);
    }

    #[test]
    fn a_kernel_that_does_not_compile_is_told_and_the_lease_is_gone() {
        let (mut core, mut link) = working();

        core.on_cannot_compile(&mut link, lease(1), "too deep".into());
        core.on_compute_failed(&mut link, lease(1));

        assert_eq!(link.0, ["cannot compile 1 too deep", "ready"]);
    }

    #[test]
    fn a_lost_socket_loses_every_lease() {
        let (mut core, mut link) = working();

        core.on_disconnected();
        core.on_computed(&mut link, receipt(1), Signature([0; 64]));

        assert_eq!(link.0, Vec::<String>::new());
        assert_eq!(core.phase(), Phase::Connecting);
    }
}
