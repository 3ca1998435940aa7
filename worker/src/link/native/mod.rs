//! The native agent: a session over `tokio`, followed by the log.

mod http;
mod socket;

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use gpu_kernels::device::GpuError;
use tokio::time::Instant;
use wire::device::DeviceClass;
use wire::{Credits, DeviceId, LeaseId, ToDevice};

use self::http::Http;
use self::socket::NativeSocket;
use super::{Closed, Transport};
use crate::engine::Engine;
use crate::failure::RunFailure;
use crate::session::{self, Command, Observer, Options, SessionError};
use crate::transfer::{EdgeUrl, UrlError};

/// Why the agent stops for good.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("the HTTP client could not be made")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Works at the edge of this origin until `stop` resolves or nothing more can be done.
pub async fn run(
    engine: &Engine,
    url: &str,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let url = EdgeUrl::parse(url)?;
    let transport = NativeTransport { origin: url.origin(), socket_url: url.socket(), http: Http::new(url)? };
    let log = RefCell::new(Log::new(engine.identity.device()));
    let commands = pin!(stream::once(stop.map(|()| Command::Stop)).fuse());
    tokio::select! {
        ended = session::run(engine, &transport, &log, options, commands) => Ok(ended?),
        never = sum_up_in_time(&log) => match never {},
    }
}

struct NativeTransport {
    origin: String,
    socket_url: String,
    http: Http,
}

impl Transport for NativeTransport {
    const CLASS: DeviceClass = DeviceClass::Native;
    type Socket = NativeSocket;
    type Http = Http;

    fn origin(&self) -> &str {
        &self.origin
    }

    fn http(&self) -> &Http {
        &self.http
    }

    async fn connect(&self) -> Result<NativeSocket, Closed> {
        NativeSocket::connect(&self.socket_url).await
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Between two lines on what was verified.
const SUMMARY_EACH: Duration = Duration::from_mins(1);

/// Between two looks at whether one is due.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// The last work before a quiet time has its line in time too.
async fn sum_up_in_time(log: &RefCell<Log>) -> Infallible {
    let mut looks = tokio::time::interval(LOOK_EACH);
    loop {
        looks.tick().await;
        log.borrow_mut().sum_up_if_due();
    }
}

/// Writes down how the session goes.
struct Log {
    device: DeviceId,
    /// What has come since the last summary.
    leases: u64,
    tiles: u64,
    recomputed: u64,
    earned: Credits,
    summed_up: Option<Instant>,
}

impl Log {
    fn new(device: DeviceId) -> Self {
        Self { device, leases: 0, tiles: 0, recomputed: 0, earned: Credits::ZERO, summed_up: None }
    }

    /// The first lease at once, so that whoever watches sees that it works.
    fn sum_up_if_due(&mut self) {
        if self.summed_up.is_none_or(|at| at.elapsed() >= SUMMARY_EACH) {
            self.sum_up();
        }
    }

    fn sum_up(&mut self) {
        let Self { leases, tiles, recomputed, earned, .. } = self;
        if *leases + *recomputed > 0 {
            tracing::info!(leases, tiles, recomputed, earned = %earned, "verified since the last line");
            (self.leases, self.tiles, self.recomputed) = (0, 0, 0);
            self.summed_up = Some(Instant::now());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.sum_up();
    }
}

impl Observer for &RefCell<Log> {
    fn on_frame(&mut self, frame: &ToDevice) {
        let log = &mut *self.borrow_mut();
        match frame {
            ToDevice::Welcome(earnings) => {
                log.earned = earnings.by_device;
                tracing::info!(device = %log.device, earned = %log.earned, "connected");
            }
            ToDevice::Settled { lease, tiles, earnings } => {
                tracing::debug!(%lease, tiles, "verified");
                log.leases += 1;
                log.tiles += u64::from(*tiles);
                log.earned = earnings.by_device;
                log.sum_up_if_due();
            }
            ToDevice::Refused { lease, message, .. } => tracing::warn!(%lease, message, "refused"),
            ToDevice::Checked { lease } => {
                tracing::debug!(%lease, "recomputed");
                log.recomputed += 1;
                log.sum_up_if_due();
            }
            ToDevice::Speed { ops_per_sec: 0 } => tracing::warn!("a challenge was not passed"),
            ToDevice::Speed { ops_per_sec } => tracing::info!(ops_per_sec, "a challenge was passed"),
            ToDevice::Challenge { .. }
            | ToDevice::Lease(_)
            | ToDevice::Revoke { .. }
            | ToDevice::Prove(_)
            | ToDevice::Reveal { .. }
            | ToDevice::Close { .. } => {}
        }
    }

    fn on_lease_failed(&mut self, lease: LeaseId, failure: &RunFailure) {
        if !matches!(failure, RunFailure::Abandoned) {
            tracing::warn!(%lease, reason = %failure, "a lease went back");
        }
    }

    fn on_challenge_failed(&mut self, error: &GpuError) {
        tracing::warn!(reason = %error, "a challenge could not be answered");
    }

    fn on_device_restarted(&mut self, reason: &str) {
        tracing::warn!(reason, "the device broke down and was opened anew");
    }

    fn on_connection_lost(&mut self, reason: &str, wait: Duration) {
        tracing::warn!(reason, wait_millis = wait.as_millis(), "not connected; trying again");
    }
}

#[cfg(test)]
mod tests {
    use wire::device::Earnings;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_verified_before_a_quiet_time_is_summed_up_within_a_minute() {
        let log = RefCell::new(Log::new(DeviceId([1; 32])));
        let settled = ToDevice::Settled { lease: LeaseId([2; 16]), tiles: 3, earnings: Earnings::default() };
        let mut observer = &log;
        observer.on_frame(&settled);
        assert_eq!(log.borrow().leases, 0, "the first is said at once");

        tokio::time::advance(Duration::from_secs(20)).await;
        observer.on_frame(&settled);
        let left_after = async |seconds| {
            tokio::select! {
                never = sum_up_in_time(&log) => match never {},
                () = tokio::time::sleep(Duration::from_secs(seconds)) => log.borrow().leases,
            }
        };

        assert_eq!(left_after(38).await, 1);
        assert_eq!(left_after(4).await, 0);
    }
}
