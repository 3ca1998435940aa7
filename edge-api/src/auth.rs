//! Who asks: an account's key, or a browser session.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use site::cookie;
use store::DbConnection;
use wire::{AccountId, ErrorCode, Micros};

use crate::app::App;
use crate::http::error::{ApiError, Refusal, unauthorized, unknown_key};
use crate::random;

pub const SESSION_COOKIE: &str = "tessera_session";
const SESSION_SECS: i64 = 30 * 24 * 3600;

/// An account that has shown its key or session.
#[derive(Clone, Debug)]
pub struct Caller {
    pub account: AccountId,
    /// Hash of the key that it showed, or that its session was opened with.
    pub key_hash: String,
    /// Hash of its session's token; `None` where it showed a key.
    session_hash: Option<String>,
}

impl Caller {
    async fn of_key(conn: &mut DbConnection, key_hash: String) -> anyhow::Result<Option<Self>> {
        let account = store::accounts::find_account_by_key(conn, &key_hash).await?;
        Ok(account.map(|account| Self { account, key_hash, session_hash: None }))
    }

    async fn of_session(conn: &mut DbConnection, session_hash: String, now: Micros) -> anyhow::Result<Option<Self>> {
        let found = store::accounts::find_account_by_session(conn, &session_hash, now).await?;
        Ok(found.map(|(account, key_hash)| Self { account, key_hash, session_hash: Some(session_hash) }))
    }

    /// Whether its key or session still opens the account: for what goes on long after it was asked.
    pub async fn is_still_let_in(&self, app: &App) -> anyhow::Result<bool> {
        let mut conn = app.db.read().await?;
        let found = match &self.session_hash {
            Some(session) => Self::of_session(&mut conn, session.clone(), app.clock.now()).await?,
            None => Self::of_key(&mut conn, self.key_hash.clone()).await?,
        };
        Ok(found.is_some_and(|caller| caller.account == self.account))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let mut conn = app.db.read().await?;
        if let Some(key) = bearer(&parts.headers) {
            return Self::of_key(&mut conn, hash_secret(key)).await?.ok_or_else(unknown_key);
        }
        let token = cookie(&parts.headers, SESSION_COOKIE).ok_or_else(unauthorized)?;
        if !matches!(parts.method, Method::GET | Method::HEAD) && !same_origin(&parts.headers) {
            let message = "this request came from another site's page; use the portal, or a key";
            return Err(Refusal::new(StatusCode::FORBIDDEN, ErrorCode::ForeignOrigin, message).into());
        }
        Self::of_session(&mut conn, hash_secret(token), app.clock.now()).await?.ok_or_else(unauthorized)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// A browser names its page's origin on every request that may write; it must be ours.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}

/// A fresh key: 256 random bits behind a prefix that secret scanners can find.
pub fn new_key() -> String {
    format!("tsk_{}", wire::TileHash(random::bytes()))
}

/// A fresh session: its token, and when it ends.
pub fn new_session(now: Micros) -> (String, Micros) {
    (wire::TileHash(random::bytes()).to_string(), now + SESSION_SECS * 1_000_000)
}

pub fn session_cookie(token: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SESSION_SECS}{secure}")
}

/// What makes a browser forget its session.
pub fn ended_cookie() -> String {
    format!("{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// The session's token that a browser sent.
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, SESSION_COOKIE)
}

/// How a key or a token is stored. Both are random, so a fast hash is enough.
pub fn hash_secret(secret: &str) -> String {
    wire::TileHash(blake3::derive_key("tessera.dev 2026-11-22 secret at rest", secret.as_bytes())).to_string()
}
