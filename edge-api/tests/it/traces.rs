//! Spans as a collector gets them, by OTLP over HTTP.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use edge_api::server::Patience;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::app::TestApp;
use crate::compile::SMALL;
use crate::device::Device;
use crate::until::until;

type Sent = mpsc::Receiver<ExportTraceServiceRequest>;

async fn collect(State(sender): State<mpsc::Sender<ExportTraceServiceRequest>>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    sender.send(ExportTraceServiceRequest::decode(body).unwrap()).await.unwrap();
}

/// A collector's address, and what is sent to it.
async fn collector() -> (String, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, sent) = mpsc::channel(64);
    let router = Router::new().route("/v1/traces", post(collect)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, sent)
}

/// A job of one tile from its submission to its end, with a device that takes a hundred milliseconds.
async fn run_a_job(app: &TestApp) -> (String, String) {
    let ada = app.customer("Ada").await;
    let address = app.listen(Patience::default()).await;
    let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    let (kernel, input) = (ada.blob(SMALL.into()).await, ada.blob(vec![0; 256]).await);
    let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
    let order = json!({ "program": program, "name": "x", "privacy": "own" });
    let job = ada.submit(&order, "a").await.json()["id"].as_str().unwrap().to_owned();
    let lease = device.take_lease().await;
    app.time.fetch_add(100_000, Ordering::Relaxed);
    device.commit_zeros(app, &lease).await;
    assert_eq!(device.settled().await, lease.lease);
    until("the job is done", Duration::from_secs(10), async || {
        let found = ada.get(&format!("/v1/jobs/{job}")).await.json();
        (found["state"] == "done").then_some(())
    })
    .await;
    (job, ada.key.clone())
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

async fn check_the_trace_of_a_job(app: TestApp, mut sent: Sent) {
    let (job, key) = run_a_job(&app).await;
    app.app.shut_down().await;

    let mut requests = Vec::new();
    while let Ok(request) = sent.try_recv() {
        assert!(!format!("{request:?}").contains(&key), "a key is in no span");
        requests.push(request);
    }
    let resource = format!("{:?}", requests[0].resource_spans[0].resource);
    assert!(resource.contains("tessera-edge") && resource.contains(&app.app.replica), "{resource}");
    let spans: Vec<Span> = requests
        .into_iter()
        .flat_map(|request| request.resource_spans)
        .flat_map(|of_resource| of_resource.scope_spans)
        .flat_map(|of_scope| of_scope.spans)
        .collect();
    let by_name: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.name.as_str(), span)).collect();
    let names: Vec<&str> = by_name.keys().copied().collect();
    assert_eq!(names, ["check", "device", "job", "lease", "settle", "submit"]);
    // The job's end may look at its tile once more.
    let once = spans.iter().filter(|span| span.name != "check").count();
    assert_eq!(once, 5, "each is there once: {spans:?}");
    for span in &spans {
        let trace = u128::from_be_bytes(span.trace_id.as_slice().try_into().unwrap());
        assert_eq!(trace, u128::from_str_radix(&job.replace('-', ""), 16).unwrap(), "the trace is the job's");
        assert_eq!(attribute(span, "tessera.job"), Some(job.as_str()));
    }
    let is_in =
        |child: &str, parent: &str| assert_eq!(by_name[child].parent_span_id, by_name[parent].span_id, "{child}");
    assert!(by_name["job"].parent_span_id.is_empty());
    for (child, parent) in
        [("submit", "job"), ("lease", "job"), ("device", "lease"), ("check", "lease"), ("settle", "lease")]
    {
        is_in(child, parent);
    }
    let took = |name: &str| by_name[name].end_time_unix_nano - by_name[name].start_time_unix_nano;
    assert_eq!(took("device"), 100_000_000, "from its grant to its receipt");
    assert!(took("job") >= 100_000_000);
    assert_eq!(attribute(by_name["check"], "tessera.outcome"), Some("passed"));
    let device = crate::device::id(1).to_string();
    assert_eq!(attribute(by_name["device"], "tessera.device"), Some(device.as_str()));
}

mod a_jobs_trace_goes_from_its_submission_over_the_device_to_its_settlement {
    use super::*;

    #[tokio::test]
    async fn sqlite() {
        let (address, sent) = collector().await;
        let app = TestApp::sqlite_with(|config| config.traces_endpoint = Some(address)).await;
        check_the_trace_of_a_job(app, sent).await;
    }

    #[tokio::test]
    async fn postgres() {
        let (address, sent) = collector().await;
        let app = TestApp::postgres_with(|config| config.traces_endpoint = Some(address)).await;
        check_the_trace_of_a_job(app, sent).await;
    }
}

#[tokio::test]
async fn a_collector_that_is_away_keeps_no_job_and_no_stop_waiting() {
    let app = TestApp::sqlite_with(|config| config.traces_endpoint = Some("http://127.0.0.1:9".to_owned())).await;
    run_a_job(&app).await;

    let since = Instant::now();
    app.app.shut_down().await;

    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    let Err(error) = edge_api::traces::Traces::new(Some("not an address"), "replica") else {
        panic!("it should be refused")
    };

    assert!(error.to_string().contains("traces cannot be sent to not an address"), "{error:#}");
}
