use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rules::admission::{self, AdmitError};
use rules::scheduling::link::Grant;
use rules::scheduling::slices;
use serde::Deserialize;
use store::DbConnection;
use store::codec::count;
use store::jobs::Submission;
use wire::{
    AccountId, BlobHash, ErrorCode, Job, JobDetail, JobEventKind, JobId, JobPage, JobState, KernelToCheck,
    ModelToCheck, QuoteRequest, SliceId, SubmitJob, TileHash,
};

use super::disputes;
use super::obstacle;
use super::order;
use crate::app::App;
use crate::auth::Caller;
use crate::fleet::scheduler::lease_grant;
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiError, ApiResult, conflict, invalid, not_found};
use crate::http::extract::{JsonBody, PageSize, PathParam, QueryParams};
use crate::http::limits::{Action, Entry};
use crate::openapi::answers::{
    ForeignOrigin, IdempotencyConflict, InvalidKernel, InvalidOrder, JobEnded, NoDeviceFits, NotPayable, OutOfBounds,
    RateLimited, Refusals,
};
use crate::programs::{infer, map};
use crate::random;
use crate::retry::retry;
use crate::traces::Span;

const SEARCH_CHARS_MAX: usize = 128;
const PAGE: PageSize = PageSize { usual: 20, most: 100 };
const EVENTS_MAX: i64 = 200;
const RECEIPTS_MAX: i64 = 100;
/// How long a trial's lease opens its blobs.
const TRIAL: wire::Micros = 600_000_000;

/// Check a kernel without running it
///
/// Refuses with the line and column of what is wrong.
#[utoipa::path(
    post,
    path = "/v1/kernels/check",
    tag = "jobs",
    request_body = KernelToCheck,
    responses(
        (status = 200, description = "What the gate says of the kernel", body = wire::KernelReport),
        Refusals<(RateLimited, JsonBody<KernelToCheck>, InvalidKernel)>
    )
)]
pub async fn check_kernel(
    State(app): State<App>,
    from: ClientAddress,
    JsonBody(request): JsonBody<KernelToCheck>,
) -> ApiResult<Json<wire::KernelReport>> {
    app.limits.check(Action::CheckKernel, from)?;
    let KernelToCheck { kernel, record_bytes, out_bytes, fuel } = request;
    let contract = map::contract(record_bytes, out_bytes, fuel)?;
    Ok(Json(map::report(&app, kernel, contract).await?))
}

/// Check a model without rows
///
/// Says what it takes and answers, or refuses with why it cannot run.
#[utoipa::path(
    post,
    path = "/v1/models/check",
    tag = "jobs",
    request_body = ModelToCheck,
    responses(
        (status = 200, description = "What the planner says of the model", body = wire::ModelReport),
        Refusals<(Caller, ForeignOrigin, RateLimited, JsonBody<ModelToCheck>, InvalidOrder)>
    )
)]
pub async fn check_model(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
    JsonBody(request): JsonBody<ModelToCheck>,
) -> ApiResult<Json<wire::ModelReport>> {
    let _order = begin_order(&app, &caller, from)?;
    Ok(Json(infer::report(&app, caller.account, request.model).await?))
}

/// Counts an order, which is read and planned while the answer is waited for.
fn begin_order(app: &App, caller: &Caller, from: ClientAddress) -> Result<Entry<AccountId>, ApiError> {
    app.limits.check(Action::Order, from)?;
    app.limits.check(Action::Order, caller.account)?;
    app.limits.orders.enter(caller.account, "orders of an account are read")
}

/// Quote a job
///
/// Reads the program and its data, and says what the job would be and cost. Nothing is held.
#[utoipa::path(
    post,
    path = "/v1/quotes",
    tag = "jobs",
    request_body = QuoteRequest,
    responses(
        (status = 200, description = "The quote, at the present price", body = wire::Quote),
        Refusals<(Caller, ForeignOrigin, RateLimited, JsonBody<QuoteRequest>, InvalidOrder, NoDeviceFits)>
    )
)]
pub async fn quote_job(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
    JsonBody(request): JsonBody<QuoteRequest>,
) -> ApiResult<Json<wire::Quote>> {
    let _order = begin_order(&app, &caller, from)?;
    let job = order::admit(&app, &caller, request.program, request.privacy).await?;
    let census = order::take_census(&app, &job)?;
    let obstacle = obstacle::of_order(&app, &job).await?;
    Ok(Json(order::quote(&app, &job, census, obstacle)?))
}

