//! An S3 server for tests, in their own process and over a folder of its own: s3s, which holds every signature against its
//! keys, and every address that was signed against its time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) const SECRET: &str = "the-secret-of-the-bucket";
const KEY: &str = "tessera";
const BUCKET: &str = "blobs-of-tests";
const PREFIX: &str = "of/one";
/// Where blobs are kept there.
pub(crate) const BLOBS: &str = "s3://blobs-of-tests/of/one";

pub(crate) struct S3Server {
    folder: TempDir,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    serving: Option<JoinHandle<()>>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Who asks, where no signature in the address says it.
    pub(crate) authorization: Option<String>,
}

impl S3Server {
    /// With one bucket, and nothing in it.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { folder: TempDir::new().unwrap(), address, seen: Arc::default(), serving: None };
        std::fs::create_dir(server.folder.path().join(BUCKET)).unwrap();
        server.serve_after(0, listener);
        server
    }

    /// So many connections are hung up first.
    fn serve_after(&mut self, hung_up: u32, listener: TcpListener) {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(self.folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let (service, seen) = (builder.build(), Arc::clone(&self.seen));
        self.serving = Some(tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            for _ in 0..hung_up {
                drop(listener.accept().await.unwrap());
            }
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (service, seen) = (service.clone(), Arc::clone(&seen));
                connections.spawn(async move {
                    let answer = service_fn(move |request| note_and_answer(&service, &seen, request));
                    // A connection that breaks off is its client's affair.
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.unwrap_or_default();
                });
            }
        }));
    }

    /// Nobody is there any more; what is under way breaks off.
    pub(crate) async fn stop(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }

    /// Comes back where it was, with what it had.
    pub(crate) async fn come_back(&mut self) {
        self.come_back_after(0).await;
    }

    /// What that needs besides.
    pub(crate) fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT", self.url()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Comes back, and hangs up on so many who ask before it is itself again.
    pub(crate) async fn come_back_after(&mut self, hung_up: u32) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve_after(hung_up, listener);
    }

    /// Where the server keeps an object.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(BUCKET).join(PREFIX).join(name)
    }

    /// The requests since this was asked the last time.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn note_and_answer(
    service: &S3Service,
    seen: &Mutex<Vec<Seen>>,
    request: hyper::Request<Incoming>,
) -> <S3Service as Service<hyper::Request<Incoming>>>::Future {
    seen.lock().unwrap().push(Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        authorization: request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()),
    });
    // s3s-fs makes a bucket by the first write; others say that there is none.
    if request.uri().path().split('/').nth(1) != Some(BUCKET) {
        let body = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>".to_owned();
        let answer = hyper::Response::builder().status(404).body(s3s::Body::from(body));
        return Box::pin(std::future::ready(Ok(answer.unwrap())));
    }
    Service::call(service, request)
}
