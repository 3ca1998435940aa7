//! A network that faults are done to.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep_until};

use super::plan::{Fault, Place, Step, timeline};
use crate::edge::Trial;
use crate::fleet::Fleet;

/// Of one lease, so that a job has many.
const LEASE_TILES_MAX: u64 = 4;

pub(super) struct Network {
    pub(super) fleet: Fleet,
    /// Replicas that were started again and have not answered yet.
    launched: BTreeSet<usize>,
}

impl Network {
    pub(super) async fn start(place: Place) -> Self {
        let trial = Trial { lease_tiles_max: Some(LEASE_TILES_MAX), is_harsh: true };
        let fleet = match place {
            Place::Fleet => Fleet::start_in(trial).await,
            Place::Alone => Fleet::alone_in(trial).await,
        };
        let mut network = Self { fleet, launched: BTreeSet::new() };
        network.start_worker();
        network
    }

    fn start_worker(&mut self) {
        let url = self.fleet.url();
        self.fleet.stack.start_worker_at(&url, "worker", &["--backend", "cpu"]);
    }

    /// Does a round's faults to it, each at its moment, and undoes them.
    pub(super) async fn suffer(&mut self, steps: &[Step]) {
        let since = Instant::now();
        for (at, begins, fault) in timeline(steps) {
            sleep_until(since + at).await;
            if begins { self.begin(fault).await } else { self.end(fault) }
        }
    }

    async fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::KillServer(which) => self.fleet.stack.edges()[which].kill(),
            Fault::KillChild(which) => {
                let children = self.fleet.stack.edges()[which].pid().map(children).unwrap_or_default();
                // It may have none, or one that ends by itself.
                if let Some(child) = children.first() {
                    kill(*child);
                }
            }
            Fault::KillWorker => self.fleet.stack.kill_workers(),
            Fault::KillDatabase => self.kill_database().await,
            Fault::RestartDatabase => self.fleet.restart_database().await,
            Fault::Sleep(which) => self.fleet.stack.edges()[which].signal("-STOP"),
            Fault::CutDatabase(which) => self.fleet.cut_off(which),
            Fault::DelayDatabase(which, delay) => self.delay_database(which, delay),
            Fault::CutSockets => self.fleet.balancer().break_off(),
            Fault::DelaySockets(delay) => self.fleet.balancer().delay(delay),
            Fault::FillDisk(which, bytes) => self.fleet.stack.edges()[which].limit_files(Some(bytes)),
            Fault::MoveClock(which, seconds) => self.fleet.stack.edges()[which].move_clock(seconds),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            // Another fault may have killed it, too, and started it again.
            Fault::KillServer(which) if self.fleet.stack.edges()[which].child.is_none() => {
                self.fleet.stack.launch_replica(which);
                self.launched.insert(which);
            }
            Fault::KillWorker => {
                // Two faults may have taken it; there is one.
                self.fleet.stack.kill_workers();
                self.start_worker();
            }
            Fault::Sleep(which) => self.fleet.stack.edges()[which].signal("-CONT"),
            Fault::CutDatabase(which) => self.fleet.join(which),
            Fault::DelayDatabase(which, _) => self.delay_database(which, Duration::ZERO),
            Fault::DelaySockets(_) => self.fleet.balancer().delay(Duration::ZERO),
            Fault::FillDisk(which, _) => self.fleet.stack.edges()[which].limit_files(None),
            Fault::MoveClock(which, _) => self.fleet.stack.edges()[which].move_clock(0),
            Fault::KillServer(_)
            | Fault::KillChild(_)
            | Fault::KillDatabase
            | Fault::RestartDatabase
            | Fault::CutSockets => {}
        }
    }

    fn delay_database(&self, which: usize, delay: Duration) {
        if let Some(line) = self.fleet.line(which) {
            line.delay(delay);
        }
    }

    async fn kill_database(&self) {
        let one =
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() limit 1";
        let Ok(database) = self.fleet.stack.try_database().await else { return };
        // One that ends as it is killed is as good.
        let found: Option<i32> = sqlx::query_scalar(one).fetch_optional(&database).await.ok().flatten();
        if let Some(pid) = found {
            kill(pid.cast_unsigned());
        }
    }

    /// Waits until all of it is up again; an error where a server has ended that nobody killed.
    pub(super) async fn recover(&mut self) -> anyhow::Result<()> {
        let replicas = self.fleet.stack.edges().len();
        for which in 0..replicas {
            if self.launched.remove(&which) {
                self.fleet.stack.replica_answers(which).await;
            }
            let ended = self.fleet.stack.edges()[which].ended();
            ensure!(ended.is_none(), "server {which} ended by itself: {ended:?}");
        }
        self.fleet.are_ready(replicas).await;
        Ok(())
    }
}

/// Processes that a process has started.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).ok();
    let found: Vec<String> = threads.filter_map(Result::ok).filter_map(of_thread).collect();
    found.iter().flat_map(|text| text.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// One that has ended by itself meanwhile is as good.
fn kill(pid: u32) {
    let sent = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
    drop(sent);
}
