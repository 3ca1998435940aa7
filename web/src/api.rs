//! The API as pages and islands use it: in process on the server, over HTTP in the browser.

use serde::de::DeserializeOwned;
use wire::explorer::{
    ChartRange, Hit, Overview, Page, PublicDevice, PublicDevicePage, PublicJobRow, PublicReceipt, PublicReceiptPage,
};
use wire::status::NetworkStatus;
use wire::{
    Account, AccountKey, ArraysToMake, BlobHash, DeviceCode, DeviceId, ErrorBody, ErrorCode, Job, JobDetail, JobId,
    JobMovement, JobPage, JobPreview, JobProgress, KernelReport, KernelToCheck, LeaseId, LedgerEntry, MadeArrays,
    MadeKey, NewAccount, NewKey, OpenedAccount, Place, PublicJob, Quote, QuoteRequest, SubmitJob,
};

/// Why a call of the API gave no result.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Failure {
    /// The server said no, and why.
    Refused { status: u16, body: ErrorBody },
    /// No answer, or one that is not the API's.
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

    /// Where in a kernel's text the error lies.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Refused { body, .. } => body.place,
            Self::Unreachable => None,
        }
    }

    /// The caller has no session, or it has ended.
    pub fn is_unauthorized(&self) -> bool {
        self.code() == Some(ErrorCode::Unauthorized)
    }

    /// The same may be answered otherwise in a while.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Unreachable => true,
        }
    }

    /// What to tell a person.
    pub fn message(&self) -> String {
        match self {
            Self::Refused { body, .. } => crate::text::refusal(body),
            Self::Unreachable => crate::text::text().site.server_failed.to_owned(),
        }
    }
}

/// Reads of the API.
#[derive(Clone, Default)]
pub struct Api {
    #[cfg(feature = "ssr")]
    server: Option<Server>,
}

impl Api {
    pub async fn account(&self) -> Result<Account, Failure> {
        self.get("/v1/account").await
    }

    pub async fn keys(&self) -> Result<Vec<AccountKey>, Failure> {
        self.get("/v1/account/keys").await
    }

    /// `query` begins with its question mark, or is empty.
    pub async fn entries(&self, query: &str) -> Result<Page<LedgerEntry>, Failure> {
        self.get(&format!("/v1/account/entries{query}")).await
    }

    /// What jobs moved, a row a job.
    pub async fn movements(&self, query: &str) -> Result<Page<JobMovement>, Failure> {
        self.get(&format!("/v1/account/movements{query}")).await
    }

    pub async fn devices(&self) -> Result<Vec<PublicDevice>, Failure> {
        self.get("/v1/devices").await
    }

    pub async fn jobs(&self, query: &str) -> Result<JobPage, Failure> {
        self.get(&format!("/v1/jobs{query}")).await
    }

    pub async fn job(&self, id: JobId) -> Result<Job, Failure> {
        self.get(&format!("/v1/jobs/{id}")).await
    }

    pub async fn job_progress(&self, id: JobId) -> Result<JobProgress, Failure> {
        self.get(&format!("/v1/jobs/{id}/progress")).await
    }

    pub async fn job_detail(&self, id: JobId) -> Result<JobDetail, Failure> {
        self.get(&format!("/v1/jobs/{id}/detail")).await
    }

    pub async fn job_preview(&self, id: JobId) -> Result<JobPreview, Failure> {
        self.get(&format!("/v1/jobs/{id}/preview")).await
    }

    pub async fn status(&self) -> Result<NetworkStatus, Failure> {
        self.get("/v1/public/status").await
    }

    pub async fn overview(&self) -> Result<Overview, Failure> {
        self.get("/v1/public/overview").await
    }

    /// With the figures of a chosen time.
    pub async fn overview_of(&self, range: ChartRange) -> Result<Overview, Failure> {
        self.get(&format!("/v1/public/overview?range={}", range.name())).await
    }

    pub async fn public_devices(&self, query: &str) -> Result<Page<PublicDevice>, Failure> {
        self.get(&format!("/v1/public/devices{query}")).await
    }

    pub async fn public_device(&self, id: DeviceId, query: &str) -> Result<PublicDevicePage, Failure> {
        self.get(&format!("/v1/public/devices/{id}{query}")).await
    }

    /// A device's latest receipts, for islands alone: a page in process is given the whole answer. The rest of that is not
    /// parsed: in the browser that would be 2 kB more to load.
    pub async fn device_receipts(&self, id: DeviceId) -> Result<Vec<PublicReceipt>, Failure> {
        #[derive(serde::Deserialize)]
        struct Receipts {
            receipts: Page<PublicReceipt>,
        }
        let page: Receipts = self.get(&format!("/v1/public/devices/{id}?limit=50")).await?;
        Ok(page.receipts.rows)
    }

