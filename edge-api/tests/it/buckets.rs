//! Blobs in a bucket of a real S3 server, which the tests start: the same as in a folder, and what only a bucket can do.

use std::time::Duration;

use bytes::Bytes;
use edge_api::app::App;
use edge_api::blobs::disk::DiskReserve;
use edge_api::blobs::place::Variables;
use edge_api::blobs::{Blobs, MarkError, UploadError};
use edge_api::clock::Clock;
use edge_api::config::Config;
use edge_api::server::Patience;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use wire::{BlobHash, Micros};

use crate::app::TestApp;
use crate::device::Device;
use crate::refusals::npy;
use crate::results::model_with_two_outputs;
use crate::s3::{BLOBS, S3Server, SECRET};
use crate::until::until;

const MIB: usize = 1 << 20;

fn variables(server: &S3Server) -> Variables {
    server.variables().into_iter().collect()
}

fn open(server: &S3Server) -> Blobs {
    Blobs::open(BLOBS, &variables(server)).unwrap()
}

/// Has a server keep its blobs there.
pub(crate) fn keep_in(server: &S3Server, config: &mut Config) {
    BLOBS.clone_into(&mut config.blobs);
    config.blob_variables = variables(server);
}

/// Bytes that are not twice the same.
fn many(bytes: usize) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().finalize_xof();
    let mut many = vec![0; bytes];
    reader.fill(&mut many);
    many
}

fn hash_of(bytes: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(bytes).as_bytes())
}

fn in_chunks(bytes: &[u8]) -> impl futures::Stream<Item = Result<Bytes, axum::Error>> + Unpin + use<> {
    stream::iter(bytes.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>())
}

fn no_reserve() -> DiskReserve {
    DiskReserve::new(None, "postgres:", 0)
}

async fn whole(blobs: &Blobs, hash: BlobHash) -> std::io::Result<Vec<u8>> {
    let pieces: Vec<Bytes> = blobs.stream(hash).await.unwrap().try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn an_upload_in_parts_is_staged_moved_read_and_deleted() {
    let server = S3Server::start().await;
    let (blobs, bytes) = (open(&server), many(12 * MIB + 5));
    let (hash, size) = (hash_of(&bytes), wire::number::to::<u64>(bytes.len()));

    let staged = blobs.stage("one", size, &no_reserve(), in_chunks(&bytes)).await.unwrap();

    assert_eq!((staged.blob.hash, staged.blob.size), (hash, size));
    assert!(server.file("staging/one").is_file() && !server.file(format!("blobs/{hash}")).exists());
    assert_eq!(blobs.size(hash).await.unwrap(), None);
    let seen = server.take_seen();
    let parts = seen.iter().filter(|seen| seen.target.contains("partNumber=")).count();
    assert_eq!(parts, 3, "five mebibytes each");
    let is_signed = |name: &str| name.starts_with("AWS4-HMAC-SHA256 Credential=tessera/") && !name.contains(SECRET);
    assert!(seen.iter().all(|seen| seen.authorization.as_deref().is_some_and(is_signed)), "{seen:?}");

    blobs.place(&staged).await.unwrap();

    assert!(!server.file("staging/one").exists());
    assert_eq!(blobs.size(hash).await.unwrap(), Some(size));
    assert_eq!(whole(&blobs, hash).await.unwrap(), bytes);
    assert_eq!(blobs.read_verified(hash).await.unwrap().unwrap(), bytes);
    let (first, end) = (5 * MIB - 3, 10 * MIB + 3);
    let range = wire::number::to(first)..wire::number::to(end);
    assert_eq!(blobs.read_range(hash, range.clone()).await.unwrap(), bytes[first..end]);
    let pieces: Vec<Bytes> = blobs.stream_range(hash, range).await.unwrap().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), bytes[first..end]);
    assert!(blobs.read_range(hash, 7..7).await.unwrap().is_empty());

    blobs.delete(hash).await.unwrap();

    assert_eq!(blobs.size(hash).await.unwrap(), None);
    blobs.delete(hash).await.unwrap();
    assert!(blobs.stream(hash).await.is_err() && blobs.stream_range(hash, 0..1).await.is_err());
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_is_too_large_leaves_nothing() {
    let server = S3Server::start().await;
    let (blobs, bytes) = (open(&server), many(11 * MIB));
    let is_empty = || {
        !std::fs::read_dir(server.file("..")).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.path().join("staging").read_dir().is_ok_and(|mut staged| staged.next().is_some()))
        })
    };

    let broken = in_chunks(&bytes).chain(stream::iter([Err(axum::Error::new("the line went dead"))]));
    let error = blobs.stage("one", u64::MAX, &no_reserve(), broken).await.unwrap_err();
    assert!(matches!(error, UploadError::Broken(_)), "{error}");
    assert!(is_empty());

    let limit = wire::number::to(6 * MIB);
    let error = blobs.stage("two", limit, &no_reserve(), in_chunks(&bytes)).await.unwrap_err();
    assert!(matches!(error, UploadError::TooLarge { .. }), "{error}");
    assert!(is_empty());
    let aborted =
        server.take_seen().iter().filter(|seen| seen.method == "DELETE" && seen.target.contains("uploadId=")).count();
    assert_eq!(aborted, 2);
}

