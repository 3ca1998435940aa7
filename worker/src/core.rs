//! What a device does next. Pure: frames in, frames and work out.

use std::collections::BTreeMap;

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
    /// Leases being computed.
    in_hand: Vec<InHand>,
    /// Ready credits that the edge holds: each lets it lend one more lease.
    ready_credits: usize,
    /// Committed, and not yet answered: said once more after each reconnection.
    committed: BTreeMap<LeaseId, FromDevice>,
    pub earnings: Earnings,
    pub tiles_verified: u64,
    pub leases_refused: u64,
}

#[derive(Debug)]
struct InHand {
    lease: LeaseId,
    tiles: u32,
    token: String,
}

impl Core {
    pub fn on_frame(&mut self, link: &mut impl Link, frame: ToDevice) {
        match frame {
            ToDevice::Challenge { .. }
            | ToDevice::Close { .. }
            | ToDevice::Prove(_)
            | ToDevice::Reveal { .. }
            | ToDevice::Speed { .. } => {}
            ToDevice::Welcome(earnings) => {
                self.connected = true;
                self.earnings = earnings;
                self.committed.values().for_each(|commit| link.send(commit.clone()));
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
        self.in_hand.push(InHand { lease: grant.lease, tiles: grant.tiles, token: grant.token.clone() });
        link.compute(grant);
        self.send_ready_credits(link);
    }

    /// The receipt is signed. `output` goes along with it, or is uploaded.
    pub fn on_computed(
        &mut self,
        link: &mut impl Link,
        receipt: Receipt,
        signature: Signature,
        output: Option<Vec<u8>>,
    ) {
        if let Some(InHand { lease, token, .. }) = self.forget(receipt.lease) {
            let commit = FromDevice::Commit { receipt, signature, token, output };
            self.committed.insert(lease, commit.clone());
            self.say(link, commit);
        }
        self.send_ready_credits(link);
    }

    pub fn on_compute_failed(&mut self, link: &mut impl Link, lease: LeaseId) {
        if self.forget(lease).is_some() {
            self.say(link, FromDevice::Return { lease });
        }
        self.send_ready_credits(link);
    }

    /// A record of the lease ran out of fuel in `tile`, counted over the job.
    pub fn on_fault(&mut self, link: &mut impl Link, lease: LeaseId, tile: u64, line: u32, turns: bool) {
        if self.forget(lease).is_some() {
            self.say(link, FromDevice::Fault { lease, tile, line, turns });
        }
        self.send_ready_credits(link);
    }

    /// The lease's kernel does not compile here, or breaks the device.
    pub fn on_cannot_compile(&mut self, link: &mut impl Link, lease: LeaseId, message: String) {
        if self.forget(lease).is_some() {
            self.say(link, FromDevice::CannotCompile { lease, message });
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

    /// What is in hand goes on: any server of the network takes it, once one is there again.
    pub fn on_disconnected(&mut self) {
        self.connected = false;
        self.ready_credits = 0;
    }

    /// Whether this lease is still this device's to compute.
    pub fn holds(&self, lease: LeaseId) -> bool {
        self.in_hand.iter().any(|held| held.lease == lease)
    }

    pub fn tiles_in_hand(&self) -> u32 {
        self.in_hand.iter().map(|held| held.tiles).sum()
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

    pub fn is_working(&self) -> bool {
        self.connected && !self.stopped && self.paused.is_none()
    }

    fn send_ready_credits(&mut self, link: &mut impl Link) {
        while self.is_working() && self.ready_credits + self.in_hand.len() < LEASES_MAX {
            self.ready_credits += 1;
            link.send(FromDevice::Ready);
        }
    }

    fn give_back(&mut self, link: &mut impl Link) {
        for InHand { lease, .. } in std::mem::take(&mut self.in_hand) {
            self.say(link, FromDevice::Return { lease });
        }
        self.ready_credits = 0;
        self.say(link, FromDevice::Rest);
    }

    /// What is said while nobody hears it is said for nothing: commits are said again, and leases end by deadline.
    fn say(&self, link: &mut impl Link, frame: FromDevice) {
        if self.connected {
            link.send(frame);
        }
    }

    fn forget(&mut self, lease: LeaseId) -> Option<InHand> {
        let at = self.in_hand.iter().position(|held| held.lease == lease)?;
        Some(self.in_hand.remove(at))
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
                FromDevice::Proved { .. } => "proved".into(),
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
            nudge: None,
            deadline_millis: 1000,
            token: String::new(),
            input: None,
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
            backend: wire::device::Backend::Vulkan,
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
        core.on_computed(&mut link, receipt(1), Signature([0; 64]), None);

        assert_eq!(link.0, ["ready", "ready", "compute 1", "compute 2", "commit 1", "ready"]);
        assert_eq!(core.phase(), Phase::Computing);
    }

    #[test]
    fn a_hidden_tab_gives_its_leases_back_and_takes_none() {
        let (mut core, mut link) = working();

        core.on_pause(&mut link, PauseReason::Hidden);
        core.on_computed(&mut link, receipt(1), Signature([0; 64]), None);
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
        core.on_computed(&mut link, receipt(1), Signature([0; 64]), None);

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
    fn what_is_in_hand_outlives_a_lost_socket_and_is_committed_until_it_is_answered() {
        let (mut core, mut link) = working();
        core.on_disconnected();
        core.on_computed(&mut link, receipt(1), Signature([0; 64]), None);
        assert_eq!(link.0, Vec::<String>::new());
        assert_eq!(core.phase(), Phase::Connecting);

        for _ in 0..2 {
            core.on_frame(&mut link, ToDevice::Welcome(Earnings::default()));
            assert_eq!(std::mem::take(&mut link.0), ["commit 1", "ready", "ready"]);
            core.on_disconnected();
        }
        let answer = ToDevice::Settled { lease: lease(1), tiles: 3, earnings: Earnings::default() };
        core.on_frame(&mut link, ToDevice::Welcome(Earnings::default()));
        core.on_frame(&mut link, answer);
        core.on_disconnected();
        link.0.clear();
        core.on_frame(&mut link, ToDevice::Welcome(Earnings::default()));

        assert_eq!(link.0, ["ready", "ready"]);
    }

    #[test]
    fn a_device_that_is_paused_without_a_server_computes_no_more() {
        let (mut core, mut link) = working();

        core.on_disconnected();
        core.on_pause(&mut link, PauseReason::Hidden);

        assert_eq!((link.0.len(), core.holds(lease(1))), (0, false));
    }
}
