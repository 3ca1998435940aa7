//! Blobs by BLAKE3. A hash is an address, not a permission: callers check ownership or a lease first.

pub mod collect;
pub mod disk;
pub mod download;
pub mod place;
pub mod routes;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::signer::{Method, SignedUrlOptions};
use object_store::{ObjectStore, ObjectStoreExt};
use store::db::Db;
use tokio::io::AsyncWriteExt;
use url::Url;
use wire::number::to;
use wire::{Blob, BlobHash, Micros};

use self::disk::{DiskFull, DiskReserve};
use self::place::{Place, PlaceError, Signing, Variables};

/// Sent at a time, in bytes.
const PIECE: u64 = 1 << 20;

/// What the store holds in memory of one upload: pieces that wait to be written.
const UPLOAD_PIECE: usize = 5 << 20;
const UPLOAD_PIECES: usize = 2;
/// Most bytes of an upload that are in memory.
pub const UPLOAD_BYTES: u64 = 16 << 20;
/// How long a signed address opens a blob: to begin fetching, not to end it.
const SIGNED_FOR: Duration = Duration::from_secs(60);
/// What blobs are sent as.
const BYTES: &str = "application/octet-stream";

/// The disk is looked at after so many bytes of an upload.
const LOOK_AFTER: u64 = 8 << 20;

/// An object that is there wherever a server keeps its blobs: where it is missing, the place is another, or not mounted.
const MARK: &str = "tessera";

/// Parts of blobs that are sent one after another, as one file.
pub type Parts = Vec<(BlobHash, Range<u64>)>;

#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Where they lie in a folder.
    folder: Option<Arc<Path>>,
    /// Where the bucket lets others fetch by an address that was signed for them.
    signing: Option<Signing>,
    /// Where small outputs lie.
    small: Option<Db>,
}

/// Why a server does not begin with a place of blobs.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error("none of this database's blobs is where blobs are kept: is that the right place (--blobs), and mounted?")]
    OtherPlace,
    #[error("there is no such bucket: make it first, or correct --blobs")]
    NoBucket(#[source] object_store::Error),
    #[error(
        "the bucket's store refuses this server: are its keys right, and may they read, write, list and delete there?"
    )]
    Refused(#[source] object_store::Error),
    #[error("the place of blobs does not answer")]
    Store(#[source] object_store::Error),
}

impl From<object_store::Error> for MarkError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NoBucket(error),
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Refused(error)
            }
            error => Self::Store(error),
        }
    }
}

/// An upload that is stored, and not in its place.
#[derive(Debug)]
pub struct Staged {
    pub blob: Blob,
    place: Key,
}