#[tokio::test]
async fn a_damaged_or_lost_object_is_noticed() {
    let server = S3Server::start().await;
    let (blobs, bytes) = (open(&server), many(3 * MIB));
    let hash = hash_of(&bytes);
    blobs.mark(&[]).await.unwrap();
    blobs.put(hash, bytes.clone().into()).await.unwrap();
    assert!(blobs.is_intact(hash).await.unwrap() && !blobs.is_lost(hash).await.unwrap());

    let file = server.file(format!("blobs/{hash}"));
    let mut damaged = bytes;
    damaged[2 * MIB] ^= 1;
    std::fs::write(&file, damaged).unwrap();

    assert!(!blobs.is_intact(hash).await.unwrap());
    assert!(blobs.read_verified(hash).await.unwrap().is_none());
    assert!(whole(&blobs, hash).await.is_err());

    std::fs::remove_file(file).unwrap();

    assert!(blobs.is_lost(hash).await.unwrap() && !blobs.is_intact(hash).await.unwrap());
    assert!(blobs.read_verified(hash).await.unwrap().is_none());
    std::fs::remove_file(server.file("tessera")).unwrap();
    assert!(blobs.is_lost(hash).await.is_err(), "without its mark it is not that place");
}

#[tokio::test]
async fn a_bucket_is_marked_as_one_databases() {
    let server = S3Server::start().await;
    let (blobs, hash) = (open(&server), hash_of(b"known"));

    let error = blobs.mark(&[hash]).await.unwrap_err();
    assert!(matches!(error, MarkError::OtherPlace), "{error}");
    assert!(!server.file("tessera").exists());

    blobs.put(hash, Bytes::from_static(b"known")).await.unwrap();
    blobs.mark(&[hash_of(b"other"), hash]).await.unwrap();
    assert!(server.file("tessera").is_file());
    blobs.mark(&[hash_of(b"other")]).await.unwrap();
}

#[tokio::test]
async fn wrong_keys_and_a_bucket_that_is_not_there_are_told_apart() {
    let server = S3Server::start().await;
    let with = |name: &'static str, value: &str| -> Variables {
        let changed =
            |(known, old): (&'static str, String)| (known, if known == name { value.to_owned() } else { old });
        server.variables().into_iter().map(changed).collect()
    };
    let mark = async |address: &str, variables: &Variables| {
        Blobs::open(address, variables).unwrap().mark(&[]).await.unwrap_err()
    };

    for (name, value) in [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "guessed")] {
        let error = mark(BLOBS, &with(name, value)).await;
        assert!(matches!(error, MarkError::Refused(_)), "{name}: {error:?}");
        assert!(!format!("{error:?}").contains("guessed"), "{error:?}");
    }
    let error = mark("s3://another-bucket", &variables(&server)).await;
    assert!(matches!(error, MarkError::NoBucket(_)), "{error:?}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
}

#[tokio::test]
async fn what_uploads_left_in_a_bucket_is_deleted_by_its_age() {
    let server = S3Server::start().await;
    let blobs = open(&server);
    blobs.stage("one", 10, &no_reserve(), in_chunks(b"left")).await.unwrap();
    blobs.put(hash_of(b"kept"), Bytes::from_static(b"kept")).await.unwrap();

    blobs.delete_staged(0).await.unwrap();
    assert!(server.file("staging/one").is_file(), "it is not so old");
    blobs.delete_staged(Micros::MAX).await.unwrap();

    assert!(!server.file("staging/one").exists());
    assert_eq!(blobs.size(hash_of(b"kept")).await.unwrap(), Some(4));
}

#[tokio::test]
async fn a_store_that_goes_away_for_a_while_is_waited_for() {
    let mut server = S3Server::start().await;
    let (blobs, bytes) = (open(&server), many(12 * MIB));
    let hash = hash_of(&bytes);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, axum::Error>>(1);
    let body = stream::unfold(receiver, |mut chunks| async move { Some((chunks.recv().await?, chunks)) });
    let staging = tokio::spawn({
        let blobs = blobs.clone();
        async move { blobs.stage("one", u64::MAX, &no_reserve(), Box::pin(body)).await }
    });
    let (before, after) = bytes.split_at(7 * MIB);
    sender.send(Ok(Bytes::copy_from_slice(before))).await.unwrap();
    until("a part is there", Duration::from_secs(30), async || {
        server.take_seen().iter().any(|seen| seen.target.contains("partNumber=")).then_some(())
    })
    .await;

    server.stop().await;
    let rest = Bytes::copy_from_slice(after);
    let (sent, ()) = tokio::join!(sender.send(Ok(rest)), async { server.come_back().await });
    sent.unwrap();
    drop(sender);
    let staged = staging.await.unwrap().unwrap();
    server.stop().await;
    let (placed, ()) = tokio::join!(blobs.place(&staged), async { server.come_back().await });
    placed.unwrap();
    let mut pieces = blobs.stream(hash).await.unwrap();
    let first = pieces.next().await.unwrap().unwrap();
    server.stop().await;
    let (read, ()) = tokio::join!(pieces.try_collect::<Vec<Bytes>>(), async { server.come_back().await });

    assert_eq!([vec![first], read.unwrap()].concat().concat(), bytes);
}