/// Try a job's first tile on a device of one's own
///
/// Answers with a lease of that tile, for ten minutes and for nothing: no job is made, nothing is held,
/// and what is computed stays with the caller.
#[utoipa::path(
    post,
    path = "/v1/trials",
    tag = "jobs",
    request_body = QuoteRequest,
    responses(
        (status = 200, description = "The lease", body = wire::LeaseGrant),
        Refusals<(Caller, ForeignOrigin, RateLimited, JsonBody<QuoteRequest>, InvalidOrder)>
    )
)]
pub async fn try_job(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
    JsonBody(request): JsonBody<QuoteRequest>,
) -> ApiResult<Json<wire::LeaseGrant>> {
    app.limits.check(Action::Trial, from)?;
    app.limits.check(Action::Trial, caller.account)?;
    let _order = begin_order(&app, &caller, from)?;
    let job = order::admit(&app, &caller, request.program, request.privacy).await?;
    let now = app.clock.now();
    let grant =
        Grant { lease: wire::LeaseId(random::bytes()), slice: None, tiles: 0..1, deadline: now + TRIAL, nudge: None };
    Ok(Json(lease_grant(&app.secret, None, &job, &grant, now)))
}

/// Submit a job
///
/// Holds the quoted cost. A retry with the same `Idempotency-Key` gets the first answer, with 200 instead
/// of 201.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the order, in 1 to 128 visible characters without spaces", max_length = 128, example = "november-photos-1")),
    request_body = SubmitJob,
    responses(
        (status = 201, description = "The job", body = Job),
        (status = 200, description = "The job that this idempotency key made before", body = Job),
        Refusals<(Caller, ForeignOrigin, RateLimited, JsonBody<SubmitJob>, OutOfBounds, InvalidOrder, NoDeviceFits, NotPayable, IdempotencyConflict)>
    )
)]
pub async fn submit_job(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
    headers: HeaderMap,
    JsonBody(request): JsonBody<SubmitJob>,
) -> ApiResult<(StatusCode, Json<Job>)> {
    let from_micros = app.clock.now();
    admission::check_name(&request.name)?;
    admission::check_file_names(&request.program, &request.file_names)?;
    admission::deadline(from_micros, request.deadline_seconds)?;
    let key = idempotency_key(&headers)?;
    let request_hash = TileHash(*blake3::hash(&serde_json::to_vec(&request).map_err(anyhow::Error::from)?).as_bytes());
    if let Some(job) = find_repeated(&mut *app.db.read().await?, &caller, &key, request_hash).await? {
        return Ok((StatusCode::OK, Json(job)));
    }
    let _order = begin_order(&app, &caller, from)?;
    let job = order::admit(&app, &caller, request.program.clone(), request.privacy).await?;
    order::take_census(&app, &job)?;
    let cost = admission::cost(&job)?;
    admission::check_limit(cost, request.limit)?;

    let now = app.clock.now();
    let submission = Submission {
        idempotency_key: &key,
        request_hash,
        name: &request.name,
        program: &request.program,
        hold: cost,
        deadline: admission::deadline(now, request.deadline_seconds)?,
        file_names: &request.file_names,
        now,
    };
    let (status, job) = retry(|| write_submission(&app, &caller, &job, &submission)).await?;
    app.scheduler.work.notify_one();
    app.traces.submitted(job.id, Span { from: from_micros, until: app.clock.now() });
    Ok((status, Json(job)))
}

/// Rows are locked in the order that [`crate::retry`] names.
async fn write_submission(
    app: &App,
    caller: &Caller,
    job: &rules::Job,
    submission: &Submission<'_>,
) -> ApiResult<(StatusCode, Job)> {
    let (now, cost) = (submission.now, submission.hold);
    let mut tx = app.db.begin_write().await?;
    if !store::jobs::insert_job(&mut tx, job, submission).await? {
        // The same request came in twice at once, and the other was first.
        let first = find_repeated(&mut tx, caller, submission.idempotency_key, submission.request_hash).await?;
        return Ok((StatusCode::OK, first.ok_or_else(|| not_found("job"))?));
    }
    keep_blobs(&mut tx, job, now).await?;
    insert_slices(&mut tx, job, now).await?;
    store::job_detail::insert_event(&mut tx, job.id, JobEventKind::Submitted, None, now).await?;
    if !store::ledger::hold(&mut tx, job.id, caller.account, cost).await? {
        return Err(AdmitError::InsufficientFunds { cost }.into());
    }
    let written = store::jobs::find_job(&mut tx, caller.account, job.id).await?.ok_or_else(|| not_found("job"))?;
    store::notices::notify(&mut tx, &app.replica, store::notices::Notice::Work).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, written))
}

