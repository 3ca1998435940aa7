use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use site::Handover;
use wire::device::DeviceClass;
use wire::explorer::{
    ChartRange, Hit, Overview, Page, Period, PublicDevice, PublicDevicePage, PublicJobRow, PublicReceipt,
    PublicReceiptPage, Work,
};
use wire::number::to;
use wire::{DeviceId, ErrorCode, JobId, JobState, LeaseId, Micros, PublicJob};

use crate::app::App;
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiResult, invalid, not_found};
use crate::http::extract::{PageSize, PathParam, QueryParams};
use crate::http::limits::Action;
use crate::openapi::answers::{OutOfBounds, RateLimited, Refusals};

const DAY: Micros = 86_400_000_000;
const PAGE: PageSize = PageSize { usual: 100, most: 500 };
const UPTIME_DAYS: usize = 30;
const LATEST_LEASES: i64 = 240;
/// Shorter beginnings of ids would list the whole network.
const PREFIX_MIN: usize = 4;
/// Longer questions find nothing.
const QUESTION_CHARS_MAX: usize = 64;
const HITS_MAX: i64 = 20;

/// Who asks: a page of this process, which takes the answer as it is, or somebody over HTTP.
pub struct Reader(Option<Handover>);

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

impl Reader {
    fn answer<T: Send + 'static>(self, body: T) -> Public<T> {
        match self.0 {
            Some(handover) => {
                handover.give(body);
                Public(None)
            }
            None => Public(Some(body)),
        }
    }
}

/// What everyone may read; nothing where it was handed over.
pub struct Public<T>(Option<T>);