#[tokio::test]
async fn a_store_that_fails_for_seconds_is_asked_again() {
    let mut server = S3Server::start().await;
    let (blobs, hash) = (open(&server), hash_of(b"patient"));
    server.stop().await;

    server.come_back_after(14).await;
    blobs.put(hash, Bytes::from_static(b"patient")).await.unwrap();

    assert_eq!(blobs.read(hash).await.unwrap(), &b"patient"[..]);
}

/// A job of a model whose rows the server computes again, its blobs in a bucket that goes away in between.
async fn check_a_job(app: TestApp, mut server: S3Server) {
    let ada = app.customer("Ada").await;
    let values: Vec<f32> = (0..160_u8).map(|value| f32::from(value) - 79.5).collect();
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let input = [npy("<f4", "False", "(40, 4)", 0), bytes(&values)].concat();
    let computed: Vec<f32> = values
        .chunks(4)
        .flat_map(|row| row.iter().map(|value| value.max(0.0)).chain(row.iter().map(|value| -value)))
        .collect();
    let computed = bytes(&computed);
    let (model, input) = (ada.blob(model_with_two_outputs()).await, ada.blob(input).await);
    let program = json!({ "kind": "infer", "model": model, "input": input, "tile_rows": 8 });
    let address = app.listen(Patience::default()).await;
    let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    let job = ada.submit(&json!({ "program": program, "name": "x", "privacy": "own" }), "a").await;
    assert_eq!(job.status, 201, "{}", job.refusal());
    let path = format!("/v1/jobs/{}", job.json()["id"].as_str().unwrap());

    let mut rows = 0;
    while rows < 40 {
        let lease = device.take_lease().await;
        let first: usize = wire::number::to(lease.first_tile * lease.tile_rows);
        let (first, end) = (first * 32, (first + wire::number::to::<usize>(lease.rows)) * 32);
        server.stop().await;
        let commit = device.commit(&app, &lease, computed[first..end].to_vec());
        tokio::join!(commit, async { server.come_back().await });
        assert_eq!(device.settled().await, lease.lease);
        rows += lease.rows;
    }
    until("the job is done", Duration::from_secs(10), async || {
        (ada.get(&path).await.json()["state"] == "done").then_some(())
    })
    .await;

    assert_eq!(ada.get(&format!("{path}/result?format=bin")).await.bytes, computed);
    let part = ada.get_with(&format!("{path}/result?format=bin"), &[("range", "bytes=33-")]).await;
    assert_eq!((part.status.as_u16(), &part.bytes[..]), (206, &computed[33..]));
    app.check_ledger().await;
}

#[tokio::test]
async fn a_job_ends_right_though_the_store_of_its_blobs_goes_away_on_sqlite() {
    let server = S3Server::start().await;
    check_a_job(TestApp::sqlite_with(|config| keep_in(&server, config)).await, server).await;
}

#[tokio::test]
async fn a_job_ends_right_though_the_store_of_its_blobs_goes_away_on_postgres() {
    let server = S3Server::start().await;
    check_a_job(TestApp::postgres_with(|config| keep_in(&server, config)).await, server).await;
}

#[tokio::test]
async fn unused_blobs_are_collected_from_a_bucket() {
    let server = S3Server::start().await;
    let app = TestApp::sqlite_with(|config| keep_in(&server, config)).await;
    let ada = app.customer("Ada").await;
    let unused = ada.blob(b"nobody's".to_vec()).await;
    assert!(server.file(format!("blobs/{unused}")).is_file() && server.file("tessera").is_file());

    app.time.fetch_add(8 * 86_400_000_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(edge_api::blobs::collect::collect(&app.app).await.unwrap(), 1);

    assert!(!server.file(format!("blobs/{unused}")).exists());
    assert_eq!(ada.get(&format!("/v1/blobs/{unused}")).await.refusal(), "404 not_found");
    assert_eq!(ada.blob(b"nobody's".to_vec()).await, unused, "what was deleted may come again");
}

#[tokio::test]
async fn only_a_bucket_lets_customers_fetch_by_themselves() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut config = TestApp::config(folder.path(), "sqlite::memory:".to_owned());
    config.blob_redirect_bytes = Some(1);

    let Err(error) = App::start(config, Clock::System).await else { panic!("a folder signs no addresses") };

    assert!(error.to_string().contains("--blob-redirect-bytes"), "{error:#}");
}