    pub async fn public_jobs(&self, query: &str) -> Result<Page<PublicJobRow>, Failure> {
        self.get(&format!("/v1/public/jobs{query}")).await
    }

    pub async fn public_job(&self, id: JobId) -> Result<PublicJob, Failure> {
        self.get(&format!("/v1/public/jobs/{id}")).await
    }

    pub async fn receipts(&self, query: &str) -> Result<Page<PublicReceipt>, Failure> {
        self.get(&format!("/v1/public/receipts{query}")).await
    }

    pub async fn receipt(&self, id: LeaseId) -> Result<PublicReceiptPage, Failure> {
        self.get(&format!("/v1/public/receipts/{id}")).await
    }

    pub async fn search(&self, query: &str) -> Result<Vec<Hit>, Failure> {
        self.get(&format!("/v1/public/search{query}")).await
    }
}

fn parse<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Failure> {
    // As text, like an island's properties: reading bytes would put a second JSON parser into the bundle.
    let text = std::str::from_utf8(if status == 204 { b"null" } else { body }).unwrap_or_default();
    if (200..300).contains(&status) {
        return serde_json::from_str(text).map_err(|_not_ours| Failure::Unreachable);
    }
    match serde_json::from_str(text) {
        Ok(body) => Err(Failure::Refused { status, body }),
        Err(_not_ours) => Err(Failure::Unreachable),
    }
}

pub async fn open_account() -> Result<OpenedAccount, Failure> {
    post("/v1/accounts", &NewAccount::default()).await
}

pub async fn quote(request: &QuoteRequest) -> Result<Quote, Failure> {
    post("/v1/quotes", request).await
}

/// Has the arrays made of an uploaded file that a model reads.
pub async fn make_arrays(request: &ArraysToMake) -> Result<MadeArrays, Failure> {
    post("/v1/arrays", request).await
}

pub async fn cancel(id: JobId) -> Result<Job, Failure> {
    post(&format!("/v1/jobs/{id}/cancel"), &()).await
}

pub async fn set_published(id: JobId, published: bool) -> Result<Job, Failure> {
    let verb = if published { "publish" } else { "unpublish" };
    post(&format!("/v1/jobs/{id}/{verb}"), &()).await
}

pub async fn make_device_code() -> Result<DeviceCode, Failure> {
    post("/v1/device-codes", &()).await
}

pub async fn make_key(request: &NewKey) -> Result<MadeKey, Failure> {
    post("/v1/account/keys", request).await
}

pub async fn revoke_key(id: &str) -> Result<(), Failure> {
    delete(&format!("/v1/account/keys/{id}")).await
}

pub async fn unlink_device(id: DeviceId) -> Result<(), Failure> {
    delete(&format!("/v1/devices/{id}")).await
}

pub async fn sign_out() -> Result<(), Failure> {
    delete("/v1/sessions").await
}

pub async fn check_kernel(request: &KernelToCheck) -> Result<KernelReport, Failure> {
    post("/v1/kernels/check", request).await
}

/// A lease of a draft's first tile, in the form that the worker takes.
pub async fn trial(request: &QuoteRequest) -> Result<String, Failure> {
    post_for_text("/v1/trials", request).await
}

