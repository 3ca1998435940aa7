//! What is counted where it happens. Labels are words of this program alone, so that there are as many series as the
//! program has routes and outcomes, whatever strangers send.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use rules::verification::dispute::Outcome;
use tokio::time::Instant;
use wire::LeaseId;
use wire::device::DeviceClass;

use super::sampled::Sampled;

/// Upper ends of the buckets of a request's and a settlement's time, in seconds.
const REQUEST_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const SETTLEMENT_SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: &'static str,
}

/// One label with one of the words that it was made with.
type Word = [(&'static str, &'static str); 1];

/// Events by what came of them.
#[derive(Debug)]
pub struct Outcomes {
    label: &'static str,
    counts: Family<Word, Counter>,
}

impl Outcomes {
    /// All of them begin at zero, so that the first one is seen to come.
    fn new(label: &'static str, words: impl IntoIterator<Item = &'static str>) -> Self {
        let counts = Family::<Word, Counter>::default();
        for word in words {
            drop(counts.get_or_create(&[(label, word)]));
        }
        Self { label, counts }
    }

    pub fn count(&self, outcome: &'static str) {
        self.counts.get_or_create(&[(self.label, outcome)]).inc();
    }
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub struct Present(Gauge);

impl Present {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Bytes that came and went over this server's connections.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub received: Counter,
    pub sent: Counter,
}

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Asked, Histogram, fn() -> Histogram>,
    requests_in_flight: Family<Asked, Gauge>,
    connections: Gauge,
    pub traffic: Traffic,
    devices: Family<Word, Gauge>,
    pub checks: Outcomes,
    pub disputes: Outcomes,
    pub faults: Outcomes,
    pub jobs_ended: Outcomes,
    settled_leases: Counter,
    settled_tiles: Counter,
    settlement_seconds: Histogram,
    /// When receipts were taken that are checked now.
    taken: Arc<Mutex<HashMap<LeaseId, Instant>>>,
    pub sampled: Sampled,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tessera"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            requests_in_flight: Family::default(),
            connections: Gauge::default(),
            traffic: Traffic::default(),
            devices: Family::default(),
            checks: Outcomes::new("outcome", ["passed", "failed", "damaged", "unanswered"]),
            disputes: Outcomes::new("outcome", Outcome::ALL.map(Outcome::name).into_iter().chain(["withdrawn"])),
            faults: Outcomes::new("outcome", ["confirmed", "finished", "of_backend", "undecided"]),
            jobs_ended: Outcomes::new("how", ["closed", "failed", "deadline_passed", "nondeterministic"]),
            settled_leases: Counter::default(),
            settled_tiles: Counter::default(),
            settlement_seconds: Histogram::new(SETTLEMENT_SECONDS),
            taken: Arc::default(),
            sampled: Sampled::default(),
        };
        for class in DeviceClass::ALL.map(DeviceClass::name).into_iter().chain([CHECKER]) {
            drop(metrics.devices.get_or_create(&[("class", class)]));
        }
        metrics.register();
        metrics
    }
}

const CHECKER: &str = "checker";

impl Metrics {
    fn register(&mut self) {
        let it = &mut self.registry;
        it.register("http_requests", "Answers by method, route and class of status", self.requests.clone());
        it.register("http_request_seconds", "Time to the head of an answer", self.request_seconds.clone());
        it.register("http_requests_in_flight", "Requests without an answer", self.requests_in_flight.clone());
        it.register("connections", "Open connections, sockets among them", self.connections.clone());
        it.register("received_bytes", "Bytes that came over connections", self.traffic.received.clone());
        it.register("sent_bytes", "Bytes that went over connections", self.traffic.sent.clone());
        it.register("devices_connected", "Devices on this replica's sockets", self.devices.clone());
        it.register("checks", "Leases whose output was checked", self.checks.counts.clone());
        it.register("disputes", "Tiles of which it became clear who was wrong", self.disputes.counts.clone());
        it.register("faults", "Reports that a kernel does not end", self.faults.counts.clone());
        it.register("jobs_ended", "Jobs that ended on this replica", self.jobs_ended.counts.clone());
        it.register("settled_leases", "Leases paid", self.settled_leases.clone());
        it.register("settled_tiles", "Tiles paid", self.settled_tiles.clone());
        it.register(
            "settlement_seconds",
            "From taking a receipt to its settlement, on the replica that settled it",
            self.settlement_seconds.clone(),
        );
    }

    /// All that was counted, as text without its end.
    pub fn write_counted(&self, text: &mut String) -> std::fmt::Result {
        encode_registry(text, &self.registry)
    }

    /// Counts a request, whose answer is said to the guard.
    pub fn request(&self, method: &Method, route: &'static str) -> RequestUnderWay<'_> {
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "DELETE" => "DELETE",
            _ => "other",
        };
        let asked = Asked { method, route };
        let present = Present::new(&self.requests_in_flight.get_or_create(&asked));
        RequestUnderWay { metrics: self, asked, status: "gone", since: Instant::now(), _present: present }
    }

    pub fn connection(&self) -> Present {
        Present::new(&self.connections)
    }

    /// A device's socket is open for as long as the value lasts.
    pub fn device(&self, class: DeviceClass, is_checker: bool) -> Present {
        let class = if is_checker { CHECKER } else { class.name() };
        Present::new(&self.devices.get_or_create(&[("class", class)]))
    }

    /// A receipt was taken, and is checked for as long as the value lasts.
    pub fn take_receipt(&self, lease: LeaseId) -> ReceiptTaken {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.entry(lease).or_insert_with(Instant::now);
        ReceiptTaken { lease, taken: Arc::clone(&self.taken) }
    }

    pub fn settle(&self, lease: LeaseId, tiles: u64) {
        self.settled_leases.inc();
        self.settled_tiles.inc_by(tiles);
        let since = self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease);
        if let Some(since) = since {
            self.settlement_seconds.observe(since.elapsed().as_secs_f64());
        }
    }
}

/// Forgets when a receipt was taken.
#[derive(Debug)]
pub struct ReceiptTaken {
    lease: LeaseId,
    taken: Arc<Mutex<HashMap<LeaseId, Instant>>>,
}

impl Drop for ReceiptTaken {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.lease);
    }
}

/// Counted as it ends: with its answer's status, or as gone where whoever asked did not wait.
#[derive(Debug)]
pub struct RequestUnderWay<'a> {
    metrics: &'a Metrics,
    asked: Asked,
    status: &'static str,
    since: Instant,
    _present: Present,
}

impl RequestUnderWay<'_> {
    pub fn answered(mut self, status: StatusCode) {
        self.status = match status.as_u16() {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for RequestUnderWay<'_> {
    fn drop(&mut self) {
        let Asked { method, route } = self.asked;
        self.metrics.requests.get_or_create(&Answered { method, route, status: self.status }).inc();
        self.metrics.request_seconds.get_or_create(&self.asked).observe(self.elapsed().as_secs_f64());
    }
}