/// Why an upload was not kept. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the upload is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
    #[error("the upload broke off")]
    Broken(#[source] axum::Error),
    #[error("the blob could not be stored")]
    Store(#[source] std::io::Error),
    #[error("the blob could not be moved to its place")]
    Move(#[from] object_store::Error),
}

impl Blobs {
    /// Blobs in a folder or a bucket; `variables` say what an address leaves open. A write is durable when it returns.
    pub fn open(address: &str, variables: &Variables) -> Result<Self, PlaceError> {
        let Place { store, folder, signing } = Place::open(address, variables)?;
        Ok(Self { store, folder, signing, small: None })
    }

    /// The same, with small outputs that lie in the database.
    pub fn with_small(self, db: &Db) -> Self {
        Self { small: Some(db.clone()), ..self }
    }

    /// The bytes of a blob that lies in the database.
    async fn find_small(&self, hash: BlobHash) -> Result<Option<Bytes>, object_store::Error> {
        let Some(db) = &self.small else { return Ok(None) };
        let found = async { store::blobs::find_small_blob(&mut *db.read().await?, hash).await }.await;
        let failed =
            |error: store::db::Error| object_store::Error::Generic { store: "database", source: Box::new(error) };
        Ok(found.map_err(failed)?.map(Bytes::from))
    }

    fn key(hash: BlobHash) -> Key {
        Key::from(format!("blobs/{hash}"))
    }

    /// The folder in which they lie, where they lie in one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Marks the place as the one of this database's blobs, of which `known` are some. Where there are such and none of them
    /// is there, it is another.
    pub async fn mark(&self, known: &[BlobHash]) -> Result<(), MarkError> {
        if self.is_marked().await? {
            return Ok(());
        }
        let mut found = known.is_empty();
        for hash in known {
            found = found || self.is_there(&Self::key(*hash)).await?;
        }
        if !found {
            return Err(MarkError::OtherPlace);
        }
        self.store.put(&Key::from(MARK), Bytes::from_static(b"blobs of a Tessera server\n").into()).await?;
        Ok(())
    }

    async fn is_there(&self, key: &Key) -> Result<bool, object_store::Error> {
        match self.store.head(key).await {
            Ok(_meta) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the place is marked as one where a server keeps its blobs.
    pub async fn is_marked(&self) -> Result<bool, object_store::Error> {
        self.is_there(&Key::from(MARK)).await
    }

    /// Writes an object that nobody else knows, reads it and deletes it.
    pub async fn probe(&self, name: &str) -> anyhow::Result<()> {
        let (key, written) = (Key::from(format!("staging/probe-{name}")), Bytes::copy_from_slice(name.as_bytes()));
        self.store.put(&key, written.clone().into()).await.context("nothing can be written")?;
        let read = async { self.store.get(&key).await?.bytes().await }.await;
        let deleted = self.store.delete(&key).await;
        anyhow::ensure!(
            read.context("what was written cannot be read")? == written,
            "what is read is not what was written"
        );
        deleted.context("nothing can be deleted")
    }

    /// Stores a stream, counting and hashing as it goes.
    pub async fn stage(
        &self,
        name: &str,
        limit: u64,
        disk: &DiskReserve,
        mut stream: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
    ) -> Result<Staged, UploadError> {
        disk.check()?;
        let staging = Key::from(format!("staging/{name}"));
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), staging.clone(), UPLOAD_PIECE)
            .with_max_concurrency(UPLOAD_PIECES);
        let mut hasher = blake3::Hasher::new();
        let (mut size, mut looked) = (0u64, 0);
        let written: Result<(), UploadError> = async {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(UploadError::Broken)?;
                size += to::<u64>(chunk.len());
                if size > limit {
                    return Err(UploadError::TooLarge { limit });
                }
                if size / LOOK_AFTER > looked {
                    looked = size / LOOK_AFTER;
                    disk.check()?;
                }
                hasher.update(&chunk);
                writer.write_all(&chunk).await.map_err(UploadError::Store)?;
            }
            Ok(())
        }
        .await;
        if let Err(error) = written {
            if let Err(left) = writer.abort().await {
                tracing::debug!(%left, "a broken upload left nothing to abort");
            }
            return Err(error);
        }
        // A writer that could not finish cleans up by itself, and panics when it is asked to.
        writer.shutdown().await.map_err(UploadError::Store)?;
        let hash = BlobHash(*hasher.finalize().as_bytes());
        Ok(Staged { blob: Blob { hash, size }, place: staging })
    }

    /// Puts an upload in its place, where it may lie already.
    pub async fn place(&self, staged: &Staged) -> Result<(), object_store::Error> {
        self.store.rename(&staged.place, &Self::key(staged.blob.hash)).await
    }

    /// Takes an upload back.
    pub async fn discard(&self, staged: &Staged) -> Result<(), object_store::Error> {
        self.store.delete(&staged.place).await
    }

    /// Stores bytes whose hash is known.
    pub async fn put(&self, hash: BlobHash, bytes: Bytes) -> Result<(), object_store::Error> {
        self.store.put(&Self::key(hash), bytes.into()).await?;
        Ok(())
    }

    /// Deletes a blob, if it is there.
    pub async fn delete(&self, hash: BlobHash) -> Result<(), object_store::Error> {
        self.delete_object(&Self::key(hash)).await
    }

    /// Another server may have been first.
    async fn delete_object(&self, key: &Key) -> Result<(), object_store::Error> {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes what uploads left behind that were last written before `before`.
    pub async fn delete_staged(&self, before: Micros) -> anyhow::Result<()> {
        let mut listed = self.store.list(Some(&Key::from("staging")));
        while let Some(staged) = listed.try_next().await? {
            if staged.last_modified.timestamp_micros() < before {
                self.delete_object(&staged.location).await?;
            }
        }
        if let Some(folder) = self.folder.clone() {
            tokio::task::spawn_blocking(move || delete_unfinished(&folder, before)).await??;
        }
        Ok(())
    }

    /// The size of a blob, in bytes; `None` where there is no such blob.
    pub async fn size(&self, hash: BlobHash) -> Result<Option<u64>, object_store::Error> {
        if let Some(small) = self.find_small(hash).await? {
            return Ok(Some(to(small.len())));
        }
        match self.store.head(&Self::key(hash)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole blob, in memory.
    pub async fn read(&self, hash: BlobHash) -> Result<Bytes, object_store::Error> {
        if let Some(small) = self.find_small(hash).await? {
            return Ok(small);
        }
        self.store.get(&Self::key(hash)).await?.bytes().await
    }

    /// The blob, if it is still what its hash says: one that was damaged or lost where it is kept proves nothing.
    pub async fn read_verified(&self, hash: BlobHash) -> anyhow::Result<Option<Bytes>> {
        let bytes = match self.read(hash).await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => {
                self.require_place().await?;
                tracing::error!(%hash, "a stored blob is lost");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let hashed = bytes.clone();
        let found = tokio::task::spawn_blocking(move || BlobHash(*blake3::hash(&hashed).as_bytes())).await?;
        if found != hash {
            tracing::error!(%hash, "a stored blob is damaged");
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Stores refuse a range without bytes; there is nothing to read of it.
    pub async fn read_range(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if let Some(small) = self.find_small(hash).await? {
            return Ok(cut(&small, &range));
        }
        self.store.get_range(&Self::key(hash), range).await
    }

    /// Parts of blobs, one after another.
    pub async fn read_parts(&self, parts: &Parts) -> Result<Bytes, object_store::Error> {
        if let [(blob, range)] = &parts[..] {
            return self.read_range(*blob, range.clone()).await;
        }
        let mut bytes = Vec::new();
        for (blob, range) in parts {
            bytes.extend_from_slice(&self.read_range(*blob, range.clone()).await?);
        }
        Ok(bytes.into())
    }

    pub async fn stream_range(
        &self,
        hash: BlobHash,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, object_store::Error> {
        // So that a blob which is not there is an answer, not a stream that breaks off.
        if let Some(small) = self.find_small(hash).await? {
            return Ok(whole(cut(&small, &range)));
        }
        self.store.head(&Self::key(hash)).await?;
        Ok(self.pieces(hash, range))
    }

    /// A whole blob. One that is damaged ends with an error in place of its last piece.
    pub async fn stream(
        &self,
        hash: BlobHash,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, object_store::Error> {
        if let Some(small) = self.find_small(hash).await? {
            return Ok(verified(hash, whole(small)).boxed());
        }
        let size = self.store.head(&Self::key(hash)).await?.size;
        Ok(self.stream_known(&Blob { hash, size }))
    }

    /// The same of an uploaded blob that is there, of this size.
    pub fn stream_known(&self, blob: &Blob) -> BoxStream<'static, std::io::Result<Bytes>> {
        verified(blob.hash, self.pieces(blob.hash, 0..blob.size)).boxed()
    }

    /// Whether the place can let others fetch from it.
    pub fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// An address at which whoever has it may fetch this blob, and nothing else, until a while from now. The store sends it
    /// as bytes to be saved under this name, never as a page. `None` where addresses cannot be signed.
    pub async fn signed_url(&self, hash: BlobHash, disposition: &str) -> Result<Option<Url>, object_store::Error> {
        let Some(Signing { signer, prefix }) = &self.signing else { return Ok(None) };
        let key = Self::key(hash);
        let sent_as = [("response-content-type", BYTES), ("response-content-disposition", disposition)];
        let options = SignedUrlOptions::new().with_query(sent_as);
        let object: Key = prefix.parts().chain(key.parts()).collect();
        signer.signed_url_opts(Method::GET, &object, SIGNED_FOR, &options).await.map(Some)
    }

    /// Whether a blob is not there any more, though others are.
    pub async fn is_lost(&self, hash: BlobHash) -> anyhow::Result<bool> {
        if self.find_small(hash).await?.is_some() || self.is_there(&Self::key(hash)).await? {
            return Ok(false);
        }
        self.require_place().await?;
        Ok(true)
    }

    /// Fails where none of the blobs is there, so that one that is missing tells nothing.
    async fn require_place(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_marked().await?, "none of the blobs is there: is their place mounted?");
        Ok(())
    }

    /// Whether a blob is there, and still what its hash says.
    pub async fn is_intact(&self, hash: BlobHash) -> anyhow::Result<bool> {
        let mut pieces = if let Some(small) = self.find_small(hash).await? {
            whole(small)
        } else {
            let Some(size) = self.size(hash).await? else {
                self.require_place().await?;
                return Ok(false);
            };
            self.pieces(hash, 0..size)
        };
        let mut hasher = blake3::Hasher::new();
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
        }
        Ok(is_hash(&hasher, hash))
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

fn whole(bytes: Bytes) -> BoxStream<'static, std::io::Result<Bytes>> {
    stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()
}

/// As much of a range as there is, as stores do it.
fn cut(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

fn is_hash(hasher: &blake3::Hasher, hash: BlobHash) -> bool {
    let is_same = BlobHash(*hasher.finalize().as_bytes()) == hash;
    if !is_same {
        tracing::error!(%hash, "a stored blob is damaged");
    }
    is_same
}

/// The pieces of a blob, the last of them once all are what its hash says.
fn verified(
    hash: BlobHash,
    pieces: BoxStream<'static, std::io::Result<Bytes>>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let state = Some((pieces, blake3::Hasher::new(), None::<Bytes>));
    stream::unfold(state, move |state| async move {
        let (mut pieces, mut hasher, mut held) = state?;
        loop {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    hasher.update(&piece);
                    if let Some(before) = held.replace(piece) {
                        return Some((Ok(before), Some((pieces, hasher, held))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None if is_hash(&hasher, hash) => return held.map(|last| (Ok(last), None)),
                None => return Some((Err(std::io::Error::other("a stored blob is damaged")), None)),
            }
        }
    })
}

/// In a folder an unfinished write has a name with `#`, which the store does not list.
fn delete_unfinished(folder: &Path, before: Micros) -> std::io::Result<()> {
    for folder in [folder.join("staging"), folder.join("blobs")] {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().contains('#') {
                continue;
            }
            let deleted = delete_if_older(&entry, before);
            if deleted.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
                return deleted;
            }
        }
    }
    Ok(())
}

fn delete_if_older(file: &std::fs::DirEntry, before: Micros) -> std::io::Result<()> {
    let modified = file.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    if Micros::try_from(modified.as_micros()).is_ok_and(|modified| modified < before) {
        std::fs::remove_file(file.path())?;
    }
    Ok(())
}
