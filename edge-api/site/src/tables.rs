//! Every table of the explorer as CSV and as JSON: the page's address with an ending.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::de::DeserializeOwned;
use web::format;
use web::route::Page;
use wire::PublicJob;
use wire::explorer::{
    Hit, Overview, Page as TablePage, PublicDevice, PublicDevicePage, PublicJobRow, PublicReceipt, PublicReceiptPage,
    Share,
};

use crate::api::{Answer, InProcessApi};
use crate::request::parse_query;
use crate::state::Site;

/// Parameters that a list takes from its page's address.
const LIST: &[&str] = &["after", "limit"];
/// A download ends after so many rows; the last page's address goes on from there.
const ROWS_MAX: usize = 50_000;

/// The API's answer of the same page. `None` for pages without a table.
fn source(page: Page, query: &str) -> Option<String> {
    let (path, taken) = match page {
        Page::Explorer => ("/v1/public/overview".to_owned(), &[][..]),
        Page::Devices => ("/v1/public/devices".to_owned(), &["after", "limit", "class", "online"][..]),
        Page::Device(id) => (format!("/v1/public/devices/{id}"), LIST),
        Page::PublicJobs => ("/v1/public/jobs".to_owned(), LIST),
        Page::PublicJob(id) => (format!("/v1/public/jobs/{id}"), &[][..]),
        Page::Receipts => ("/v1/public/receipts".to_owned(), LIST),
        Page::Receipt(id) => (format!("/v1/public/receipts/{id}"), &[][..]),
        Page::Search => ("/v1/public/search".to_owned(), &["q"][..]),
        Page::Landing
        | Page::Calculator
        | Page::Docs(_)
        | Page::Jobs
        | Page::NewJob
        | Page::Job(_)
        | Page::Lend
        | Page::Account => return None,
    };
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    for (key, value) in parse_query(query).into_iter().filter(|(key, _)| taken.contains(&key.as_str())) {
        parameters.append_pair(&key, &value);
    }
    let parameters = parameters.finish();
    Some(if parameters.is_empty() { path } else { format!("{path}?{parameters}") })
}

pub(crate) async fn json(site: &Site, page: Page, query: &str) -> Response {
    let Some(source) = source(page, query) else { return StatusCode::NOT_FOUND.into_response() };
    let Some(Answer { status, body }) = site.api.get(&source, None).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let cache = if status == StatusCode::OK { "public, max-age=5" } else { "no-store" };
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, cache)], body).into_response()
}

/// A row's columns. Names are those of the JSON.
trait Row {
    const HEAD: &'static [&'static str];

    fn fields(&self) -> Vec<String>;
}

/// A stranger's text, so that no spreadsheet takes it for a formula.
fn text(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

impl Row for PublicDevice {
    const HEAD: &'static [&'static str] = &[
        "id",
        "class",
        "name",
        "backend",
        "software",
        "online",
        "flops_per_sec",
        "proved_ops_per_sec",
        "proved_at",
        "down_bytes_per_sec",
        "up_bytes_per_sec",
        "tiles",
        "kflop",
        "checks_passed",
        "checks_failed",
        "earned_credits",
        "first_seen_at",
        "seen_at",
    ];

    fn fields(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.class.name().to_owned(),
            text(&self.name),
            text(&self.backend),
            u8::from(self.software).to_string(),
            u8::from(self.online).to_string(),
            self.flops_per_sec.to_string(),
            self.proved_ops_per_sec.to_string(),
            self.proved_at.map(format::iso8601).unwrap_or_default(),
            self.down_bytes_per_sec.to_string(),
            self.up_bytes_per_sec.to_string(),
            self.tiles.to_string(),
            self.kflop.to_string(),
            self.checks_passed.to_string(),
            self.checks_failed.to_string(),
            self.earned.to_string(),
            format::iso8601(self.first_seen_at),
            format::iso8601(self.seen_at),
        ]
    }
}

impl Row for PublicReceipt {
    const HEAD: &'static [&'static str] =
        &["lease", "device", "job", "backend", "program", "tiles", "recomputed_tiles", "kflop", "state", "received_at"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.lease.to_string(),
            self.device.to_string(),
            self.job.map(|job| job.to_string()).unwrap_or_default(),
            text(&self.backend),
            text(&self.program),
            self.tiles.to_string(),
            self.recomputed_tiles.to_string(),
            self.kflop.to_string(),
            self.state.name().to_owned(),
            format::iso8601(self.received_at),
        ]
    }
}

impl Row for PublicJobRow {
    const HEAD: &'static [&'static str] =
        &["id", "name", "state", "rows", "tiles", "verified_tiles", "cost_credits", "created_at", "ended_at"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            text(&self.name),
            self.state.name().to_owned(),
            self.rows.to_string(),
            self.tiles.to_string(),
            self.verified_tiles.to_string(),
            self.cost.to_string(),
            format::iso8601(self.created_at),
            self.ended_at.map(format::iso8601).unwrap_or_default(),
        ]
    }
}

impl Row for Share {
    const HEAD: &'static [&'static str] = &["device", "backend", "tiles", "recomputed_tiles", "receipts"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.device.to_string(),
            text(&self.backend),
            self.tiles.to_string(),
            self.recomputed_tiles.to_string(),
            self.receipts.to_string(),
        ]
    }
}

impl Row for wire::explorer::Period {
    const HEAD: &'static [&'static str] =
        &["start", "receipts", "tiles", "kflop", "settled_credits", "device_seconds", "capacity_kflop"];

    fn fields(&self) -> Vec<String> {
        vec![
            format::iso8601(self.start),
            self.work.receipts.to_string(),
            self.work.tiles.to_string(),
            self.work.kflop.to_string(),
            self.work.cost.to_string(),
            (self.device_micros / 1_000_000).to_string(),
            self.capacity_kflop.to_string(),
        ]
    }
}