impl<T: Serialize> IntoResponse for Public<T> {
    fn into_response(self) -> Response {
        let cache = [("cache-control", "public, max-age=2")];
        self.0.map_or_else(|| ().into_response(), |body| (cache, Json(body)).into_response())
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OverviewParams {
    /// How far back `periods` goes: `1h`, `24h`, `7d` or `30d`.
    #[param(pattern = "^(1h|24h|7d|30d)$", default = "24h")]
    range: Option<String>,
}

impl OverviewParams {
    fn range(&self) -> ApiResult<ChartRange> {
        let Some(name) = &self.range else { return Ok(ChartRange::default()) };
        let unknown =
            || invalid(ErrorCode::MalformedRequest, "range", "say '1h', '24h', '7d' or '30d', or leave it out");
        ChartRange::parse(name).ok_or_else(unknown)
    }
}

/// Periods of a range, each the sum of the shorter ones in it.
fn gathered(periods: Vec<Period>, range: ChartRange, now: Micros) -> Vec<Period> {
    let mut sums: Vec<Period> = Vec::new();
    for period in periods.into_iter().filter(|period| period.start >= range.first_period(now)) {
        let start = period.start - period.start.rem_euclid(range.period());
        match sums.last_mut().filter(|sum| sum.start == start) {
            Some(sum) => {
                sum.work = added(sum.work, period.work);
                sum.device_micros = sum.device_micros.saturating_add(period.device_micros);
                sum.offered_micros = sum.offered_micros.saturating_add(period.offered_micros);
                sum.busy_micros = sum.busy_micros.saturating_add(period.busy_micros);
                sum.capacity_kflop = sum.capacity_kflop.saturating_add(period.capacity_kflop);
            }
            None => sums.push(Period { start, ..period }),
        }
    }
    sums
}

fn added(sum: Work, work: Work) -> Work {
    Work {
        receipts: sum.receipts + work.receipts,
        tiles: sum.tiles + work.tiles,
        kflop: sum.kflop.saturating_add(work.kflop),
        cost: sum.cost.checked_add(work.cost).unwrap_or(sum.cost),
    }
}

/// Show the network now and lately
#[utoipa::path(
    get,
    path = "/v1/public/overview",
    tag = "explorer",
    params(OverviewParams),
    responses(
        (status = 200, description = "Supply, work and price", body = Overview),
        Refusals<(QueryParams<OverviewParams>, OutOfBounds)>
    )
)]
pub async fn show_overview(
    State(app): State<App>,
    reader: Reader,
    QueryParams(params): QueryParams<OverviewParams>,
) -> ApiResult<Public<Overview>> {
    let range = params.range()?;
    let now = app.clock.now();
    let mut conn = app.db.read().await?;
    let shown = store::overview::list_periods(&mut conn, range.first_period(now).min(now - 7 * DAY)).await?;
    let week: Vec<Period> = shown.iter().filter(|period| period.start >= now - 7 * DAY).copied().collect();
    let today = now - now.rem_euclid(DAY);
    let sum =
        week.iter().filter(|period| period.start >= today).fold(Work::default(), |sum, period| added(sum, period.work));
    let offered: u128 = week.iter().map(|period| u128::from(period.offered_micros)).sum();
    let busy: u128 = week.iter().map(|period| u128::from(period.busy_micros)).sum();
    let utilisation_bps = (offered > 0).then(|| to((busy * 10_000 / offered).min(10_000)));
    let mut latest_leases = store::overview::list_latest_leases(&mut conn, now - DAY, LATEST_LEASES).await?;
    latest_leases.reverse();
    Ok(reader.answer(Overview {
        at: now,
        price: app.config.price(),
        fee_bps: app.config.fee_bps,
        supply: store::overview::list_supply(&mut conn, now).await?,
        today: sum,
        utilisation_bps,
        jobs_running: store::overview::count_jobs(&mut conn, JobState::Running).await?,
        jobs_done: store::overview::count_jobs(&mut conn, JobState::Done).await?,
        period_micros: range.period(),
        periods: gathered(shown, range, now),
        latest_leases,
    }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// What `next` of the page before said.
    after: Option<String>,
    /// Rows a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<i64>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeviceParams {
    /// What `next` of the page before said.
    after: Option<String>,
    /// Rows a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<i64>,
    /// Devices of this class alone.
    #[param(value_type = Option<DeviceClass>)]
    class: Option<String>,
    /// `1` for those online alone.
    #[param(pattern = "^1?$")]
    online: Option<String>,
}

impl DeviceParams {
    fn page(&self) -> PageParams {
        PageParams { after: self.after.clone(), limit: self.limit }
    }
}

impl PageParams {
    fn limit(&self) -> ApiResult<i64> {
        PAGE.limit(self.limit)
    }

    /// Two parts of a cursor that `next` gave.
    fn after<A: std::str::FromStr, B: std::str::FromStr>(&self) -> ApiResult<Option<(A, B)>> {
        let Some(text) = &self.after else { return Ok(None) };
        let parts = text.split_once('.').and_then(|(first, second)| Some((first.parse().ok()?, second.parse().ok()?)));
        parts.map(Some).ok_or_else(|| {
            invalid(ErrorCode::MalformedRequest, "after", "pass what 'next' of the page before said, unchanged")
        })
    }
}

/// List devices by verified work
#[utoipa::path(
    get,
    path = "/v1/public/devices",
    tag = "explorer",
    params(DeviceParams),
    responses(
        (status = 200, description = "One page", body = Page<PublicDevice>),
        Refusals<(QueryParams<DeviceParams>, OutOfBounds)>
    )
)]
pub async fn list_public_devices(
    State(app): State<App>,
    reader: Reader,
    QueryParams(params): QueryParams<DeviceParams>,
) -> ApiResult<Public<Page<PublicDevice>>> {
    let class =
        match params.class.as_deref() {
            None | Some("") => None,
            Some(text) => Some(DeviceClass::ALL.into_iter().find(|class| class.name() == text).ok_or_else(|| {
                invalid(ErrorCode::MalformedRequest, "class", "a device's class is 'native' or 'tab'")
            })?),
        };
    let page = params.page();
    let online = match params.online.as_deref() {
        None | Some("") => false,
        Some("1") => true,
        Some(_) => return Err(invalid(ErrorCode::MalformedRequest, "online", "say '1', or leave it out")),
    };
    let filter = store::explorer::DeviceFilter { class, online };
    let mut conn = app.db.read().await?;
    let now = app.clock.now();
    Ok(reader.answer(store::explorer::list_public_devices(&mut conn, filter, page.after()?, page.limit()?, now).await?))
}

/// Show a device
///
/// With its last 30 days and a page of its receipts.
#[utoipa::path(
    get,
    path = "/v1/public/devices/{id}",
    tag = "explorer",
    params(("id" = DeviceId, Path, description = "The device"), PageParams),
    responses(
        (status = 200, description = "The device", body = PublicDevicePage),
        Refusals<(PathParam<DeviceId>, QueryParams<PageParams>, OutOfBounds)>
    )
)]
pub async fn show_public_device(
    State(app): State<App>,
    reader: Reader,
    PathParam(id): PathParam<DeviceId>,
    QueryParams(params): QueryParams<PageParams>,
) -> ApiResult<Public<PublicDevicePage>> {
    let now = app.clock.now();
    let mut conn = app.db.read().await?;
    let device = store::explorer::find_public_device(&mut conn, id, now).await?.ok_or_else(|| not_found("device"))?;
    let first = now.div_euclid(DAY) - (to::<i64>(UPTIME_DAYS) - 1);
    Ok(reader.answer(PublicDevicePage {
        device,
        uptime: store::explorer::list_uptime(&mut conn, id, first, UPTIME_DAYS).await?,
        uptime_from: first * DAY,
        receipts: store::explorer::list_receipts_of_device(&mut conn, id, params.after()?, params.limit()?).await?,
    }))
}

