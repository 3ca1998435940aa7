//! The API's operations.

use std::cell::Cell;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::fs::File;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use tokio_util::io::ReaderStream;
use wire::{
    Account, AccountKey, ArraysToMake, Blob, BlobHash, DeviceCode, DeviceId, Job, JobDetail, JobId, JobPage,
    JobProgress, MadeArrays, MadeKey, ModelReport, ModelToCheck, NewAccount, NewKey, OpenedAccount, Quote,
    QuoteRequest, SubmitJob, explorer,
};

use crate::download::{Content, Download, Downloaded, Hashing, Reader};
use crate::error::ClientError;
use crate::events;
use crate::http::{Patience, SAY_EACH, Wait, granted, heard, read, retry};
use crate::new_file::{NewFile, WrittenFile};
use crate::proxy;
use crate::result_format::ResultFormat;
use crate::source::Source;

/// Read from a file at a time: each reading is a trip to another thread.
const READ_BYTES: usize = 1 << 20;

/// For a file to become arrays.
const CONVERTED_WITHIN: Duration = Duration::from_secs(150);
/// To connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Without an answer to what was sent, by the operating system's measure: the other end is gone.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// Between two pieces of a stream. Streams of events have a sign of life every fifteen seconds.
const HEARD_WITHIN: Duration = Duration::from_secs(40);

/// From the beginning of one stream of events to that of the next, where they break off.
const STREAM_EACH: Duration = Duration::from_secs(1);
/// The longest that a server's `Retry-After` is done instead; the job is asked after meanwhile.
const STREAM_PAUSE_MAX: Duration = Duration::from_secs(30);

/// An account at one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// For what comes as a stream, where silence means a dead connection.
    streams: reqwest::Client,
    patience: Patience,
    url: String,
    key: String,
}

/// The TLS provider that all our programs use. Twice is once.
pub fn install_tls() {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
}