impl Row for Hit {
    const HEAD: &'static [&'static str] = &["kind", "id"];

    fn fields(&self) -> Vec<String> {
        match self {
            Self::Device(id) => vec!["device".to_owned(), id.to_string()],
            Self::Job(id) => vec!["job".to_owned(), id.to_string()],
            Self::Receipt(id) => vec!["receipt".to_owned(), id.to_string()],
        }
    }
}

/// Lines of CSV, with the head where they are the first.
fn lines<T: Row>(rows: &[T], with_head: bool) -> Bytes {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrote = (|| {
        if with_head {
            writer.write_record(T::HEAD)?;
        }
        for row in rows {
            writer.write_record(row.fields())?;
        }
        writer.flush().map_err(csv::Error::from)
    })();
    wrote.expect("writing to memory should not fail");
    writer.into_inner().unwrap_or_default().into()
}

pub(crate) async fn csv(site: &Site, page: Page, query: &str) -> Response {
    let Some(source) = source(page, query) else { return StatusCode::NOT_FOUND.into_response() };
    match page {
        Page::Devices => paged::<PublicDevice>(site, &source, "devices").await,
        Page::PublicJobs => paged::<PublicJobRow>(site, &source, "jobs").await,
        Page::Receipts => paged::<PublicReceipt>(site, &source, "receipts").await,
        Page::Device(_) => whole(site, &source, "device", |page: PublicDevicePage| page.receipts.rows).await,
        Page::PublicJob(_) => whole(site, &source, "job", |job: PublicJob| job.devices).await,
        Page::Receipt(_) => whole(site, &source, "receipt", |page: PublicReceiptPage| vec![page.receipt]).await,
        Page::Explorer => whole(site, &source, "network", |overview: Overview| overview.periods).await,
        Page::Search => whole(site, &source, "search", |hits: Vec<Hit>| hits).await,
        Page::Landing
        | Page::Calculator
        | Page::Docs(_)
        | Page::Jobs
        | Page::NewJob
        | Page::Job(_)
        | Page::Lend
        | Page::Account => StatusCode::NOT_FOUND.into_response(),
    }
}

fn attachment(name: &str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CACHE_CONTROL, "public, max-age=5".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"tessera-{name}.csv\"")),
    ];
    (headers, body).into_response()
}

/// What the API said instead of rows, as it said it.
fn refused(answer: Answer) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (answer.status, headers, answer.body).into_response()
}

async fn whole<A: DeserializeOwned, T: Row>(
    site: &Site,
    source: &str,
    name: &str,
    rows: impl FnOnce(A) -> Vec<T>,
) -> Response {
    match site.api.get(source, None).await {
        Some(answer) if answer.status == StatusCode::OK => match serde_json::from_slice(&answer.body) {
            Ok(answer) => attachment(name, lines(&rows(answer), true).into()),
            Err(_not_ours) => StatusCode::BAD_GATEWAY.into_response(),
        },
        Some(answer) => refused(answer),
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// A list from its first page to its last, streamed as it is read.
async fn paged<T: Row + DeserializeOwned + Send + Sync + 'static>(site: &Site, source: &str, name: &str) -> Response {
    let joint = if source.contains('?') { '&' } else { '?' };
    let source = &if source.contains("limit=") { source.to_owned() } else { format!("{source}{joint}limit=500") };
    let first = match site.api.get(source, None).await {
        Some(answer) if answer.status == StatusCode::OK => match serde_json::from_slice::<TablePage<T>>(&answer.body) {
            Ok(page) => page,
            Err(_not_ours) => return StatusCode::BAD_GATEWAY.into_response(),
        },
        Some(answer) => return refused(answer),
        None => return StatusCode::BAD_GATEWAY.into_response(),
    };
    let list =
        PagedList { api: site.api.clone(), source: source.to_owned(), ready: VecDeque::from([first]), written: 0 };
    let body = stream::unfold(Some(list), |list| async move {
        let mut list: PagedList<T> = list?;
        let page = list.ready.pop_front()?;
        let chunk = lines(&page.rows, list.written == 0);
        list.written += page.rows.len();
        let next = match page.next.filter(|_| list.written < ROWS_MAX) {
            Some(next) => list.read(&next).await,
            None => None,
        };
        list.ready.extend(next);
        Some((Ok::<_, std::convert::Infallible>(chunk), Some(list)))
    });
    attachment(name, Body::from_stream(body))
}

/// A list that is read page by page.
struct PagedList<T> {
    api: InProcessApi,
    source: String,
    /// Read and not sent yet.
    ready: VecDeque<TablePage<T>>,
    /// Rows sent.
    written: usize,
}

/// The same list from where a page of it ended.
fn address_after(source: &str, next: &str) -> String {
    let (path, query) = source.split_once('?').unwrap_or((source, ""));
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    for (key, value) in parse_query(query).into_iter().filter(|(key, _)| key != "after") {
        parameters.append_pair(&key, &value);
    }
    format!("{path}?{}", parameters.append_pair("after", next).finish())
}

impl<T: DeserializeOwned + Sync> PagedList<T> {
    async fn read(&self, next: &str) -> Option<TablePage<T>> {
        let answer = self.api.get(&address_after(&self.source, next), None).await?;
        (answer.status == StatusCode::OK).then(|| serde_json::from_slice(&answer.body).ok())?
    }
}
