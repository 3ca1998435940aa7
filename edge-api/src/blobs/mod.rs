//! Blobs by BLAKE3. A hash is an address, not a permission: callers check ownership or a lease first.

pub mod routes;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use url::Url;
use wire::number::to;
use wire::{Blob, BlobHash};

/// Sent at a time, in bytes.
const PIECE: u64 = 1 << 20;

#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

/// Why an upload was not kept. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the upload is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the upload broke off")]
    Broken(#[source] axum::Error),
    #[error("the blob could not be stored")]
    Store(#[source] std::io::Error),
    #[error("the blob could not be moved to its place")]
    Move(#[from] object_store::Error),
}

impl Blobs {
    /// Blobs in a folder or, where `place` is an `s3:` address, in a bucket. A write is durable when it returns.
    pub fn open(place: &str) -> anyhow::Result<Self> {
        match place.parse::<Url>() {
            Ok(url) if url.scheme() == "s3" => Self::in_bucket(&url),
            _ => Self::in_folder(Path::new(place)),
        }
        .with_context(|| format!("blobs cannot be kept in '{place}'"))
    }

    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { store: Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)) })
    }

    /// Endpoint, region and keys come from the variables that other programs use for S3.
    fn in_bucket(url: &Url) -> anyhow::Result<Self> {
        // A second installation changes nothing.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let (bucket, prefix) = object_store::parse_url_opts(url, std::env::vars())?;
        Ok(Self { store: Arc::new(PrefixStore::new(bucket, prefix)) })
    }

    fn key(hash: BlobHash) -> Key {
        Key::from(format!("blobs/{hash}"))
    }

    /// Stores a stream under its hash, counting as it goes.
    pub async fn upload(
        &self,
        name: &str,
        limit: u64,
        mut stream: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
    ) -> Result<Blob, UploadError> {
        let staging = Key::from(format!("staging/{name}"));
        let mut writer = BufWriter::new(Arc::clone(&self.store), staging.clone());
        let mut hasher = blake3::Hasher::new();
        let mut size = 0u64;
        let written: Result<(), UploadError> = async {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(UploadError::Broken)?;
                size += to::<u64>(chunk.len());
                if size > limit {
                    return Err(UploadError::TooLarge { limit });
                }
                hasher.update(&chunk);
                writer.write_all(&chunk).await.map_err(UploadError::Store)?;
            }
            writer.shutdown().await.map_err(UploadError::Store)
        }
        .await;
        if let Err(error) = written {
            if let Err(left) = writer.abort().await {
                tracing::debug!(%left, "a broken upload left nothing to abort");
            }
            return Err(error);
        }
        let hash = BlobHash(*hasher.finalize().as_bytes());
        self.store.rename(&staging, &Self::key(hash)).await?;
        Ok(Blob { hash, size })
    }

    /// Stores bytes that are in memory anyway.
    pub async fn put(&self, bytes: Bytes) -> Result<Blob, object_store::Error> {
        let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
        let size = to(bytes.len());
        self.store.put(&Self::key(hash), bytes.into()).await?;
        Ok(Blob { hash, size })
    }

    /// The size of a blob, in bytes; `None` where there is no such blob.
    pub async fn size(&self, hash: BlobHash) -> Result<Option<u64>, object_store::Error> {
        match self.store.head(&Self::key(hash)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole blob, in memory.
    pub async fn read(&self, hash: BlobHash) -> Result<Bytes, object_store::Error> {
        self.store.get(&Self::key(hash)).await?.bytes().await
    }

    /// Stores refuse a range without bytes; there is nothing to read of it.
    pub async fn read_range(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&Self::key(hash), range).await
    }

    pub async fn stream_range(
        &self,
        hash: BlobHash,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, object_store::Error> {
        // So that a blob which is not there is an answer, not a stream that breaks off.
        self.store.head(&Self::key(hash)).await?;
        Ok(self.pieces(hash, range))
    }

    pub async fn stream(
        &self,
        hash: BlobHash,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, object_store::Error> {
        let size = self.store.head(&Self::key(hash)).await?.size;
        Ok(self.pieces(hash, 0..size))
    }

    /// The next piece is read while one is sent. The store's own stream has pieces of 8 KiB, each a trip to
    /// another thread.
    fn pieces(&self, hash: BlobHash, range: Range<u64>) -> BoxStream<'static, std::io::Result<Bytes>> {
        let (store, key) = (Arc::clone(&self.store), Self::key(hash));
        let starts = std::iter::successors(Some(range.start), |start| start.checked_add(PIECE));
        let pieces = starts.take_while(move |start| *start < range.end).map(move |start| {
            let (store, key) = (Arc::clone(&store), key.clone());
            let piece = start..range.end.min(start.saturating_add(PIECE));
            async move { store.get_range(&key, piece).await.map_err(std::io::Error::other) }
        });
        stream::iter(pieces).buffered(2).boxed()
    }
}
