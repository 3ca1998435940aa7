use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rules::billing::transfer;
use serde::Deserialize;
use store::DbConnection;
use store::codec::count;
use store::ledger::Entries;
use wire::explorer::Page;
use wire::{
    AccountId, AccountKey, AccountKind, Credits, ErrorCode, JobMovement, LedgerEntry, MadeKey, Micros, NewAccount,
    NewKey, OpenedAccount,
};

use crate::app::App;
use crate::auth::{Caller, ended_cookie, hash_secret, new_key, new_session, session_cookie, session_token};
use crate::devices::unlink;
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiError, ApiResult, Refusal, conflict, invalid, not_found, unauthorized};
use crate::http::extract::{JsonBody, PageSize, PathParam, QueryParams};
use crate::http::limits::Action;
use crate::openapi::answers::{
    ForeignOrigin, LastKey, NotInDevelopment, OutOfBounds, RateLimited, Refusals, TooManyKeys,
};
use crate::random;

const NAME_MAX: usize = 64;
const KEYS_MAX: i64 = 50;
const ENTRIES: PageSize = PageSize { usual: 50, most: 200 };
/// What a development server gives a new account.
const FAUCET: Credits = Credits::from_micros(100_000_000);

/// Open an account
///
/// In development mode only: anyone may, and gets faucet credits that are worth nothing. Sets a browser session.
#[utoipa::path(
    post,
    path = "/v1/accounts",
    tag = "account",
    request_body = NewAccount,
    responses(
        (status = 201, description = "The account, and its key, which is shown this once", body = OpenedAccount),
        Refusals<(NotInDevelopment, RateLimited, JsonBody<NewAccount>)>
    )
)]
pub async fn open_account(
    State(app): State<App>,
    from: ClientAddress,
    JsonBody(request): JsonBody<NewAccount>,
) -> ApiResult<Response> {
    if !app.config.development {
        let message = "this server is not in development mode; ask its operator for an account";
        return Err(Refusal::new(StatusCode::FORBIDDEN, ErrorCode::NotInDevelopment, message).into());
    }
    app.limits.check(Action::OpenAccount, from)?;
    check_name(&request.name)?;
    let now = app.clock.now();
    let (millis, bytes) = random::id_parts(now);
    let account = AccountId::from_parts(millis, bytes);
    let name = if request.name.is_empty() { "New account" } else { &request.name };
    let key = new_key();
    let (token, expires_at) = new_session(now);
    let transfer = transfer::faucet(app.faucet, account, FAUCET, now).map_err(anyhow::Error::from)?;

    let mut tx = app.db.begin_write().await?;
    store::accounts::insert_account(&mut tx, account, AccountKind::Customer, name, now).await?;
    insert_key(&mut tx, account, &key, "First key", now).await?;
    let hashes = (hash_secret(&token), hash_secret(&key));
    store::accounts::insert_session(&mut tx, account, (&hashes.0, &hashes.1), expires_at).await?;
    store::accounts::delete_expired_sessions(&mut tx, now).await?;
    store::ledger::post(&mut tx, &[transfer]).await?;
    let opened = store::accounts::find_account(&mut tx, account, true).await?.ok_or_else(unauthorized)?;
    tx.commit().await?;

    let cookie = session_cookie(&token, app.config.public_url.starts_with("https:"));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(OpenedAccount { account: opened, key })).into_response())
}

async fn insert_key(
    conn: &mut DbConnection,
    account: AccountId,
    key: &str,
    name: &str,
    now: Micros,
) -> store::Result<()> {
    let hint = key.get(key.len().saturating_sub(4)..).unwrap_or_default();
    store::accounts::insert_key(
        conn,
        account,
        store::accounts::NewKeyRow { key_hash: &hash_secret(key), name, hint },
        now,
    )
    .await
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        let message = "a name has at most 64 characters and no control characters";
        return Err(invalid(ErrorCode::MalformedRequest, "name", message));
    }
    Ok(())
}

