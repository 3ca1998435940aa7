//! The client beside servers that fail it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Client, ClientError, Downloaded, NewFile, Patience, ResultPart, Wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wire::{BlobHash, JobId, NewAccount, Privacy, Program, QuoteRequest};

/// What a server answers, one answer a connection: bytes, after which it hangs up. Without any it says nothing, and holds on.
struct Server {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (log, mut answers) = (Arc::clone(&heard), VecDeque::from(answers));
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Some(answer) = answers.pop_front() {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).await.unwrap() > 0 {
                    head.push(byte[0]);
                }
                log.lock().unwrap().push(String::from_utf8(head).unwrap().to_ascii_lowercase());
                if answer.is_empty() {
                    held.push(socket);
                } else {
                    socket.write_all(&answer).await.unwrap();
                }
            }
            drop(listener);
            std::future::pending::<()>().await;
            drop(held);
        });
        Self { url, heard }
    }

    fn client(&self) -> Client {
        self.client_within(Duration::from_secs(5))
    }

    fn client_within(&self, within: Duration) -> Client {
        Client::new(&self.url, "key").unwrap().with_patience(Patience { within, ..Patience::default() })
    }

    /// How many requests came.
    fn requests(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    fn heard(&self, request: usize) -> String {
        self.heard.lock().unwrap()[request].clone()
    }
}

/// `length` is what the head promises, which may be more than comes.
fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

async fn result(server: &Server, part: ResultPart) -> (Result<u64, ClientError>, Vec<u8>) {
    let mut out = Vec::new();
    let failed = |source| ClientError::Unwritable { path: String::new(), source };
    let size = server.client().download_into(job(), part, &mut out, failed, |_| {}).await;
    (size, out)
}

fn job() -> JobId {
    JobId::from_parts(1, [0; 10])
}

fn json(status: &str, headers: &str, body: &str) -> Vec<u8> {
    answer(status, headers, body.len(), body.as_bytes())
}

/// Too many requests.
fn busy(retry_after: &str) -> Vec<u8> {
    let headers = format!("retry-after: {retry_after}\r\n");
    json("429 Too Many Requests", &headers, r#"{"code":"rate_limited","message":"too many"}"#)
}

fn quote_request() -> QuoteRequest {
    let hash = "00".repeat(32).parse().unwrap();
    let infer =
        wire::Infer { model: hash, input: Some(hash), inputs: std::collections::BTreeMap::new(), tile_rows: None };
    QuoteRequest { program: Program::Infer(infer), privacy: Privacy::Open }
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let server = Server::start(vec![
        answer("200 OK", "etag: \"a\"\r\n", 10, b"abcd"),
        answer("503 Service Unavailable", "", 0, b""),
        answer("206 Partial Content", "etag: \"a\"\r\ncontent-range: bytes 4-9/10\r\n", 6, b"ef"),
        answer("206 Partial Content", "etag: \"a\"\r\ncontent-range: bytes 6-9/10\r\n", 4, b"ghij"),
    ])
    .await;

    let (size, bytes) = result(&server, ResultPart::Whole(None)).await;

    assert_eq!((size.unwrap(), bytes), (10, b"abcdefghij".to_vec()));
    assert!(!server.heard(0).contains("range:"));
    assert!(server.heard(2).contains("range: bytes=4-") && server.heard(2).contains("if-range: \"a\""));
    assert!(server.heard(3).contains("range: bytes=6-"));
}

#[tokio::test]
async fn of_what_is_sent_all_again_what_is_here_is_passed_over() {
    let whole = || answer("200 OK", "", 10, b"abcdefghij");
    let server = Server::start(vec![answer("200 OK", "", 10, b"abcd"), whole()]).await;
    let (size, bytes) = result(&server, ResultPart::Whole(None)).await;
    assert_eq!((size.unwrap(), bytes), (10, b"abcdefghij".to_vec()));

    let server = Server::start(vec![answer("200 OK", "", 10, b"abcd"), whole()]).await;
    let (broken, _) = result(&server, ResultPart::Verified).await;
    assert!(broken.is_err(), "more may be verified by now");
}

#[tokio::test]
async fn a_result_that_is_another_by_now_is_not_put_together() {
    let server = Server::start(vec![
        answer("200 OK", "etag: \"a\"\r\n", 10, b"abcd"),
        answer("200 OK", "etag: \"b\"\r\n", 10, b"ABCDEFGHIJ"),
    ])
    .await;

    assert!(matches!(result(&server, ResultPart::Whole(None)).await.0, Err(ClientError::Changed)));
}

#[tokio::test]
async fn a_download_of_which_only_the_end_broke_off_is_whole() {
    let server = Server::start(vec![
        // It promises a byte more than it has.
        answer("200 OK", "etag: \"a\"\r\n", 11, b"abcdefghij"),
        answer("416 Range Not Satisfiable", "etag: \"a\"\r\ncontent-range: bytes */10\r\n", 0, b""),
    ])
    .await;

    let (size, bytes) = result(&server, ResultPart::Whole(None)).await;

    assert_eq!((size.unwrap(), bytes), (10, b"abcdefghij".to_vec()));
}

fn digest(bytes: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(bytes).as_bytes())
}

