use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use wire::{AccountId, Credits, ErrorCode, NewAccount, OpenedAccount};

use super::store;
use crate::app::App;
use crate::auth::{Caller, hash_secret, new_key, new_session, session_cookie};
use crate::billing;
use crate::error::{ApiResult, Refusal, invalid, unauthorized};
use crate::json::Body;
use crate::random;

const NAME_MAX: usize = 64;
/// What a development server gives a new account.
const FAUCET: Credits = Credits::from_micros(100_000_000);

/// Open an account
///
/// In development mode only: anyone may, and gets faucet credits that are worth nothing.
pub async fn open_account(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Body(request): Body<NewAccount>,
) -> ApiResult<Response> {
    if !app.config.development {
        let message = "this server is not in development mode; ask its operator for an account";
        return Err(Refusal::new(StatusCode::FORBIDDEN, ErrorCode::NotInDevelopment, message).into());
    }
    app.limits.check_account(from.ip())?;
    if request.name.chars().count() > NAME_MAX || request.name.chars().any(char::is_control) {
        return Err(invalid(
            ErrorCode::MalformedRequest,
            "name",
            "a name has at most 64 characters and no control characters",
        ));
    }
    let now = app.clock.now();
    let (millis, bytes) = random::id_parts(now);
    let account = AccountId::from_parts(millis, bytes);
    let name = if request.name.is_empty() { "New account" } else { &request.name };
    let key = new_key();
    let (token, expires_at) = new_session(now);
    let transfer = billing::faucet(app.faucet, account, FAUCET, now).map_err(anyhow::Error::from)?;

    let mut tx = app.db.begin_write().await?;
    store::insert_account(&mut tx, account, "customer", name, now).await?;
    store::insert_key(&mut tx, account, &hash_secret(&key), now).await?;
    store::insert_session(&mut tx, account, &hash_secret(&token), expires_at).await?;
    store::delete_expired_sessions(&mut tx, now).await?;
    billing::store::post(&mut tx, &transfer).await?;
    let opened = store::find_account(&mut tx, account, true).await?.ok_or_else(unauthorized)?;
    tx.commit().await?;

    let cookie = session_cookie(&token, app.config.public_url.starts_with("https:"));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(OpenedAccount { account: opened, key })).into_response())
}

/// Show the caller's account
pub async fn show_account(caller: Caller, State(app): State<App>) -> ApiResult<Json<wire::Account>> {
    let account = store::find_account(&mut *app.db.read().await?, caller.account, app.config.development).await?;
    Ok(Json(account.ok_or_else(unauthorized)?))
}

/// Sign in: a browser session for the key's account
pub async fn open_session(caller: Caller, State(app): State<App>) -> ApiResult<Response> {
    let now = app.clock.now();
    let (token, expires_at) = new_session(now);
    let mut tx = app.db.begin_write().await?;
    store::insert_session(&mut tx, caller.account, &hash_secret(&token), expires_at).await?;
    let account =
        store::find_account(&mut tx, caller.account, app.config.development).await?.ok_or_else(unauthorized)?;
    tx.commit().await?;
    let cookie = session_cookie(&token, app.config.public_url.starts_with("https:"));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(account)).into_response())
}
