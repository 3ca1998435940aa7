//! What a job went through, told to whoever collects traces by OTLP over HTTP. A job's trace has the job's own id, and a lease's
//! span that of its lease, so that every replica adds to the same trace without a word to any other. Where no collector was
//! named nothing is made.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tokio::runtime::Handle;
use wire::{DeviceId, JobId, LeaseId, Micros};

use crate::http::install_tls;

/// For one batch of spans, and for what is left when the server stops.
const SEND_WITHIN: Duration = Duration::from_secs(10);
const LAST_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Traces(Option<BatchSpanProcessor>);

/// A part of a lease's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From its grant until its receipt is answered.
    Lease,
    /// From its grant until its receipt came: what the device takes, its transfers included, as the server sees it.
    Device,
    Check,
    /// Its settlement is written.
    Settle,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Device => "device",
            Self::Check => "check",
            Self::Settle => "settle",
        }
    }
}

/// From one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Micros,
    pub until: Micros,
}

/// Which lease a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseOfJob {
    pub lease: LeaseId,
    pub job: JobId,
    pub device: DeviceId,
    pub tiles: u64,
}

impl Traces {
    /// `endpoint` is a collector's address, below which it takes traces at `/v1/traces`; headers and limits come from the
    /// other variables of OpenTelemetry. Must be called where tokio runs.
    pub fn new(endpoint: Option<&str>, replica: &str) -> anyhow::Result<Self> {
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) else { return Ok(Self(None)) };
        install_tls();
        let client = reqwest::Client::builder().timeout(SEND_WITHIN).build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { client, runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .with_context(|| format!("traces cannot be sent to {endpoint}"))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let mut resource = Resource::builder().with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", replica.to_owned()),
        ]);
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("tessera-edge");
        }
        processor.set_resource(&resource.build());
        Ok(Self(Some(processor)))
    }

    /// An order was taken.
    pub fn submitted(&self, job: JobId, span: Span) {
        self.add(job, "submit", (span_id(&format!("submit {job}")), job_span(job)), span, Vec::new);
    }

    /// A job ended, in one of its states or by its deadline.
    pub fn job_ended(&self, job: JobId, at: Micros, how: &'static str) {
        let begun = Micros::try_from((trace_number(job) >> 80).saturating_mul(1000)).unwrap_or(at);
        let span = Span { from: begun, until: at };
        self.add(job, "job", (job_span(job), SpanId::INVALID), span, || vec![KeyValue::new("tessera.ended", how)]);
    }

    /// A stage of a lease is over.
    pub fn lease(&self, stage: Stage, of: LeaseOfJob, span: Span, outcome: Option<&'static str>) {
        let lease = span_id(&format!("lease {}", of.lease));
        let (own, parent) = match stage {
            Stage::Lease => (lease, job_span(of.job)),
            Stage::Device | Stage::Check | Stage::Settle => {
                (span_id(&format!("{} {} {}", stage.name(), of.lease, span.from)), lease)
            }
        };
        self.add(of.job, stage.name(), (own, parent), span, || {
            let mut attributes = vec![
                KeyValue::new("tessera.lease", of.lease.to_string()),
                KeyValue::new("tessera.device", of.device.to_string()),
                KeyValue::new("tessera.tiles", i64::try_from(of.tiles).unwrap_or(i64::MAX)),
            ];
            attributes.extend(outcome.map(|outcome| KeyValue::new("tessera.outcome", outcome)));
            attributes
        });
    }

    fn add(
        &self,
        job: JobId,
        name: &'static str,
        (own, parent): (SpanId, SpanId),
        span: Span,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) {
        let Some(processor) = &self.0 else { return };
        let mut attributes = attributes();
        attributes.push(KeyValue::new("tessera.job", job.to_string()));
        let trace = TraceId::from(trace_number(job));
        processor.on_end(SpanData {
            span_context: SpanContext::new(trace, own, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: Cow::Borrowed(name),
            start_time: time(span.from),
            end_time: time(span.until.max(span.from)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("tessera").build(),
        });
    }

    /// Sends what waits, and nothing more after it. Blocks, while tokio goes on.
    pub fn shut_down(&self) {
        if let Some(processor) = &self.0
            && let Err(error) = processor.shutdown_with_timeout(LAST_WITHIN)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

fn trace_number(job: JobId) -> u128 {
    u128::from_str_radix(&job.to_string().replace('-', ""), 16).expect("an id should be 32 hexadecimal digits")
}

fn job_span(job: JobId) -> SpanId {
    span_id(&format!("job {job}"))
}

/// The same wherever it is made.
fn span_id(of: &str) -> SpanId {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(of.as_bytes()).as_bytes()[..8]);
    SpanId::from_bytes(bytes)
}

fn time(micros: Micros) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs())
}

/// Spans are sent from a thread of their own, on which tokio does not run.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let sending = self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let sent = self.runtime.spawn(async move {
            let answer = sending.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        });
        let (status, headers, body) = sent.await??;
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}
