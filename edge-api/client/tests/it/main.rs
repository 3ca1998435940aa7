//! The client beside servers that fail it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Client, ClientError, Patience, ResultPart};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wire::JobId;

/// What a server answers, one answer a connection: bytes, after which it hangs up.
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
            while let Some(answer) = answers.pop_front() {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).await.unwrap() > 0 {
                    head.push(byte[0]);
                }
                log.lock().unwrap().push(String::from_utf8(head).unwrap().to_ascii_lowercase());
                socket.write_all(&answer).await.unwrap();
            }
        });
        Self { url, heard }
    }

    fn client(&self) -> Client {
        let patience = Patience { within: Duration::from_secs(5), ..Patience::default() };
        Client::new(&self.url, "key").unwrap().with_patience(patience)
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
    let failed = |source| ClientError::File { path: String::new(), source };
    let size = server.client().download_into(JobId::from_parts(1, [0; 10]), part, &mut out, failed).await;
    (size, out)
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
async fn a_server_that_says_when_to_come_again_is_heeded() {
    let body = br#"{"code":"rate_limited","message":"too many"}"#;
    let busy = || answer("429 Too Many Requests", "retry-after: 0\r\n", body.len(), body);
    let page = br#"{"jobs":[]}"#;
    let server = Server::start(vec![busy(), busy(), busy(), answer("200 OK", "", page.len(), page)]).await;
    let none_at_all = Patience { within: Duration::ZERO, ..Patience::default() };

    assert!(server.client().with_patience(none_at_all).jobs(None).await.unwrap().jobs.is_empty());
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
        on_wait: Arc::new(move |error, _wait| log.lock().unwrap().push(error.to_string())),
    };

    server.client().with_patience(patience).jobs(None).await.unwrap_err();

    assert_eq!(said.lock().unwrap().as_slice(), ["the server's answer was not understood (status 503)"]);
}