/// List the account's keys
#[utoipa::path(
    get,
    path = "/v1/account/keys",
    tag = "account",
    responses((status = 200, description = "Without their secrets", body = Vec<AccountKey>), Refusals<Caller>)
)]
pub async fn list_keys(caller: Caller, State(app): State<App>) -> ApiResult<Json<Vec<AccountKey>>> {
    Ok(Json(store::accounts::list_keys(&mut *app.db.read().await?, caller.account).await?))
}

/// Make another key
#[utoipa::path(
    post,
    path = "/v1/account/keys",
    tag = "account",
    request_body = NewKey,
    responses(
        (status = 201, description = "The key with its secret, which is shown this once", body = MadeKey),
        Refusals<(Caller, ForeignOrigin, JsonBody<NewKey>, TooManyKeys)>
    )
)]
pub async fn make_key(
    caller: Caller,
    State(app): State<App>,
    JsonBody(request): JsonBody<NewKey>,
) -> ApiResult<(StatusCode, Json<MadeKey>)> {
    check_name(&request.name)?;
    let now = app.clock.now();
    let secret = new_key();
    let mut tx = app.db.begin_write().await?;
    if count(store::accounts::list_keys(&mut tx, caller.account).await?.len()) >= KEYS_MAX {
        return Err(conflict(ErrorCode::TooManyKeys, "an account has at most 50 keys; revoke one first"));
    }
    insert_key(&mut tx, caller.account, &secret, &request.name, now).await?;
    let keys = store::accounts::list_keys(&mut tx, caller.account).await?;
    let hash = hash_secret(&secret);
    let key = keys.into_iter().find(|key| key.id == store::accounts::key_id(&hash)).ok_or_else(|| not_found("key"))?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(MadeKey { key, secret })))
}

