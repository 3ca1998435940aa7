//! The API's operations.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWrite;
use wire::{
    Account, AccountKey, Blob, BlobHash, DeviceCode, DeviceId, Job, JobDetail, JobId, JobPage, JobProgress, MadeKey,
    ModelReport, ModelToCheck, NewAccount, NewKey, OpenedAccount, Quote, QuoteRequest, SubmitJob, explorer,
};

use crate::download::download;
use crate::error::ClientError;
use crate::events;
use crate::http::{Patience, granted, read, retry};
use crate::result_format::ResultFormat;

/// Read from a file at a time: each reading is a trip to another thread.
const READ_BYTES: usize = 1 << 20;

/// To connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Without an answer to what was sent, by the operating system's measure: the other end is gone.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// Between two pieces of a stream. Streams of events have a sign of life every fifteen seconds.
const HEARD_WITHIN: Duration = Duration::from_secs(40);

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
    /// `url` is the server's origin, `key` an account's key.
    pub fn new(url: &str, key: &str) -> Result<Self, ClientError> {
        install_tls();
        let parsed = reqwest::Url::parse(url).ok();
        if !parsed.is_some_and(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host()) {
            return Err(ClientError::Url { url: url.to_owned() });
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

    /// The same, which repeats for longer what failed in passing.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The page of a job, for whoever is signed in.
    pub fn page(&self, id: JobId) -> String {
        self.at(&format!("/jobs/{id}"))
    }

    /// Opens an account on a development server.
    pub async fn open_account(url: &str, account: &NewAccount) -> Result<OpenedAccount, ClientError> {
        let client = Self::new(url, "")?;
        read(client.http.post(client.at("/v1/accounts")).json(account).send().await?).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let send = || async { read(self.http.get(self.at(path)).bearer_auth(&self.key).send().await?).await };
        retry(&self.patience, send).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        read(self.http.post(self.at(path)).bearer_auth(&self.key).json(body).send().await?).await
    }

    async fn delete(&self, path: &str) -> Result<(), ClientError> {
        let send = || async {
            granted(self.http.delete(self.at(path)).bearer_auth(&self.key).send().await?).await?;
            Ok(())
        };
        retry(&self.patience, send).await
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
        self.post("/v1/account/keys", &NewKey { name: name.to_owned() }).await
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
        self.post("/v1/device-codes", &()).await
    }

    /// Uploads a file as it is read. Uploading twice is harmless.
    pub async fn upload(&self, path: &Path) -> Result<Blob, ClientError> {
        let failed = |source| ClientError::File { path: path.display().to_string(), source };
        let send = || async {
            let file = tokio::fs::File::open(path).await.map_err(failed)?;
            let about = file.metadata().await.map_err(failed)?;
            if about.is_dir() {
                return Err(ClientError::Folder { path: path.display().to_string() });
            }
            let size = about.len();
            if about.is_file() && size == 0 {
                return Err(ClientError::Empty { path: path.display().to_string() });
            }
            let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, READ_BYTES));
            let request =
                self.http.post(self.at("/v1/blobs")).bearer_auth(&self.key).header("content-length", size).body(body);
            read(request.send().await?).await
        };
        retry(&self.patience, send).await
    }

    /// What a model takes and answers, as far as that is known without rows.
    pub async fn check_model(&self, model: BlobHash) -> Result<ModelReport, ClientError> {
        self.post("/v1/models/check", &ModelToCheck { model }).await
    }

    pub async fn quote(&self, request: &QuoteRequest) -> Result<Quote, ClientError> {
        self.post("/v1/quotes", request).await
    }

    /// Submits once, however often the network makes it try: `idempotency_key` names the order.
    pub async fn submit(&self, request: &SubmitJob, idempotency_key: &str) -> Result<Job, ClientError> {
        let send = || async {
            let post =
                self.http.post(self.at("/v1/jobs")).bearer_auth(&self.key).header("idempotency-key", idempotency_key);
            read(post.json(request).send().await?).await
        };
        retry(&self.patience, send).await
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
            let last = self.watch_once(id, &mut on_progress).await;
            match last {
                Ok(Some(job)) if job.state.has_ended() => return Ok(job),
                Ok(_) => {}
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(error),
            }
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
        self.download_to(path, id, ResultPart::Whole(None)).await
    }

    /// The same in a format of the customer's choice.
    pub async fn download_as(&self, id: JobId, format: ResultFormat, path: &Path) -> Result<u64, ClientError> {
        self.download_to(path, id, ResultPart::Whole(Some(format))).await
    }

    /// Writes what is verified of a job, whatever became of it, to an `.npz`: its outputs with zeros for the rows that
    /// are missing, and `rows_present`. Returns its size in bytes.
    pub async fn download_partial(&self, id: JobId, path: &Path) -> Result<u64, ClientError> {
        self.download_to(path, id, ResultPart::Verified).await
    }

    async fn download_to(&self, path: &Path, id: JobId, part: ResultPart) -> Result<u64, ClientError> {
        let failed = |source| ClientError::File { path: path.display().to_string(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // It goes with whoever gives up.
        let written = new_file(folder).map_err(failed)?;
        let mut file = tokio::fs::File::from_std(written.reopen().map_err(failed)?);
        let size = self.download_into(id, part, &mut file, failed).await?;
        file.sync_all().await.map_err(failed)?;
        written.persist(path).map_err(|error| failed(error.error))?;
        Ok(size)
    }

    /// Writes a result as it comes down, and goes on where a connection broke off. `failed` makes an error of one in
    /// writing. Returns its size in bytes.
    pub async fn download_into(
        &self,
        id: JobId,
        part: ResultPart,
        out: &mut (impl AsyncWrite + Unpin),
        failed: impl Fn(std::io::Error) -> ClientError,
    ) -> Result<u64, ClientError> {
        let query = match part {
            ResultPart::Whole(None) => String::new(),
            ResultPart::Whole(Some(format)) => format!("?format={}", format.name()),
            ResultPart::Verified => "?partial=true".to_owned(),
        };
        let address = self.at(&format!("/v1/jobs/{id}/result{query}"));
        let may_change = part == ResultPart::Verified;
        download(&self.patience, may_change, || self.streams.get(&address).bearer_auth(&self.key), out, failed).await
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

/// A file without a name that lasts, which becomes a result's once that is whole. It is deleted when it is dropped.
pub fn new_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tessera-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: less what the user's mask takes off.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}