/// What the job needs stays. In the order of their hashes, in which everybody locks them.
async fn keep_blobs(conn: &mut DbConnection, job: &rules::Job, now: wire::Micros) -> Result<(), ApiError> {
    let sources = job.sources.iter().map(|source| source.blob);
    let blobs: BTreeSet<BlobHash> = job.task.blobs().into_iter().chain(sources).collect();
    for blob in blobs {
        if !store::blobs::insert_job_blob(conn, job.id, blob, now).await? {
            // It was deleted while the order was read.
            return Err(AdmitError::UnknownBlob { field: "program".to_owned() }.into());
        }
    }
    Ok(())
}

async fn insert_slices(conn: &mut DbConnection, job: &rules::Job, now: wire::Micros) -> store::Result<()> {
    for tiles in slices(job.tile_count()) {
        let (millis, bytes) = random::id_parts(now);
        let (id, len) = (SliceId::from_parts(millis, bytes), tiles.end - tiles.start);
        store::slices::insert_slice(conn, id, job.id, tiles.start, len).await?;
    }
    Ok(())
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(wire::Nonce(random::bytes()).to_string());
    };
    let key = value.to_str().ok().filter(|key| (1..=128).contains(&key.len()));
    let key = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    let message = "an idempotency key has 1 to 128 visible characters, and no spaces";
    key.map(str::to_owned).ok_or_else(|| invalid(ErrorCode::MalformedRequest, "idempotency-key", message))
}

async fn find_repeated(
    conn: &mut DbConnection,
    caller: &Caller,
    key: &str,
    request_hash: TileHash,
) -> Result<Option<Job>, ApiError> {
    let Some((job, first_hash)) = store::jobs::find_job_by_idempotency_key(conn, caller.account, key).await? else {
        return Ok(None);
    };
    if first_hash != request_hash {
        return Err(conflict(
            ErrorCode::IdempotencyConflict,
            "this idempotency key was used for another job; use a fresh one",
        ));
    }
    Ok(store::jobs::find_job(conn, caller.account, job).await?)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// What `next` of the page before said.
    #[param(value_type = Option<JobId>)]
    before: Option<String>,
    /// Jobs a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// Jobs in this state alone.
    #[param(value_type = Option<JobState>)]
    state: Option<String>,
    /// A part of the name, or the beginning of the id.
    q: Option<String>,
}

/// List the caller's jobs, newest first
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    params(ListParams),
    responses(
        (status = 200, description = "One page", body = JobPage),
        Refusals<(Caller, QueryParams<ListParams>, OutOfBounds)>
    )
)]
pub async fn list_jobs(
    caller: Caller,
    State(app): State<App>,
    QueryParams(params): QueryParams<ListParams>,
) -> ApiResult<Json<JobPage>> {
    let malformed = |_malformed| invalid(ErrorCode::MalformedRequest, "before", "not a job's id");
    let before = params.before.map(|text| text.parse().map_err(malformed)).transpose()?;
    let limit = PAGE.limit(params.limit)?;
    let state = match params.state.as_deref() {
        None | Some("") => None,
        Some(text) => Some(JobState::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let message = "a job's state is 'running', 'done', 'cancelled', 'nondeterministic' or 'failed'";
            invalid(ErrorCode::MalformedRequest, "state", message)
        })?),
    };
    let search = params.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if search.is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
        return Err(invalid(ErrorCode::MalformedRequest, "q", "search for at most 128 characters"));
    }
    let filter = store::jobs::JobFilter { state, search };
    let mut jobs =
        store::jobs::list_jobs(&mut *app.db.read().await?, caller.account, filter, before, limit + 1).await?;
    let more = count(jobs.len()) > limit;
    if more {
        jobs.pop();
    }
    let next = jobs.last().filter(|_| more).map(|job| job.id);
    Ok(Json(JobPage { jobs, next }))
}