/// Revoke a key
///
/// What it has opened ends with it: sessions, event streams, and the links of devices that said it. The last key stays:
/// without it nobody could sign in again.
#[utoipa::path(
    delete,
    path = "/v1/account/keys/{id}",
    tag = "account",
    params(("id" = String, Path, description = "The key's id", example = "9f6ac1d04e8b7723")),
    responses(
        (status = 204, description = "The key opens nothing any more"),
        Refusals<(Caller, ForeignOrigin, PathParam<String>, LastKey)>
    )
)]
pub async fn revoke_key(
    caller: Caller,
    State(app): State<App>,
    PathParam(key): PathParam<String>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin_write().await?;
    let Some(key_hash) = store::accounts::delete_key(&mut tx, caller.account, &key).await? else {
        return Err(not_found("key"));
    };
    if store::accounts::list_keys(&mut tx, caller.account).await?.is_empty() {
        return Err(conflict(ErrorCode::LastKey, "this is the account's last key; make another before you revoke it"));
    }
    let devices = store::devices::list_devices_of_key(&mut tx, &key_hash).await?;
    let now = app.clock.now();
    for device in &devices {
        unlink::unlink(&mut tx, caller.account, *device, false, now).await?;
    }
    store::notices::notify(&mut tx, &app.replica, store::notices::Notice::Unlinked).await?;
    tx.commit().await?;
    unlink::disconnect(&app, &devices);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EntryParams {
    /// What `next` of the page before said.
    after: Option<String>,
    /// Rows a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// `none` for those that are about no job.
    #[param(pattern = "^(none)?$")]
    job: Option<String>,
}

/// List the account's movements of money, newest first
#[utoipa::path(
    get,
    path = "/v1/account/entries",
    tag = "account",
    params(EntryParams),
    responses(
        (status = 200, description = "One page", body = Page<LedgerEntry>),
        Refusals<(Caller, QueryParams<EntryParams>, OutOfBounds)>
    )
)]
pub async fn list_entries(
    caller: Caller,
    State(app): State<App>,
    QueryParams(params): QueryParams<EntryParams>,
) -> ApiResult<Json<Page<LedgerEntry>>> {
    let limit = ENTRIES.limit(params.limit)?;
    let after = params.after.as_deref().map(store::ledger::EntryCursor::parse);
    let after = match after {
        Some(None) => {
            let message = "pass what 'next' of the page before said, unchanged";
            return Err(invalid(ErrorCode::MalformedRequest, "after", message));
        }
        Some(Some(cursor)) => Some(cursor),
        None => None,
    };
    let which = match params.job.as_deref() {
        None | Some("") => Entries::All,
        Some("none") => Entries::WithoutJob,
        Some(_) => return Err(invalid(ErrorCode::MalformedRequest, "job", "say 'none', or leave it out")),
    };
    Ok(Json(store::ledger::list_entries(&mut *app.db.read().await?, caller.account, which, after, limit).await?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MovementParams {
    /// What `next` of the page before said.
    after: Option<String>,
    /// Rows a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List what jobs moved of the account's money, newest jobs first
///
/// A row a job: what was paid for it, and what devices of the account earned by it.
#[utoipa::path(
    get,
    path = "/v1/account/movements",
    tag = "account",
    params(MovementParams),
    responses(
        (status = 200, description = "One page", body = Page<JobMovement>),
        Refusals<(Caller, QueryParams<MovementParams>, OutOfBounds)>
    )
)]
pub async fn list_movements(
    caller: Caller,
    State(app): State<App>,
    QueryParams(params): QueryParams<MovementParams>,
) -> ApiResult<Json<Page<JobMovement>>> {
    let limit = ENTRIES.limit(params.limit)?;
    let malformed = |_malformed| invalid(ErrorCode::MalformedRequest, "after", "not a job's id");
    let after = params.after.as_deref().map(|text| text.parse().map_err(malformed)).transpose()?;
    let mut conn = app.db.read().await?;
    Ok(Json(store::movements::list_job_movements(&mut conn, caller.account, after, limit).await?))
}

/// Show the caller's account
#[utoipa::path(
    get,
    path = "/v1/account",
    tag = "account",
    responses((status = 200, description = "The account", body = wire::Account), Refusals<Caller>)
)]
pub async fn show_account(caller: Caller, State(app): State<App>) -> ApiResult<Json<wire::Account>> {
    let account =
        store::accounts::find_account(&mut *app.db.read().await?, caller.account, app.config.development).await?;
    Ok(Json(account.ok_or_else(unauthorized)?))
}

/// Sign in
///
/// A browser session for the key's account, in a cookie.
#[utoipa::path(
    post,
    path = "/v1/sessions",
    tag = "account",
    responses(
        (status = 201, description = "The account that is signed in", body = wire::Account),
        Refusals<(Caller, ForeignOrigin)>
    )
)]
pub async fn open_session(caller: Caller, State(app): State<App>) -> ApiResult<Response> {
    let now = app.clock.now();
    let (token, expires_at) = new_session(now);
    let mut tx = app.db.begin_write().await?;
    let hashes = (&*hash_secret(&token), &*caller.key_hash);
    store::accounts::insert_session(&mut tx, caller.account, hashes, expires_at).await?;
    let account = store::accounts::find_account(&mut tx, caller.account, app.config.development)
        .await?
        .ok_or_else(unauthorized)?;
    tx.commit().await?;
    let cookie = session_cookie(&token, app.config.public_url.starts_with("https:"));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(account)).into_response())
}

/// Sign out
///
/// This browser's session ends; keys stay.
#[utoipa::path(
    delete,
    path = "/v1/sessions",
    tag = "account",
    responses((status = 204, description = "The session has ended"), Refusals<(Caller, ForeignOrigin)>)
)]
pub async fn end_session(_caller: Caller, State(app): State<App>, headers: HeaderMap) -> ApiResult<Response> {
    if let Some(token) = session_token(&headers) {
        let mut tx = app.db.begin_write().await?;
        store::accounts::delete_session(&mut tx, &hash_secret(token)).await?;
        tx.commit().await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, ended_cookie())]).into_response())
}