/// Sends the request on to another server.
fn sent_on(to: &Server) -> Vec<u8> {
    answer("307 Temporary Redirect", &format!("location: {}/bucket/x?signature=1\r\n", to.url), 0, b"")
}

/// Downloads a file of these ten bytes.
async fn blob(server: &Server) -> (Result<u64, ClientError>, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let written = server.client().download_blob(digest(b"abcdefghij"), &path).await;
    (written.map(|written| written.bytes), std::fs::read(path).ok())
}

#[tokio::test]
async fn the_key_does_not_follow_to_the_store_that_a_server_sends_to() {
    let store = Server::start(vec![answer("200 OK", "etag: \"of the store\"\r\n", 10, b"abcdefghij")]).await;
    let server = Server::start(vec![sent_on(&store)]).await;

    let (size, bytes) = blob(&server).await;

    assert_eq!((size.unwrap(), bytes.unwrap()), (10, b"abcdefghij".to_vec()));
    assert!(server.heard(0).contains("?redirect=true") && server.heard(0).contains("authorization: bearer key\r\n"));
    assert!(store.heard(0).starts_with("get /bucket/x?signature=1 "), "{}", store.heard(0));
    assert!(!store.heard(0).contains("authorization") && !store.heard(0).contains("key\r\n"), "{}", store.heard(0));
}

