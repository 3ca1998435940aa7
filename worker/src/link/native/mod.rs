//! The native agent: a session over `tokio`, followed by the log.

mod http;
mod socket;

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, stream};
use gpu_kernels::device::GpuError;
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
    let log = Log::new(engine.identity.device());
    let commands = pin!(stream::once(stop.map(|()| Command::Stop)).fuse());
    Ok(session::run(engine, &transport, log, options, commands).await?)
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

impl Observer for Log {
    fn on_frame(&mut self, frame: &ToDevice) {
        match frame {
            ToDevice::Welcome(earnings) => {
                self.earned = earnings.by_device;
                tracing::info!(device = %self.device, earned = %self.earned, "connected");
            }
            ToDevice::Settled { lease, tiles, earnings } => {
                tracing::debug!(%lease, tiles, "verified");
                self.leases += 1;
                self.tiles += u64::from(*tiles);
                self.earned = earnings.by_device;
                self.sum_up_if_due();
            }
            ToDevice::Refused { lease, message, .. } => tracing::warn!(%lease, message, "refused"),
            ToDevice::Checked { lease } => {
                tracing::debug!(%lease, "recomputed");
                self.recomputed += 1;
                self.sum_up_if_due();
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