/// Whether these characters can stand in a header, as a key does. None that the server makes has others.
#[cfg(any(test, not(feature = "ssr")))]
fn could_be_key(typed: &str) -> bool {
    typed.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the server says of a key that nobody has.
#[cfg(not(feature = "ssr"))]
fn no_such_key() -> Failure {
    let message = "no account has this key".to_owned();
    let body = ErrorBody { code: ErrorCode::Unauthorized, message, field: None, place: None, detail: None };
    Failure::Refused { status: 401, body }
}

/// Where a job's events come from.
pub fn events_path(id: JobId) -> String {
    format!("/v1/jobs/{id}/events")
}

/// Where a done job's result comes from, as `npy`, `npz`, `csv`, `json` or `bin`.
pub fn result_path(id: JobId, format: &str) -> String {
    format!("/v1/jobs/{id}/result?format={format}")
}

/// Where a file of the caller's own comes from, to be saved under this name. Browsers that follow it to the store of files
/// leave their session here.
pub fn file_link(hash: BlobHash, name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("/v1/blobs/{hash}?redirect=true&name={}", name.bytes().map(escape).collect::<String>())
}

/// Where one of a result's rows comes from as a picture.
pub fn picture_path(id: JobId, output: usize, row: u64) -> String {
    format!("/v1/jobs/{id}/preview/picture?output={output}&row={row}")
}

/// Where what is verified of a job comes from, as `npz`.
pub fn partial_result_path(id: JobId) -> String {
    format!("/v1/jobs/{id}/result?partial=true")
}

#[cfg(feature = "ssr")]
pub use transport::{Answered, Server};
pub use transport::{blob_text, sample, sign_in, submit, upload};
use transport::{delete, post, post_for_text};

#[cfg(feature = "ssr")]
mod transport {
    use std::any::Any;
    use std::pin::Pin;
    use std::sync::Arc;

    use serde::Serialize;

    use super::{Account, Api, BlobHash, DeserializeOwned, Failure, Job, SubmitJob, parse};

    /// What the API answered.
    pub enum Answered {
        /// The very value, from a handler that can hand it over.
        Value(Box<dyn Any + Send>),
        /// A status, and what an answer over HTTP would hold.
        Json(u16, Vec<u8>),
    }

    type Answer = Pin<Box<dyn Future<Output = Answered> + Send>>;

    /// The API of this very process, with the caller's cookie where the page may know it.
    #[derive(Clone)]
    pub struct Server(pub Arc<dyn Fn(String) -> Answer + Send + Sync>);

    impl Api {
        pub fn in_process(server: Server) -> Self {
            Self { server: Some(server) }
        }

        pub(super) async fn get<T: DeserializeOwned + 'static>(&self, path: &str) -> Result<T, Failure> {
            let server = self.server.as_ref().ok_or(Failure::Unreachable)?;
            match (server.0)(path.to_owned()).await {
                Answered::Value(value) => {
                    Ok(*value.downcast().expect("a page should ask for what its handler hands over"))
                }
                Answered::Json(status, body) => parse(status, &body),
            }
        }
    }

    // The server only renders: whatever changes something runs in the browser.

    pub(super) async fn post<T>(_path: &str, _body: &impl Serialize) -> Result<T, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub(super) async fn post_for_text(_path: &str, _body: &impl Serialize) -> Result<String, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub(super) async fn delete(_path: &str) -> Result<(), Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub async fn sample(_name: &str) -> Result<Vec<u8>, Failure> {
        std::future::ready(Err(Failure::Unreachable)).await
    }

    pub async fn blob_text(_hash: BlobHash) -> Result<String, Failure> {
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

    use super::{Account, Api, BlobHash, DeserializeOwned, Failure, Job, SubmitJob, could_be_key, no_such_key, parse};

    impl Api {
        pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
            SendWrapper::new(async { read(Request::get(path).send().await).await }).await
        }
    }

    fn unreachable(_error: gloo_net::Error) -> Failure {
        Failure::Unreachable
    }

    async fn read<T: DeserializeOwned>(response: Result<Response, gloo_net::Error>) -> Result<T, Failure> {
        let response = response.map_err(unreachable)?;
        let body = response.binary().await.map_err(unreachable)?;
        parse(response.status(), &body)
    }

    pub(super) async fn post<T: DeserializeOwned>(path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let request = Request::post(path).json(body).map_err(unreachable)?;
        read(request.send().await).await
    }

    pub(super) async fn post_for_text(path: &str, body: &impl Serialize) -> Result<String, Failure> {
        let request = Request::post(path).json(body).map_err(unreachable)?;
        let response = request.send().await.map_err(unreachable)?;
        if !response.ok() {
            return read(Ok(response)).await;
        }
        response.text().await.map_err(unreachable)
    }

    pub(super) async fn delete(path: &str) -> Result<(), Failure> {
        read(Request::delete(path).send().await).await
    }

    /// One of the site's samples.
    pub async fn sample(name: &str) -> Result<Vec<u8>, Failure> {
        let response = Request::get(&format!("/pkg/samples/{name}")).send().await.map_err(unreachable)?;
        if !response.ok() {
            return Err(Failure::Unreachable);
        }
        response.binary().await.map_err(unreachable)
    }

    pub async fn blob_text(hash: BlobHash) -> Result<String, Failure> {
        let response = Request::get(&format!("/v1/blobs/{hash}")).send().await.map_err(unreachable)?;
        if !response.ok() {
            return read(Ok(response)).await;
        }
        response.text().await.map_err(unreachable)
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
        // Browsers throw at a header that they cannot send.
        if !could_be_key(key) {
            return Err(no_such_key());
        }
        let request = Request::post("/v1/sessions")
            .header("authorization", &format!("Bearer {key}"))
            .build()
            .map_err(unreachable)?;
        read(request.send().await).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_under_any_name() {
        let link = file_link(BlobHash([0xab; 32]), "照 a&b.onnx");

        assert_eq!(link, format!("/v1/blobs/{}?redirect=true&name=%E7%85%A7%20a%26b.onnx", "ab".repeat(32)));
    }

    #[test]
    fn what_no_header_holds_is_no_key() {
        assert!(could_be_key("tsk_0123abcXYZ-_"));
        for typed in ["密钥", "tsk_é", "tsk_1 2", "tsk_\n", "tsk_\u{a0}"] {
            assert!(!could_be_key(typed), "{typed:?}");
        }
    }
}