/// List published jobs, newest first
#[utoipa::path(
    get,
    path = "/v1/public/jobs",
    tag = "explorer",
    params(PageParams),
    responses(
        (status = 200, description = "One page", body = Page<PublicJobRow>),
        Refusals<(QueryParams<PageParams>, OutOfBounds)>
    )
)]
pub async fn list_public_jobs(
    State(app): State<App>,
    reader: Reader,
    QueryParams(params): QueryParams<PageParams>,
) -> ApiResult<Public<Page<PublicJobRow>>> {
    let malformed = |_malformed| invalid(ErrorCode::MalformedRequest, "after", "not a job's id");
    let after = params.after.as_deref().map(|text| text.parse().map_err(malformed)).transpose()?;
    Ok(reader.answer(store::explorer::list_public_jobs(&mut *app.db.read().await?, after, params.limit()?).await?))
}

/// Show a published job to anyone
#[utoipa::path(
    get,
    path = "/v1/public/jobs/{id}",
    tag = "explorer",
    params(("id" = JobId, Path, description = "The job")),
    responses((status = 200, description = "The job", body = PublicJob), Refusals<PathParam<JobId>>)
)]
pub async fn show_public_job(
    State(app): State<App>,
    reader: Reader,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Public<PublicJob>> {
    let job = store::explorer::find_public_job(&mut *app.db.read().await?, id).await?;
    Ok(reader.answer(job.ok_or_else(|| not_found("published job"))?))
}

/// List receipts, newest first
#[utoipa::path(
    get,
    path = "/v1/public/receipts",
    tag = "explorer",
    params(PageParams),
    responses(
        (status = 200, description = "One page", body = Page<PublicReceipt>),
        Refusals<(QueryParams<PageParams>, OutOfBounds)>
    )
)]
pub async fn list_public_receipts(
    State(app): State<App>,
    reader: Reader,
    QueryParams(params): QueryParams<PageParams>,
) -> ApiResult<Public<Page<PublicReceipt>>> {
    Ok(reader
        .answer(store::explorer::list_receipts(&mut *app.db.read().await?, params.after()?, params.limit()?).await?))
}

/// Show a receipt
///
/// What was signed is there when its job is published.
#[utoipa::path(
    get,
    path = "/v1/public/receipts/{id}",
    tag = "explorer",
    params(("id" = LeaseId, Path, description = "The receipt's lease")),
    responses((status = 200, description = "The receipt", body = PublicReceiptPage), Refusals<PathParam<LeaseId>>)
)]
pub async fn show_public_receipt(
    State(app): State<App>,
    reader: Reader,
    PathParam(id): PathParam<LeaseId>,
) -> ApiResult<Public<PublicReceiptPage>> {
    let mut conn = app.db.read().await?;
    let receipt = store::explorer::find_receipt(&mut conn, id).await?.ok_or_else(|| not_found("receipt"))?;
    let check = store::explorer::find_check(&mut conn, id).await?;
    let statement = store::explorer::find_statement(&mut conn, id).await?;
    Ok(reader.answer(PublicReceiptPage { receipt, check, statement }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchParams {
    /// Words of a name, or four characters of an id or more.
    #[param(required = true, example = "RTX 4090", max_length = 64)]
    #[serde(default)]
    q: String,
}

/// Find devices, published jobs and receipts
///
/// Jobs by the words of their names, devices by those of their hardware, everything by the beginning of its id.
#[utoipa::path(
    get,
    path = "/v1/public/search",
    tag = "explorer",
    params(SearchParams),
    responses(
        (status = 200, description = "What was found; 20 of each kind at most", body = Vec<Hit>),
        Refusals<(RateLimited, QueryParams<SearchParams>)>
    )
)]
pub async fn search(
    State(app): State<App>,
    reader: Reader,
    from: Option<ClientAddress>,
    QueryParams(params): QueryParams<SearchParams>,
) -> ApiResult<Public<Vec<Hit>>> {
    // Our own pages ask over no connection, and have a limit of their own.
    if let Some(from) = from {
        app.limits.check(Action::Search, from)?;
    }
    let question = params.q.trim();
    let words: Vec<&str> = question.split_whitespace().collect();
    if words.is_empty() || question.chars().count() > QUESTION_CHARS_MAX || question.contains(char::is_control) {
        return Ok(reader.answer(Vec::new()));
    }
    let prefix = question.to_ascii_lowercase();
    let may_be_id = prefix.len() >= PREFIX_MIN && prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let _seat = app.search_seat.acquire().await.map_err(anyhow::Error::from)?;
    let mut conn = app.db.read().await?;
    let mut hits = if may_be_id { store::search::find_by_id(&mut conn, &prefix, HITS_MAX).await? } else { Vec::new() };
    let named = store::search::find_by_name(&mut conn, &words, to(HITS_MAX)).await?;
    hits.extend(named.into_iter().filter(|hit| !hits.contains(hit)).collect::<Vec<_>>());
    Ok(reader.answer(hits))
}