#[tokio::test]
async fn what_a_store_does_not_give_comes_from_the_server_itself() {
    let whole = || answer("200 OK", "etag: \"of the server\"\r\n", 10, b"abcdefghij");
    let rest =
        || answer("206 Partial Content", "etag: \"of the server\"\r\ncontent-range: bytes 4-9/10\r\n", 6, b"efghij");
    let refuses = Server::start(vec![answer("403 Forbidden", "", 5, b"<xml>")]).await;
    let breaks_off = Server::start(vec![answer("200 OK", "etag: \"of the store\"\r\n", 10, b"abcd")]).await;

    for (store, then) in [(refuses, whole()), (breaks_off, rest())] {
        let server = Server::start(vec![sent_on(&store), then]).await;

        let (size, bytes) = blob(&server).await;

        assert_eq!((size.unwrap(), bytes.unwrap()), (10, b"abcdefghij".to_vec()));
        assert!(!server.heard(1).contains("redirect"), "{}", server.heard(1));
        assert!(!server.heard(1).contains("if-range"), "each server has a tag of its own: {}", server.heard(1));
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_its_hash_says_is_not_written() {
    let store = Server::start(vec![answer("200 OK", "", 10, b"abcdefghiJ")]).await;
    let server = Server::start(vec![sent_on(&store)]).await;

    let (size, bytes) = blob(&server).await;

    assert!(matches!(size, Err(ClientError::Damaged { .. })), "{size:?}");
    assert_eq!(bytes, None);
}

#[tokio::test]
async fn a_server_that_says_when_to_come_again_is_heeded() {
    let page = br#"{"jobs":[]}"#;
    let server = Server::start(vec![busy("0"), busy("0"), answer("200 OK", "", page.len(), page)]).await;

    assert!(server.client_within(Duration::ZERO).jobs(None).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let page = br#"{"jobs":[]}"#;
    let server =
        Server::start(vec![answer("200 OK", "", page.len(), &page[..4]), answer("200 OK", "", page.len(), page)]).await;

    assert!(server.client().jobs(None).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn whoever_waits_hears_why() {
    let server = Server::start(vec![answer("503 Service Unavailable", "", 0, b"")]).await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let patience = Patience {
        within: Duration::from_millis(400),
        on_wait: Arc::new(move |wait| {
            if let Wait::Again { error, .. } = wait {
                log.lock().unwrap().push(error.to_string());
            }
        }),
        ..Patience::default()
    };

    server.client().with_patience(patience).jobs(None).await.unwrap_err();

    assert_eq!(said.lock().unwrap().as_slice(), ["the server's answer was not understood (status 503)"]);
}

#[tokio::test]
async fn a_server_that_takes_a_request_and_says_nothing_is_given_up_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.npy");
    std::fs::write(&file, "rows").unwrap();
    let patience = Patience { within: Duration::ZERO, silence: Duration::from_millis(200), ..Patience::default() };
    let server = Server::start(vec![Vec::new(); 4]).await;
    let client = server.client().with_patience(patience);

    let upload = client.upload(&file).await.map(|_| ());
    let quote = client.quote(&quote_request()).await.map(|_| ());
    let account = client.account().await.map(|_| ());
    let opened = client.open(&NewAccount::default()).await.map(|_| ());

    for (ended, expected) in [
        (upload, format!("the upload of '{}'", file.display())),
        (quote, "POST /v1/quotes".to_owned()),
        (account, "GET /v1/account".to_owned()),
        (opened, "POST /v1/accounts".to_owned()),
    ] {
        assert!(matches!(ended, Err(ClientError::Silent { ref request, .. }) if *request == expected), "{ended:?}");
    }
}

#[tokio::test]
async fn what_comes_to_the_same_is_asked_for_again_and_what_does_not_only_where_it_was_not_begun() {
    let bad_gateway = || answer("502 Bad Gateway", "", 0, b"");
    let report = r#"{"inputs":[]}"#;
    let server = Server::start(vec![bad_gateway(), busy("0"), json("200 OK", "", report)]).await;
    let hash = "00".repeat(32).parse().unwrap();
    assert!(server.client().check_model(hash).await.unwrap().inputs.is_empty());

    let server = Server::start(vec![bad_gateway(), json("201 Created", "", "{}")]).await;
    assert!(matches!(server.client().make_key("k").await, Err(ClientError::Unexpected { status: 502, .. })));
    assert_eq!(server.requests(), 1, "there might be two keys");

    let made = r#"{"key":{"id":"k","name":"k","hint":"1","created_at":0},"secret":"tsk_1"}"#;
    let server = Server::start(vec![busy("0"), json("201 Created", "", made)]).await;
    assert_eq!(server.client().make_key("k").await.unwrap().secret, "tsk_1");
}

#[tokio::test]
async fn a_server_that_says_to_come_back_later_than_one_waits_is_not_asked_again() {
    let date = "date: Fri, 27 Nov 2026 20:00:00 GMT\r\nretry-after: Fri, 27 Nov 2026 20:47:00 GMT\r\n";
    let body = r#"{"code":"rate_limited","message":"too many"}"#;
    for (refusal, seconds) in [(busy("3600"), 3600), (json("429 Too Many Requests", date, body), 47 * 60)] {
        let server = Server::start(vec![refusal, json("200 OK", "", r#"{"jobs":[]}"#)]).await;

        let refused = server.client().jobs(None).await.unwrap_err();

        assert_eq!(refused.retry_after(), Some(Duration::from_secs(seconds)));
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_not_asked_for_without_a_pause() {
    let bad_gateway = || answer("502 Bad Gateway", "", 0, b"");
    let gone = || json("404 Not Found", "", r#"{"code":"not_found","message":"there is no such job"}"#);
    let server = Server::start(vec![bad_gateway(), gone()]).await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let on_wait = move |wait: Wait<'_>| {
        if let Wait::Again { after, .. } = wait {
            log.lock().unwrap().push(after);
        }
    };
    let patience = Patience { on_wait: Arc::new(on_wait), ..Patience::default() };

    let ended = server.client().with_patience(patience).watch(job(), |_| {}).await;

    assert!(matches!(ended, Err(ClientError::Refused { status: 404, .. })), "{ended:?}");
    assert!(said.lock().unwrap()[0] > Duration::from_millis(500));
}

#[tokio::test]
async fn an_order_of_which_one_attempt_broke_off_may_have_been_taken_whatever_the_last_one_says() {
    let order = wire::SubmitJob::new(quote_request().program);
    let broken = || answer("201 Created", "", 10, b"{");
    for answers in [
        vec![broken(), busy("18446744073709551615")],
        vec![broken()],
        vec![broken(), json("402 Payment Required", "", r#"{"code":"insufficient_funds","message":"no"}"#)],
        vec![json("201 Created", "", "what")],
    ] {
        let server = Server::start(answers).await;
        let ended = server.client().submit(&order, "november-1").await;
        assert!(matches!(ended, Err(ClientError::Unanswered { .. })), "{ended:?}");
    }

    let server = Server::start(vec![busy("0"), busy("3600")]).await;
    let refused = server.client().submit(&order, "november-1").await;
    assert!(matches!(refused, Err(ClientError::Refused { status: 429, .. })), "{refused:?}");
}

#[tokio::test]
async fn what_there_is_no_room_for_is_not_sent_again() {
    let full = json("507 Insufficient Storage", "", r#"{"code":"storage_full","message":"full"}"#);
    let server = Server::start(vec![full, json("200 OK", "", "{}")]).await;

    server.client().quote(&quote_request()).await.unwrap_err();

    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_part_that_breaks_off_begins_anew_in_a_file() {
    let server = Server::start(vec![
        answer("200 OK", "", 10, b"abcdef"),
        answer("503 Service Unavailable", "", 0, b""),
        answer("200 OK", "", 4, b"ABCD"),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.npz");
    let mut heard = Vec::new();
    let on_bytes = |downloaded| heard.push(downloaded);

    let new = NewFile::at(&path).unwrap();
    let written = server.client().download_to(new, job(), ResultPart::Verified, on_bytes).await.unwrap();

    assert_eq!((written.bytes, written.path), (4, path.clone()));
    assert_eq!(std::fs::read(path).unwrap(), b"ABCD");
    assert_eq!(heard.last(), Some(&Downloaded { bytes: 4, of: Some(4) }));
    assert!(!server.heard(2).contains("range:"));
}

#[tokio::test]
async fn a_key_is_sent_without_what_stands_around_it_and_one_that_cannot_be_is_refused_by_name() {
    let server = Server::start(vec![json("200 OK", "", r#"{"jobs":[]}"#)]).await;
    let client = Client::new(&format!(" {}/ ", server.url), " tsk_1\n").unwrap();

    client.jobs(None).await.unwrap();

    assert!(server.heard(0).contains("authorization: bearer tsk_1\r\n"));
    for key in ["tsk 1", "tsk_1\ntsk_2", "schlüssel"] {
        assert!(matches!(Client::new(&server.url, key), Err(ClientError::Key)), "{key}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_comes_out_of_a_pipe_is_uploaded_whole_and_a_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let blob = format!(r#"{{"hash":"{}","size":4}}"#, "00".repeat(32));
    let server = Server::start(vec![busy("0"), json("201 Created", "", &blob)]).await;
    let into = pipe.clone();
    let writer = tokio::task::spawn_blocking(move || std::fs::write(into, "rows"));

    assert_eq!(server.client().upload(&pipe).await.unwrap().size, 4);

    writer.await.unwrap().unwrap();
    assert!(server.heard(1).contains("content-length: 4"));
    let device = server.client().upload("/dev/zero".as_ref()).await;
    assert!(matches!(device, Err(ClientError::Device { .. })), "{device:?}");
}