impl Client {
    /// `url` is the server's origin, `key` an account's key; what stands around them is taken off.
    pub fn new(url: &str, key: &str) -> Result<Self, ClientError> {
        install_tls();
        let (url, key) = (url.trim(), key.trim());
        let parsed = reqwest::Url::parse(url).ok();
        let is_server = |parsed: &reqwest::Url| matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
        let Some(parsed) = parsed.filter(is_server) else { return Err(ClientError::Url { url: url.to_owned() }) };
        proxy::check(parsed.scheme(), parsed.host_str().unwrap_or_default(), |name| std::env::var_os(name))?;
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Key);
        }
        let alive = || {
            let builder =
                reqwest::Client::builder().connect_timeout(CONNECT_WITHIN).tcp_keepalive(ACKNOWLEDGED_WITHIN / 2);
            #[cfg(target_os = "linux")]
            let builder = builder.tcp_user_timeout(ACKNOWLEDGED_WITHIN);
            builder
        };
        Ok(Self {
            http: alive().build()?,
            streams: alive().read_timeout(HEARD_WITHIN).build()?,
            patience: Patience::default(),
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
    }

    /// The same, which waits and repeats as long as this says.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The page of a job, for whoever is signed in.
    pub fn page(&self, id: JobId) -> String {
        self.at(&format!("/jobs/{id}"))
    }

    /// The page of a published job, for everybody.
    pub fn public_page(&self, id: JobId) -> String {
        self.at(&format!("/explorer/jobs/{id}"))
    }

    /// Opens an account on a development server.
    pub async fn open_account(url: &str, account: &NewAccount) -> Result<OpenedAccount, ClientError> {
        Self::new(url, "")?.open(account).await
    }

    /// Opens an account there; the key is not asked.
    pub async fn open(&self, account: &NewAccount) -> Result<OpenedAccount, ClientError> {
        let send = || self.ask("POST /v1/accounts", self.http.post(self.at("/v1/accounts")).json(account));
        retry(&self.patience, ClientError::is_untaken, send).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.at(path)).bearer_auth(&self.key)
    }

    /// One attempt, as long as there are signs of life. `name` is for whoever waits.
    async fn ask<T: DeserializeOwned>(&self, name: &str, request: RequestBuilder) -> Result<T, ClientError> {
        let answer = async { read(request.send().await?).await };
        heard(&self.patience, name, &AtomicU64::new(0), answer).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let name = format!("GET {path}");
        let send = || self.ask(&name, self.request(Method::GET, path));
        retry(&self.patience, ClientError::is_passing, send).await
    }

    /// What comes to the same, however often it is asked for.
    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.post_where(ClientError::is_passing, path, body).await
    }

    /// What is done once more each time it is asked for.
    async fn post_once<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.post_where(ClientError::is_untaken, path, body).await
    }

    async fn post_where<T: DeserializeOwned>(
        &self,
        is_repeatable: impl Fn(&ClientError) -> bool,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let name = format!("POST {path}");
        let send = || self.ask(&name, self.request(Method::POST, path).json(body));
        retry(&self.patience, is_repeatable, send).await
    }

    async fn delete(&self, path: &str) -> Result<(), ClientError> {
        let name = format!("DELETE {path}");
        let send = || self.ask(&name, self.request(Method::DELETE, path));
        retry(&self.patience, ClientError::is_passing, send).await
    }

    pub async fn account(&self) -> Result<Account, ClientError> {
        self.get("/v1/account").await
    }

    /// Devices by verified work, most first: the explorer's first page.
    pub async fn public_devices(&self) -> Result<explorer::Page<explorer::PublicDevice>, ClientError> {
        self.get("/v1/public/devices").await
    }

    /// Receipts of the whole network, newest first: the explorer's first page.
    pub async fn public_receipts(&self) -> Result<explorer::Page<explorer::PublicReceipt>, ClientError> {
        self.get("/v1/public/receipts").await
    }

    /// The account's keys, without their secrets.
    pub async fn keys(&self) -> Result<Vec<AccountKey>, ClientError> {
        self.get("/v1/account/keys").await
    }

    pub async fn make_key(&self, name: &str) -> Result<MadeKey, ClientError> {
        self.post_once("/v1/account/keys", &NewKey { name: name.to_owned() }).await
    }

    /// What the key opened closes with it.
    pub async fn revoke_key(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&format!("/v1/account/keys/{id}")).await
    }

    /// The account's devices.
    pub async fn devices(&self) -> Result<Vec<explorer::PublicDevice>, ClientError> {
        self.get("/v1/devices").await
    }

    pub async fn unlink_device(&self, id: DeviceId) -> Result<(), ClientError> {
        self.delete(&format!("/v1/devices/{id}")).await
    }

    /// A code that links one device to this account, once, within fifteen minutes.
    pub async fn device_code(&self) -> Result<DeviceCode, ClientError> {
        self.post_once("/v1/device-codes", &()).await
    }

    /// Uploads a file as it is read, or what comes out of a pipe once that is known whole. Uploading twice is harmless.
    pub async fn upload(&self, path: &Path) -> Result<Blob, ClientError> {
        let source = self.open_source(path).await?;
        let name = format!("the upload of '{}'", path.display());
        let send = || async {
            let (file, size) = source.reopen().await?;
            let sent = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&sent);
            let chunks = ReaderStream::with_capacity(file, READ_BYTES).inspect_ok(move |chunk| {
                counted.fetch_add(wire::number::to(chunk.len()), Ordering::Relaxed);
            });
            let request = self.request(Method::POST, "/v1/blobs").header("content-length", size);
            let answer = async { read(request.body(reqwest::Body::wrap_stream(chunks)).send().await?).await };
            heard(&self.patience, &name, &sent, answer).await
        };
        retry(&self.patience, ClientError::is_passing, send).await
    }

    /// A file at once; a pipe once whoever writes it has ended.
    async fn open_source(&self, path: &Path) -> Result<Source, ClientError> {
        let began = Instant::now();
        let mut opened = pin!(Source::open(path));
        loop {
            match tokio::time::timeout(SAY_EACH, &mut opened).await {
                Ok(opened) => return opened,
                Err(_elapsed) => (self.patience.on_wait)(Wait::Pipe { path, elapsed: began.elapsed() }),
            }
        }
    }

    /// Writes a file of the account's own to `path`, whole and checked against its hash, or not at all. A server that keeps
    /// its files in a bucket may send the request there, which the account's key does not follow; where that fails, the
    /// file comes from the server itself.
    pub async fn download_blob(&self, hash: BlobHash, path: &Path) -> Result<WrittenFile, ClientError> {
        let new = NewFile::at(path)?;
        let mut file = File::from_std(new.reopen()?);
        let mut out = Hashing { out: &mut file, hasher: blake3::Hasher::new() };
        let address = self.at(&format!("/v1/blobs/{hash}"));
        let is_first = Cell::new(true);
        let request = || {
            let query = if is_first.replace(false) { "?redirect=true" } else { "" };
            self.streams.get(format!("{address}{query}")).bearer_auth(&self.key)
        };
        let shown = new.path().display().to_string();
        let failed = |source| ClientError::Unwritable { path: shown.clone(), source };
        let download =
            Download { patience: &self.patience, content: Content::Fixed, request, failed, on_bytes: |_| {} };
        let bytes = download.write_to(&mut out).await?;
        if BlobHash(*out.hasher.finalize().as_bytes()) != hash {
            return Err(ClientError::Damaged { hash });
        }
        Ok(WrittenFile { path: new.persist()?, bytes })
    }

    /// What a model takes and answers, as far as that is known without rows.
    pub async fn check_model(&self, model: BlobHash) -> Result<ModelReport, ClientError> {
        self.post("/v1/models/check", &ModelToCheck { model }).await
    }

    /// Makes arrays of an uploaded file, as the model reads them. A large file takes the server a while.
    pub async fn make_arrays(&self, request: &ArraysToMake) -> Result<MadeArrays, ClientError> {
        let patience = Patience { silence: CONVERTED_WITHIN, ..self.patience.clone() };
        self.clone().with_patience(patience).post("/v1/arrays", request).await
    }

    pub async fn quote(&self, request: &QuoteRequest) -> Result<Quote, ClientError> {
        self.post("/v1/quotes", request).await
    }

    /// Submits once, however often the network makes it try: `idempotency_key` names the order. Where it fails with
    /// [`ClientError::Unanswered`], there may be a job; the same order with the same key says.
    pub async fn submit(&self, request: &SubmitJob, idempotency_key: &str) -> Result<Job, ClientError> {
        let may_be_taken = Cell::new(false);
        let send = || async {
            let post = self.request(Method::POST, "/v1/jobs").header("idempotency-key", idempotency_key);
            let answer = self.ask("POST /v1/jobs", post.json(request)).await;
            answer.inspect_err(|error| may_be_taken.set(may_be_taken.get() || error.may_be_done()))
        };
        let submitted = retry(&self.patience, ClientError::is_passing, send).await;
        submitted.map_err(
            |last| {
                if may_be_taken.get() { ClientError::Unanswered { last: Box::new(last) } } else { last }
            },
        )
    }

    pub async fn job(&self, id: JobId) -> Result<Job, ClientError> {
        self.get(&format!("/v1/jobs/{id}")).await
    }

    pub async fn progress(&self, id: JobId) -> Result<JobProgress, ClientError> {
        self.get(&format!("/v1/jobs/{id}/progress")).await
    }

    /// Who computed a job, how fast, what happened, and the tiles that were disputed.
    pub async fn job_detail(&self, id: JobId) -> Result<JobDetail, ClientError> {
        self.get(&format!("/v1/jobs/{id}/detail")).await
    }

    /// One page of jobs, newest first.
    pub async fn jobs(&self, before: Option<JobId>) -> Result<JobPage, ClientError> {
        let before = before.map_or_else(String::new, |id| format!("?before={id}"));
        self.get(&format!("/v1/jobs{before}")).await
    }

    pub async fn cancel(&self, id: JobId) -> Result<Job, ClientError> {
        self.post(&format!("/v1/jobs/{id}/cancel"), &()).await
    }

    pub async fn publish(&self, id: JobId) -> Result<Job, ClientError> {
        self.post(&format!("/v1/jobs/{id}/publish"), &()).await
    }

    pub async fn unpublish(&self, id: JobId) -> Result<Job, ClientError> {
        self.post(&format!("/v1/jobs/{id}/unpublish"), &()).await
    }

    /// Follows a job's events until it ends, and over broken connections. `on_progress` gets each.
    pub async fn watch(&self, id: JobId, mut on_progress: impl FnMut(&JobProgress)) -> Result<Job, ClientError> {
        loop {
            let began = Instant::now();
            let ended = self.watch_once(id, &mut on_progress).await;
            let asked = ended.as_ref().err().and_then(ClientError::retry_after).unwrap_or_default();
            let pause = STREAM_EACH.saturating_sub(began.elapsed()).max(asked.min(STREAM_PAUSE_MAX));
            match ended {
                Ok(Some(job)) if job.state.has_ended() => return Ok(job),
                Ok(_) => {}
                Err(error) if error.is_passing() => {
                    (self.patience.on_wait)(Wait::Again { error: &error, after: pause });
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            // The stream broke off; the job has not. `progress` waits and tries again by itself.
            let progress = self.progress(id).await?;
            on_progress(&progress);
            if progress.job.state.has_ended() {
                return Ok(progress.job);
            }
        }
    }

    /// Follows one stream of events to its end: the job as it stood last.
    async fn watch_once(
        &self,
        id: JobId,
        on_progress: &mut impl FnMut(&JobProgress),
    ) -> Result<Option<Job>, ClientError> {
        let request = self.streams.get(self.at(&format!("/v1/jobs/{id}/events"))).bearer_auth(&self.key);
        let mut events = pin!(events::progress(granted(request.send().await?).await?));
        let mut last = None;
        while let Some(progress) = events.next().await {
            let progress = progress?;
            on_progress(&progress);
            last = Some(progress.job);
        }
        Ok(last)
    }

    /// Writes a done job's result to a file, whole or not at all, in the format that the server chooses: see
    /// [`Client::download_as`]. Returns its size in bytes.
    pub async fn download(&self, id: JobId, path: &Path) -> Result<u64, ClientError> {
        self.download_at(path, id, ResultPart::Whole(None)).await
    }

    /// The same in a format of the customer's choice.
    pub async fn download_as(&self, id: JobId, format: ResultFormat, path: &Path) -> Result<u64, ClientError> {
        self.download_at(path, id, ResultPart::Whole(Some(format))).await
    }

    /// Writes what is verified of a job, whatever became of it, to an `.npz`: its outputs with zeros for the rows that
    /// are missing, and `rows_present`. Returns its size in bytes.
    pub async fn download_partial(&self, id: JobId, path: &Path) -> Result<u64, ClientError> {
        self.download_at(path, id, ResultPart::Verified).await
    }

    async fn download_at(&self, path: &Path, id: JobId, part: ResultPart) -> Result<u64, ClientError> {
        Ok(self.download_to(NewFile::at(path)?, id, part, |_| {}).await?.bytes)
    }

    /// Writes a result to a file, whole or not at all. `on_bytes` hears how far it is.
    pub async fn download_to(
        &self,
        new: NewFile,
        id: JobId,
        part: ResultPart,
        on_bytes: impl FnMut(Downloaded),
    ) -> Result<WrittenFile, ClientError> {
        let mut file = File::from_std(new.reopen()?);
        let shown = new.path().display().to_string();
        let failed = |source| ClientError::Unwritable { path: shown.clone(), source };
        let bytes = self.download_part(id, part, failed, on_bytes).write_to(&mut file).await?;
        Ok(WrittenFile { path: new.persist()?, bytes })
    }

    /// Writes a result as it comes down, and goes on where a connection broke off. `failed` makes an error of one in
    /// writing. Returns its size in bytes.
    pub async fn download_into(
        &self,
        id: JobId,
        part: ResultPart,
        out: &mut (impl AsyncWrite + Unpin),
        failed: impl Fn(std::io::Error) -> ClientError,
        on_bytes: impl FnMut(Downloaded),
    ) -> Result<u64, ClientError> {
        self.download_part(id, part, failed, on_bytes).write_to(&mut Reader(out)).await
    }

    fn download_part<F: Fn(std::io::Error) -> ClientError, B: FnMut(Downloaded)>(
        &self,
        id: JobId,
        part: ResultPart,
        failed: F,
        on_bytes: B,
    ) -> Download<'_, impl Fn() -> RequestBuilder, F, B> {
        let query = match part {
            ResultPart::Whole(None) => String::new(),
            ResultPart::Whole(Some(format)) => format!("?format={}", format.name()),
            ResultPart::Verified => "?partial=true".to_owned(),
        };
        let address = self.at(&format!("/v1/jobs/{id}/result{query}"));
        let request = move || self.streams.get(&address).bearer_auth(&self.key);
        let content = if part == ResultPart::Verified { Content::Changing } else { Content::Tagged };
        Download { patience: &self.patience, content, request, failed, on_bytes }
    }
}

/// What of a job's result is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultPart {
    /// All of it, in this format, or in the one that the server chooses.
    Whole(Option<ResultFormat>),
    /// What is verified so far, whatever became of the job.
    Verified,
}
