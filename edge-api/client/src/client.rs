//! The API's operations.

use std::path::Path;
use std::pin::pin;

use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use wire::{
    Account, Blob, DeviceCode, Job, JobDetail, JobId, JobPage, JobProgress, NewAccount, OpenedAccount, Quote,
    QuoteRequest, SubmitJob, explorer,
};

use crate::error::ClientError;
use crate::events;
use crate::http::{granted, read, retry};
use crate::result_format::ResultFormat;

/// Read from a file at a time: each reading is a trip to another thread.
const READ_BYTES: usize = 1 << 20;

/// An account at one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
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
        Ok(Self {
            http: reqwest::Client::builder().build()?,
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
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
        retry(send).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        read(self.http.post(self.at(path)).bearer_auth(&self.key).json(body).send().await?).await
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
            let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, READ_BYTES));
            let request =
                self.http.post(self.at("/v1/blobs")).bearer_auth(&self.key).header("content-length", size).body(body);
            read(request.send().await?).await
        };
        retry(send).await
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
        retry(send).await
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
        let request = self.http.get(self.at(&format!("/v1/jobs/{id}/events"))).bearer_auth(&self.key);
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
        self.download_from(&format!("/v1/jobs/{id}/result"), path).await
    }

    /// The same in a format of the customer's choice.
    pub async fn download_as(&self, id: JobId, format: ResultFormat, path: &Path) -> Result<u64, ClientError> {
        self.download_from(&format!("/v1/jobs/{id}/result?format={}", format.name()), path).await
    }

    /// Writes what is verified of a job, whatever became of it, to an `.npz`: its outputs with zeros for the rows that
    /// are missing, and `rows_present`. Returns its size in bytes.
    pub async fn download_partial(&self, id: JobId, path: &Path) -> Result<u64, ClientError> {
        self.download_from(&format!("/v1/jobs/{id}/result?partial=true"), path).await
    }

    async fn download_from(&self, address: &str, path: &Path) -> Result<u64, ClientError> {
        let failed = |source| ClientError::File { path: path.display().to_string(), source };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let send = || async {
            let request = self.http.get(self.at(address)).bearer_auth(&self.key);
            let mut stream = granted(request.send().await?).await?.bytes_stream();
            let mut file = tokio::fs::File::create(&part).await.map_err(failed)?;
            let mut size = 0;
            while let Some(chunk) = stream.next().await {
                let chunk = chunk?;
                size += wire::number::to::<u64>(chunk.len());
                file.write_all(&chunk).await.map_err(failed)?;
            }
            file.sync_all().await.map_err(failed)?;
            Ok(size)
        };
        let size = retry(send).await?;
        tokio::fs::rename(&part, path).await.map_err(failed)?;
        Ok(size)
    }
}
