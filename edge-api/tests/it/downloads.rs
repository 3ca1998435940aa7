//! Blobs as they are downloaded: by range, under a strong tag, over a folder and a bucket alike; and from the bucket itself.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use edge_api::server::Patience;
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, get_with};
use crate::buckets::keep_in;
use crate::device::Device;
use crate::kernels::KERNEL;
use crate::s3::{S3Server, SECRET};
use crate::until::until;

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Status, `Content-Range` and body.
fn of(answer: &Answer) -> (u16, Option<&str>, &[u8]) {
    (answer.status.as_u16(), header(answer, "content-range"), &answer.bytes)
}

async fn check_ranges(app: TestApp) {
    let ada = app.customer("Ada").await;
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(1_000_000).collect();
    let hash = ada.blob(bytes.clone()).await;
    let path = format!("/v1/blobs/{hash}");
    let tag = format!("\"{hash}\"");
    let ask = async |headers: &[(&'static str, &str)]| ada.get_with(&path, headers).await;

    let whole = ask(&[]).await;
    assert_eq!(of(&whole), (200, None, &bytes[..]));
    assert_eq!((header(&whole, "etag"), header(&whole, "accept-ranges")), (Some(&tag[..]), Some("bytes")));
    assert_eq!(header(&whole, "content-disposition"), Some(&format!("attachment; filename=\"{hash}\"")[..]));
    assert_eq!(header(&whole, "content-length"), Some("1000000"));

    for (range, place, expected) in [
        ("bytes=999990-", "bytes 999990-999999/1000000", &bytes[999_990..]),
        ("bytes=0-0", "bytes 0-0/1000000", &bytes[..1]),
        ("bytes=10-600009", "bytes 10-600009/1000000", &bytes[10..600_010]),
        ("bytes=-7", "bytes 999993-999999/1000000", &bytes[999_993..]),
        ("bytes=-2000000", "bytes 0-999999/1000000", &bytes[..]),
    ] {
        let part = ask(&[("range", range), ("if-range", &tag)]).await;
        assert_eq!(of(&part), (206, Some(place), expected), "{range}");
        assert_eq!(header(&part, "etag"), Some(&tag[..]), "{range}");
    }
    for headers in [[("range", "bytes=4-"), ("if-range", "\"other\"")], [("range", "bytes=0-1,4-5"), ("accept", "*/*")]]
    {
        assert_eq!(of(&ask(&headers).await), (200, None, &bytes[..]), "{headers:?}");
    }
    let behind = ask(&[("range", "bytes=1000000-")]).await;
    assert_eq!(
        (behind.refusal(), header(&behind, "content-range")),
        ("416 range_not_satisfiable".to_owned(), Some("bytes */1000000"))
    );
    let known = ask(&[("if-none-match", &tag), ("range", "bytes=4-")]).await;
    assert_eq!((of(&known), header(&known, "etag")), ((304, None, &[][..]), Some(&tag[..])));

    let mut head = get_with(&path, &[("range", "bytes=4-")]);
    *head.method_mut() = Method::HEAD;
    let head = app.send(ada.signed(head)).await;
    assert_eq!((of(&head), header(&head, "content-length")), ((200, None, &[][..]), Some("1000000")));
    let named = ada.get(&format!("{path}?name=a%22%0d%0ab.onnx")).await;
    assert_eq!(header(&named, "content-disposition"), Some("attachment; filename=\"a___b.onnx\""));
    assert_eq!(app.customer("Bob").await.get(&path).await.refusal(), "404 not_found");
}

#[tokio::test]
async fn a_blob_in_a_folder_is_downloaded_by_range() {
    check_ranges(TestApp::sqlite().await).await;
}

#[tokio::test]
async fn a_blob_in_a_bucket_is_downloaded_by_range() {
    let server = S3Server::start().await;
    check_ranges(TestApp::sqlite_with(|config| keep_in(&server, config)).await).await;
}

#[tokio::test]
async fn a_device_goes_on_with_what_it_fetches_for_a_lease() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let records: Vec<u8> = (0..40).flat_map(|record| [record, 1, 2, 3]).collect();
    let (kernel, input) = (ada.blob(KERNEL.into()).await, ada.blob(records.clone()).await);
    let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
    let address = app.listen(Patience::default()).await;
    let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    ada.submit(&json!({ "program": program, "name": "x", "privacy": "own" }), "a").await;
    let lease = device.take_lease().await;
    let ask = async |part: &str, headers: &[(&'static str, &str)]| {
        app.send(get_with(&format!("/v1/leases/{}/{part}", lease.token), headers)).await
    };

    for (part, bytes) in
        [("code", KERNEL.as_bytes().to_vec()), ("input", records[..wire::number::to::<usize>(4 * lease.rows)].to_vec())]
    {
        let whole = ask(part, &[]).await;
        let tag = header(&whole, "etag").unwrap();
        assert_eq!(of(&whole), (200, None, &bytes[..]), "{part}");
        let rest = ask(part, &[("range", "bytes=5-"), ("if-range", tag)]).await;
        let place = format!("bytes 5-{}/{}", bytes.len() - 1, bytes.len());
        assert_eq!(of(&rest), (206, Some(&place[..]), &bytes[5..]), "{part}");
        assert_eq!(of(&ask(part, &[("if-none-match", tag)]).await).0, 304, "{part}");
        assert_eq!(ask(part, &[("range", "bytes=999999-")]).await.refusal(), "416 range_not_satisfiable", "{part}");
        let sent_on = ask(&format!("{part}?redirect=true"), &[]).await;
        assert_eq!(sent_on.status, StatusCode::OK, "a device is not sent to the store");
    }
}

/// A server that sends owners to the bucket for a thousand bytes and more.
async fn redirecting(server: &S3Server) -> TestApp {
    TestApp::sqlite_with(|config| {
        keep_in(server, config);
        config.blob_redirect_bytes = Some(1000);
    })
    .await
}

/// As anybody on the store's network.
async fn fetch(url: &str, method: Method, range: Option<&str>) -> reqwest::Response {
    let request = reqwest::Client::new().request(method, url);
    range.into_iter().fold(request, |request, range| request.header("range", range)).send().await.unwrap()
}

#[tokio::test]
async fn an_owner_who_asks_for_it_is_sent_to_the_bucket_for_a_large_blob() {
    let server = S3Server::start().await;
    let app = redirecting(&server).await;
    let ada = app.customer("Ada").await;
    let bytes: Vec<u8> = (0..5000_u16).flat_map(u16::to_le_bytes).collect();
    let (large, small) = (ada.blob(bytes.clone()).await, ada.blob(vec![7; 999]).await);
    let path = format!("/v1/blobs/{large}?redirect=true&name=rows.npy");

    let sent_on = ada.get(&path).await;

    assert_eq!((sent_on.status, &sent_on.bytes[..]), (StatusCode::TEMPORARY_REDIRECT, &[][..]));
    assert_eq!(
        (header(&sent_on, "cache-control"), header(&sent_on, "referrer-policy")),
        (Some("private, no-store"), Some("no-referrer"))
    );
    let url = header(&sent_on, "location").unwrap();
    assert!(url.starts_with(&format!("{}/", server.url())) && !url.contains(SECRET), "{url}");
    assert!(
        url.contains("X-Amz-Expires=60&") && url.contains("response-content-type=application%2Foctet-stream"),
        "{url}"
    );
    assert!(url.contains("response-content-disposition=attachment%3B%20filename%3D%22rows.npy%22"), "{url}");
    let fetched = fetch(url, Method::GET, None).await;
    assert_eq!(fetched.status(), 200);
    assert_eq!(fetched.bytes().await.unwrap(), bytes);
    let part = fetch(url, Method::GET, Some("bytes=9000-")).await;
    assert_eq!((part.status().as_u16(), &part.bytes().await.unwrap()[..]), (206, &bytes[9000..]));

    for direct in [format!("/v1/blobs/{large}"), format!("/v1/blobs/{small}?redirect=true")] {
        assert_eq!(ada.get(&direct).await.status, StatusCode::OK, "{direct}");
    }
    let mut head = get_with(&path, &[]);
    *head.method_mut() = Method::HEAD;
    assert_eq!(app.send(ada.signed(head)).await.status, StatusCode::OK, "an address is signed for one method");
    let known = format!("\"{large}\"");
    assert_eq!(ada.get_with(&path, &[("if-none-match", &known)]).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(ada.get_with(&path, &[("range", "bytes=10000-")]).await.refusal(), "416 range_not_satisfiable");
    assert_eq!(app.customer("Bob").await.get(&path).await.refusal(), "404 not_found");
    assert_eq!(app.get(&path).await.refusal(), "401 unauthorized");
    assert_eq!(ada.get(&format!("/v1/blobs/{large}?redirect=maybe")).await.refusal(), "400 malformed_request redirect");
}

#[tokio::test]
async fn an_address_that_was_signed_opens_one_blob_as_bytes_and_nothing_else() {
    let server = S3Server::start().await;
    let app = redirecting(&server).await;
    let ada = app.customer("Ada").await;
    let (hers, other) = (ada.blob(b"<script>alert(1)</script>".repeat(100)).await, ada.blob(vec![7; 2000]).await);
    let answer = ada.get(&format!("/v1/blobs/{hers}?redirect=true")).await;
    let url = header(&answer, "location").unwrap();
    assert_eq!(fetch(url, Method::GET, None).await.status(), 200);

    for (method, changed) in [
        (Method::PUT, url.to_owned()),
        (Method::DELETE, url.to_owned()),
        (Method::GET, url.replace(&hers.to_string(), &other.to_string())),
        (
            Method::GET,
            url.replace("response-content-type=application%2Foctet-stream", "response-content-type=text%2Fhtml"),
        ),
        (Method::GET, url.replace("response-content-disposition=attachment", "response-content-disposition=inline")),
        (Method::GET, url.replace("X-Amz-Expires=60", "X-Amz-Expires=604800")),
    ] {
        assert!(method != Method::GET || changed != url);
        assert_eq!(fetch(&changed, method.clone(), None).await.status(), 403, "{method} {changed}");
    }
    assert_eq!(app.app.blobs.size(hers).await.unwrap(), Some(2500));
}

#[tokio::test]
async fn a_blob_that_is_lost_in_the_bucket_sends_nobody_there() {
    let server = S3Server::start().await;
    let app = redirecting(&server).await;
    let ada = app.customer("Ada").await;
    let hash = ada.blob(vec![7; 2000]).await;
    std::fs::remove_file(server.file(format!("blobs/{hash}"))).unwrap();

    assert_eq!(ada.get(&format!("/v1/blobs/{hash}?redirect=true")).await.refusal(), "500 internal");
}

#[tokio::test]
async fn a_result_that_is_known_is_not_sent_again() {
    let app = TestApp::sqlite().await;
    let ada = app.customer("Ada").await;
    let (kernel, input) = (ada.blob(KERNEL.into()).await, ada.blob(vec![0; 40]).await);
    let program = json!({ "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4 });
    let address = app.listen(Patience::default()).await;
    let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    let job: Value = ada.submit(&json!({ "program": program, "name": "x", "privacy": "own" }), "a").await.json();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let mut records = 0;
    while records < 10 {
        let lease = device.take_lease().await;
        device.commit_zeros(&app, &lease).await;
        assert_eq!(device.settled().await, lease.lease);
        records += lease.rows;
    }
    until("the job is done", Duration::from_secs(10), async || {
        (ada.get(&path).await.json()["state"] == "done").then_some(())
    })
    .await;
    let path = format!("{path}/result");
    let whole = ada.get(&path).await;

    assert_eq!(of(&ada.get_with(&path, &[("if-none-match", header(&whole, "etag").unwrap())]).await).0, 304);
    let behind = ada.get_with(&path, &[("range", "bytes=40-")]).await;
    assert_eq!(
        (behind.refusal(), header(&behind, "content-range")),
        ("416 range_not_satisfiable".to_owned(), Some("bytes */40"))
    );
    assert_eq!(of(&ada.get_with(&path, &[("range", "bytes=-3")]).await), (206, Some("bytes 37-39/40"), &[0; 3][..]));
}