/// Show a job
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses((status = 200, description = "The job", body = Job), Refusals<(Caller, PathParam<JobId>)>)
)]
pub async fn show_job(caller: Caller, State(app): State<App>, PathParam(id): PathParam<JobId>) -> ApiResult<Json<Job>> {
    let job = store::jobs::find_job(&mut *app.db.read().await?, caller.account, id).await?;
    Ok(Json(job.ok_or_else(|| not_found("job"))?))
}

/// Show who computed a job, how fast, and what happened
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/detail",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "Devices, throughput, events and the latest receipts", body = JobDetail),
        Refusals<(Caller, PathParam<JobId>)>
    )
)]
pub async fn show_job_detail(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Json<JobDetail>> {
    let mut conn = app.db.read().await?;
    let job = store::jobs::find_job(&mut conn, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
    let now = app.clock.now();
    let recorded = disputes::find(&mut conn, &job).await?;
    let mut detail = JobDetail {
        at: now,
        devices: store::shares::list_shares(&mut conn, id).await?,
        throughput: store::job_detail::list_throughput(&mut conn, id, job.created_at, job.ended_at.unwrap_or(now))
            .await?,
        events: store::job_detail::list_events(&mut conn, id, EVENTS_MAX).await?,
        receipts: store::job_detail::list_latest_receipts(&mut conn, id, RECEIPTS_MAX).await?,
        disputes: Vec::new(),
    };
    drop(conn);
    detail.disputes = disputes::show_all(&app, &job, recorded).await?;
    Ok(Json(detail))
}

/// Cancel a job
///
/// What is verified is paid and the rest of the hold is free again. Cancelling twice is once.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses(
        (status = 200, description = "The cancelled job", body = Job),
        Refusals<(Caller, ForeignOrigin, PathParam<JobId>, JobEnded)>
    )
)]
pub async fn cancel_job(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Json<Job>> {
    let job = retry(|| write_cancelled(&app, &caller, id)).await?;
    app.scheduler.end_job(app.clock.now(), id);
    app.scheduler.job_changed(id);
    Ok(Json(job))
}

async fn write_cancelled(app: &App, caller: &Caller, id: JobId) -> ApiResult<Job> {
    let mut tx = app.db.begin_write().await?;
    let job = store::jobs::find_job(&mut tx, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
    if job.state == JobState::Cancelled {
        return Ok(job);
    }
    let now = app.clock.now();
    if !store::job_progress::cancel_job(&mut tx, id, now).await? {
        return Err(conflict(ErrorCode::JobEnded, "this job has ended; there is nothing to cancel"));
    }
    store::ledger::release_and_post(&mut tx, id, &[]).await?;
    store::job_detail::insert_event(&mut tx, id, JobEventKind::Cancelled, None, now).await?;
    let job = store::jobs::find_job(&mut tx, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
    store::notices::notify(&mut tx, &app.replica, store::notices::Notice::JobEnded(id)).await?;
    tx.commit().await?;
    Ok(job)
}

/// Publish a job on the explorer
///
/// Its name, its program, its rows and its devices are everyone's to read.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/publish",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses((status = 200, description = "The job", body = Job), Refusals<(Caller, ForeignOrigin, PathParam<JobId>)>)
)]
pub async fn publish_job(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Json<Job>> {
    set_published(&app, &caller, id, true).await
}

/// Take a job off the explorer
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/unpublish",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job")),
    responses((status = 200, description = "The job", body = Job), Refusals<(Caller, ForeignOrigin, PathParam<JobId>)>)
)]
pub async fn unpublish_job(
    caller: Caller,
    State(app): State<App>,
    PathParam(id): PathParam<JobId>,
) -> ApiResult<Json<Job>> {
    set_published(&app, &caller, id, false).await
}

async fn set_published(app: &App, caller: &Caller, id: JobId, published: bool) -> ApiResult<Json<Job>> {
    let mut tx = app.db.begin_write().await?;
    if store::jobs::publish_job(&mut tx, caller.account, id, published).await? {
        let kind = if published { JobEventKind::Published } else { JobEventKind::Unpublished };
        store::job_detail::insert_event(&mut tx, id, kind, None, app.clock.now()).await?;
    }
    let job = store::jobs::find_job(&mut tx, caller.account, id).await?.ok_or_else(|| not_found("job"))?;
    store::notices::notify(&mut tx, &app.replica, store::notices::Notice::Published).await?;
    tx.commit().await?;
    // What was taken back is not shown a moment longer, and what was published at once.
    app.publications.send_modify(|publications| *publications += 1);
    Ok(Json(job))
}
