//! Every table of the explorer as CSV and as JSON: the page's address with an ending.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use web::format;
use web::route::Page;
use wire::PublicJob;
use wire::explorer::{
    Hit, Overview, Page as TablePage, Period, PublicDevice, PublicDevicePage, PublicJobRow, PublicReceipt,
    PublicReceiptPage, Share,
};

use crate::api::{Answer, InProcessApi};
use crate::request::parse_query;
use crate::state::Site;

/// Parameters that a list takes from its page's address.
const LIST: &[&str] = &["after", "limit"];
/// A file ends after so many rows, and says where the next one goes on. They are read before the first is sent: a file
/// whose end could not be read is never begun.
const ROWS_MAX: usize = 20_000;
/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 500;
/// Tables that are read at once: each is whole in memory, and takes up to forty reads.
static SEATS: Semaphore = Semaphore::const_new(2);

pub(crate) async fn json(site: &Site, page: Page, query: &str) -> Response {
    let Some(source) = Source::of(page, query) else { return StatusCode::NOT_FOUND.into_response() };
    let Some(Answer { status, body }) = site.api.get(&source.address(None), None).await else {
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

/// A stranger's text, so that no spreadsheet takes it for a formula: neither as it stands, nor once the spreadsheet has
/// taken away what cannot be seen before it, or has made of full-width signs what they look like.
fn text(text: &str) -> String {
    let is_unseen =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let begins = text.trim_start_matches(is_unseen);
    let is_formula = begins.starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠', '−', '｜']);
    if is_formula || text.starts_with(['\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

/// A figure that nobody knows is left out: zero would be one.
fn known(value: u64) -> String {
    if value == 0 { String::new() } else { value.to_string() }
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
            known(self.flops_per_sec),
            self.proved_at.map(|_| self.proved_ops_per_sec.to_string()).unwrap_or_default(),
            self.proved_at.map(format::iso8601).unwrap_or_default(),
            known(self.down_bytes_per_sec),
            known(self.up_bytes_per_sec),
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

impl Row for Period {
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
    const HEAD: &'static [&'static str] = &["kind", "id", "name"];

    fn fields(&self) -> Vec<String> {
        match self {
            Self::Device { id, name } => vec!["device".to_owned(), id.to_string(), text(name)],
            Self::Job { id, name } => vec!["job".to_owned(), id.to_string(), text(name)],
            Self::Receipt { id } => vec!["receipt".to_owned(), id.to_string(), String::new()],
        }
    }
}

/// What a list, a page or a figure of the API has of rows.
trait Answered: DeserializeOwned {
    type Row: Row;

    /// The rows, and where the next ones begin.
    fn rows(self) -> (Vec<Self::Row>, Option<String>);
}

impl<T: Row + DeserializeOwned> Answered for TablePage<T> {
    type Row = T;

    fn rows(self) -> (Vec<T>, Option<String>) {
        (self.rows, self.next)
    }
}

impl Answered for PublicDevicePage {
    type Row = PublicReceipt;

    fn rows(self) -> (Vec<PublicReceipt>, Option<String>) {
        self.receipts.rows()
    }
}

impl Answered for PublicJob {
    type Row = Share;

    fn rows(self) -> (Vec<Share>, Option<String>) {
        (self.devices, None)
    }
}

impl Answered for PublicReceiptPage {
    type Row = PublicReceipt;

    fn rows(self) -> (Vec<PublicReceipt>, Option<String>) {
        (vec![self.receipt], None)
    }
}

impl Answered for Overview {
    type Row = Period;

    fn rows(self) -> (Vec<Period>, Option<String>) {
        (self.periods, None)
    }
}

impl Answered for Vec<Hit> {
    type Row = Hit;

    fn rows(self) -> (Vec<Hit>, Option<String>) {
        (self, None)
    }
}

pub(crate) async fn csv(site: &Site, page: Page, query: &str) -> Response {
    let Some(source) = Source::of(page, query) else { return StatusCode::NOT_FOUND.into_response() };
    let api = &site.api;
    let file = match page {
        Page::Devices => File::read::<TablePage<PublicDevice>>(api, source, "devices").await,
        Page::Device(_) => File::read::<PublicDevicePage>(api, source, "device").await,
        Page::PublicJobs => File::read::<TablePage<PublicJobRow>>(api, source, "jobs").await,
        Page::PublicJob(_) => File::read::<PublicJob>(api, source, "job").await,
        Page::Receipts => File::read::<TablePage<PublicReceipt>>(api, source, "receipts").await,
        Page::Receipt(_) => File::read::<PublicReceiptPage>(api, source, "receipt").await,
        Page::Explorer => File::read::<Overview>(api, source, "network").await,
        Page::Search => File::read::<Vec<Hit>>(api, source, "search").await,
        Page::Landing
        | Page::Calculator
        | Page::Status
        | Page::Docs(_)
        | Page::Jobs
        | Page::NewJob
        | Page::Job(_)
        | Page::Lend
        | Page::Account => return StatusCode::NOT_FOUND.into_response(),
    };
    let with_mark = parse_query(query).iter().any(|(key, value)| key == "bom" && value == "1");
    match file {
        Ok(file) => file.answer(with_mark),
        Err(Unread::Refused(answer)) => refused(answer),
        Err(Unread::Failed) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// What the API said instead of rows, as it said it.
fn refused(answer: Answer) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (answer.status, headers, answer.body).into_response()
}

/// Why a table could not be read to its end.
enum Unread {
    Refused(Answer),
    Failed,
}

/// A table, whole before any of it is sent.
struct File {
    name: &'static str,
    csv: Vec<u8>,
    /// What the address of the next file has behind its path, where this one was cut.
    continues: Option<String>,
}

impl File {
    async fn read<A: Answered>(api: &InProcessApi, mut source: Source, name: &'static str) -> Result<Self, Unread> {
        let written_to_memory = "writing to memory should not fail";
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(A::Row::HEAD).expect(written_to_memory);
        let rows_max = source.rows_max();
        let _seat = SEATS.acquire().await.map_err(|_closed| Unread::Failed)?;
        let mut written = 0;
        let continues = loop {
            let answer =
                api.get(&source.address(rows_max.map(|most| most - written)), None).await.ok_or(Unread::Failed)?;
            if answer.status != StatusCode::OK {
                return Err(Unread::Refused(answer));
            }
            let (rows, next) = serde_json::from_slice::<A>(&answer.body).map_err(|_not_ours| Unread::Failed)?.rows();
            for row in &rows {
                writer.write_record(row.fields()).expect(written_to_memory);
            }
            written += rows.len();
            let Some(next) = next else { break None };
            source.go_on_after(&next);
            if rows.is_empty() || rows_max.is_none_or(|most| written >= most) {
                break Some(source.query());
            }
        };
        let csv = writer.into_inner().expect(written_to_memory);
        Ok(Self { name, csv, continues })
    }

    fn answer(self, with_mark: bool) -> Response {
        let Self { name, mut csv, continues } = self;
        let headers = [
            (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (CACHE_CONTROL, "public, max-age=5".to_owned()),
            (CONTENT_DISPOSITION, format!("attachment; filename=\"tessera-{name}.csv\"")),
        ];
        let next = continues.map(|query| {
            csv.extend_from_slice(format!("# continues: {query}\n").as_bytes());
            AppendHeaders([(LINK, format!("<{query}>; rel=\"next\""))])
        });
        if with_mark {
            // By this mark spreadsheets know that a file is UTF-8.
            csv.splice(0..0, "\u{feff}".bytes());
        }
        (headers, next, csv).into_response()
    }
}

/// Where in the API a page's table comes from.
struct Source {
    path: String,
    /// Of the page's parameters those that the API takes.
    parameters: Vec<(String, String)>,
    is_list: bool,
}

impl Source {
    /// `None` for pages without a table.
    fn of(page: Page, query: &str) -> Option<Self> {
        let (path, taken) = match page {
            Page::Explorer => ("/v1/public/overview".to_owned(), &["range"][..]),
            Page::Devices => ("/v1/public/devices".to_owned(), &["after", "limit", "class", "online"][..]),
            Page::Device(id) => (format!("/v1/public/devices/{id}"), LIST),
            Page::PublicJobs => ("/v1/public/jobs".to_owned(), LIST),
            Page::PublicJob(id) => (format!("/v1/public/jobs/{id}"), &[][..]),
            Page::Receipts => ("/v1/public/receipts".to_owned(), LIST),
            Page::Receipt(id) => (format!("/v1/public/receipts/{id}"), &[][..]),
            Page::Search => ("/v1/public/search".to_owned(), &["q"][..]),
            Page::Landing
            | Page::Calculator
            | Page::Status
            | Page::Docs(_)
            | Page::Jobs
            | Page::NewJob
            | Page::Job(_)
            | Page::Lend
            | Page::Account => return None,
        };
        let parameters = parse_query(query).into_iter().filter(|(key, _)| taken.contains(&key.as_str())).collect();
        Some(Self { path, parameters, is_list: taken.contains(&"limit") })
    }

    fn limit(&self) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == "limit").map(|(_, value)| value.as_str())
    }

    /// Most rows of a file. `None` where the API knows best: it has one page, or refuses the limit.
    fn rows_max(&self) -> Option<usize> {
        let asked = match self.limit().filter(|_| self.is_list) {
            Some(text) => text.parse().ok().filter(|rows| *rows > 0)?,
            None => ROWS_MAX,
        };
        self.is_list.then_some(asked.min(ROWS_MAX))
    }

    fn go_on_after(&mut self, next: &str) {
        self.parameters.retain(|(key, _)| key != "after");
        self.parameters.insert(0, ("after".to_owned(), next.to_owned()));
    }

    /// Behind the path, with its question mark.
    fn query(&self) -> String {
        encode(self.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// For the API, which sends so many rows of it, or as many as it was asked for.
    fn address(&self, rows: Option<usize>) -> String {
        let Some(rows) = rows else { return format!("{}{}", self.path, self.query()) };
        let limit = rows.min(ROWS_AT_ONCE).to_string();
        let others = self.parameters.iter().filter(|(key, _)| key != "limit");
        let others = others.map(|(key, value)| (key.as_str(), value.as_str()));
        format!("{}{}", self.path, encode(others.chain([("limit", limit.as_str())])))
    }
}

fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_formula_however_its_sign_is_hidden() {
        for formula in [
            "=1+1",
            " =1+1",
            "\u{3000}＝1+1",
            "＋1",
            "\u{feff}@cmd",
            "\u{200b}-2",
            "\tx",
            "\u{a0}|calc",
            "－1",
            "\r\n=1",
        ] {
            assert_eq!(text(formula), format!("'{formula}"));
        }
        for harmless in ["RTX 4090", " RTX", "显卡", "a=b", "", "A-100"] {
            assert_eq!(text(harmless), harmless);
        }
    }

    #[test]
    fn a_files_limit_is_its_own_and_a_wrong_one_is_the_apis_to_refuse() {
        let source = |query| Source::of(Page::Receipts, query).unwrap();

        assert_eq!(source("").address(source("").rows_max()), "/v1/public/receipts?limit=500");
        assert_eq!(source("limit=700&bom=1").rows_max(), Some(700));
        assert_eq!(source("limit=9999999").rows_max(), Some(ROWS_MAX));
        assert_eq!(source("limit=0").address(source("limit=0").rows_max()), "/v1/public/receipts?limit=0");
        assert_eq!(
            Source::of(Page::Explorer, "range=7d&limit=2").unwrap().address(None),
            "/v1/public/overview?range=7d"
        );
    }
}
