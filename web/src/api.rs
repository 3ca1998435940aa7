//! The API as pages use it: in process on the server, over HTTP in the browser.

use serde::de::DeserializeOwned;
use wire::{
    Account, ErrorBody, ErrorCode, Job, JobId, JobProgress, NewAccount, OpenedAccount, PublicJob, Quote, QuoteRequest,
    SubmitJob,
};

/// Why a page has no answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Failure {
    /// The server said no, and why.
    Refused { status: u16, body: ErrorBody },
    /// No answer came, or not ours.
    Unreachable,
}

impl Failure {
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { body, .. } => Some(body.code),
            Self::Unreachable => None,
        }
    }

    pub fn is_field(&self, field: &str) -> bool {
        matches!(self, Self::Refused { body, .. } if body.field.as_deref() == Some(field))
    }

    /// What to tell a person.
    pub fn message(&self) -> String {
        match self {
            Self::Refused { body, .. } => body.message.clone(),
            Self::Unreachable => crate::text::text().server_failed.to_owned(),
        }
    }
}

fn parse<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Failure> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_err(|_not_ours| Failure::Unreachable);
    }
    match serde_json::from_slice(body) {
        Ok(body) => Err(Failure::Refused { status, body }),
        Err(_not_ours) => Err(Failure::Unreachable),
    }
}

pub async fn account() -> Result<Account, Failure> {
    get("/v1/account").await
}

pub async fn job_progress(id: JobId) -> Result<JobProgress, Failure> {
    get(&format!("/v1/jobs/{id}/progress")).await
}

pub async fn public_job(id: JobId) -> Result<PublicJob, Failure> {
    get(&format!("/v1/public/jobs/{id}")).await
}

pub async fn open_account() -> Result<OpenedAccount, Failure> {
    post("/v1/accounts", &NewAccount::default()).await
}

pub async fn quote(request: &QuoteRequest) -> Result<Quote, Failure> {
    post("/v1/quotes", request).await
}

pub async fn cancel(id: JobId) -> Result<Job, Failure> {
    post(&format!("/v1/jobs/{id}/cancel"), &()).await
}

pub async fn set_published(id: JobId, published: bool) -> Result<Job, Failure> {
    let verb = if published { "publish" } else { "unpublish" };
    post(&format!("/v1/jobs/{id}/{verb}"), &()).await
}

/// Where a job's events come from.
pub fn events_path(id: JobId) -> String {
    format!("/v1/jobs/{id}/events")
}

/// Where a done job's result comes from.
pub fn result_path(id: JobId) -> String {
    format!("/v1/jobs/{id}/result")
}

pub use transport::{Server, sign_in, submit, upload};
use transport::{get, post};

#[cfg(feature = "ssr")]
mod transport {
    use std::pin::Pin;
    use std::sync::Arc;

    use leptos::prelude::use_context;
    use serde::Serialize;

    use super::{Account, DeserializeOwned, Failure, Job, SubmitJob, parse};

    type Answer = Pin<Box<dyn Future<Output = (u16, Vec<u8>)> + Send>>;

    /// The API of this very process, with the caller's cookie where the page may know it.
    #[derive(Clone)]
    pub struct Server(pub Arc<dyn Fn(String) -> Answer + Send + Sync>);

    pub(super) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Failure> {
        let server = use_context::<Server>().ok_or(Failure::Unreachable)?;
        let (status, body) = (server.0)(path.to_owned()).await;
        parse(status, &body)
    }

    // The server renders; what changes something comes from the browser.

    pub(super) async fn post<T>(_path: &str, _body: &impl Serialize) -> Result<T, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub async fn upload(_file: web_sys::File) -> Result<wire::Blob, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub async fn submit(_request: &SubmitJob, _idempotency_key: &str) -> Result<Job, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub async fn sign_in(_key: &str) -> Result<Account, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }
}

#[cfg(not(feature = "ssr"))]
mod transport {
    use gloo_net::http::{Request, Response};
    use send_wrapper::SendWrapper;
    use serde::Serialize;

    use super::{Account, DeserializeOwned, Failure, Job, SubmitJob, parse};

    /// The browser needs none: it asks where the page came from.
    #[derive(Clone)]
    pub struct Server;

    fn unreachable(_error: gloo_net::Error) -> Failure {
        Failure::Unreachable
    }

    async fn read<T: DeserializeOwned>(response: Result<Response, gloo_net::Error>) -> Result<T, Failure> {
        let response = response.map_err(unreachable)?;
        let body = response.binary().await.map_err(unreachable)?;
        parse(response.status(), &body)
    }

    pub(super) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Failure> {
        SendWrapper::new(async { read(Request::get(path).send().await).await }).await
    }

    pub(super) async fn post<T: DeserializeOwned>(path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let request = Request::post(path).json(body).map_err(unreachable)?;
        read(request.send().await).await
    }

    pub async fn upload(file: web_sys::File) -> Result<wire::Blob, Failure> {
        let request = Request::post("/v1/blobs")
            .header("content-type", "application/octet-stream")
            .body(file)
            .map_err(unreachable)?;
        read(request.send().await).await
    }

    pub async fn submit(request: &SubmitJob, idempotency_key: &str) -> Result<Job, Failure> {
        let request =
            Request::post("/v1/jobs").header("idempotency-key", idempotency_key).json(request).map_err(unreachable)?;
        read(request.send().await).await
    }

    pub async fn sign_in(key: &str) -> Result<Account, Failure> {
        let request = Request::post("/v1/sessions")
            .header("authorization", &format!("Bearer {key}"))
            .build()
            .map_err(unreachable)?;
        read(request.send().await).await
    }
}
