//! Requests made up at random: for every operation of the API's description, and for every page.

use std::net::SocketAddr;
use std::sync::LazyLock;

use anyhow::{Context, ensure};
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde_json::Value;

use crate::draw::Draw;
use crate::edge::{Edge, Known};
use crate::mutate;
use crate::schema::{DOCUMENT, Maker};

/// An operation as it is described.
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: &'static str,
    parameters: Vec<&'static Value>,
    /// The schema of its body, where that is JSON.
    body: Option<&'static Value>,
}

pub(crate) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let paths = DOCUMENT["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| Operation {
            method: method.to_uppercase(),
            path,
            parameters: operation["parameters"].as_array().into_iter().flatten().collect(),
            body: operation["requestBody"]["content"]["application/json"].get("schema"),
        })
    });
    operations.collect()
});

/// What a browser may ask for beside the API.
const PAGES: [&str; 42] = [
    "/",
    "/index.png",
    "/jobs",
    "/jobs/new",
    "/jobs/{id}",
    "/lend",
    "/account",
    "/calculator",
    "/status",
    "/status.png",
    "/explorer",
    "/explorer.png",
    "/explorer/devices",
    "/explorer/devices.csv",
    "/explorer/devices.json",
    "/explorer/devices/{id}",
    "/explorer/devices/{id}.png",
    "/explorer/devices/{id}.csv",
    "/explorer/jobs",
    "/explorer/jobs.csv",
    "/explorer/jobs.json",
    "/explorer/jobs/{id}",
    "/explorer/jobs/{id}.png",
    "/explorer/jobs/{id}.json",
    "/explorer/receipts",
    "/explorer/receipts.csv",
    "/explorer/receipts/{id}",
    "/explorer/receipts/{id}.png",
    "/explorer/receipts/{id}.json",
    "/explorer/search",
    "/docs",
    "/docs/api",
    "/docs/{id}",
    "/docs/guides/run-a-model",
    "/docs/reference/errors",
    "/robots.txt",
    "/sitemap.xml",
    "/install.sh",
    "/downloads/{id}",
    "/pkg/{id}",
    "/{id}",
    "//{id}/",
];

/// Parameters that some page or operation reads, and some that none does.
const PARAMETERS: [&str; 22] = [
    "after", "limit", "class", "online", "q", "before", "state", "rows", "tile", "format", "output", "partial", "lang",
    "key", "code", "", "limit[]", "a.b", "rows ", "Q", "json", "theme",
];

const VALUES: [&str; 50] = [
    "",
    "1",
    "0",
    "-1",
    "20",
    "100",
    "101",
    "500",
    "501",
    "18446744073709551615",
    "9223372036854775808",
    "1e3",
    "true",
    "false",
    "null",
    "tab",
    "native",
    "running",
    "done",
    "npy",
    "npz",
    "csv",
    "json",
    "bin",
    "en",
    "zh",
    "fr",
    "%00",
    "%ff",
    "%",
    "%zz",
    "%2e%2e%2f",
    "%f0%9f%98%80",
    "+",
    "%25",
    "019aa966",
    "0101",
    "0101010101010101",
    "a.b",
    "1795372807000000.01010101",
    "1795372807000000.",
    "9223372036854775807.019aa966-9c00-7123-8a5b-2f6c1d0e9b47",
    "'",
    "\"",
    "%27%20or%201=1--",
    "_",
    "%25%25",
    "x%00y",
    "%E6%BC%A2",
    "%C3%28",
];

/// Percent-encoded where it must be, and now and then where it must not.
fn encoded(draw: &mut Draw, text: &str) -> String {
    let keeps = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if keeps(byte) && !draw.one_in(30) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

fn id(draw: &mut Draw, known: &Known) -> String {
    match draw.below(8) {
        0 => (draw.pick(&VALUES)).to_owned(),
        1 => {
            let text = draw.text(60);
            encoded(draw, &text)
        }
        2 => {
            let text = draw.pick(&known.ids);
            let damaged = mutate::bytes(draw, text.into_bytes(), &[]);
            encoded(draw, &String::from_utf8_lossy(&damaged[..damaged.len().min(300)]))
        }
        _ => draw.pick(&known.ids),
    }
}

/// A path with something in each of its gaps.
fn path(draw: &mut Draw, known: &Known, path: &str) -> String {
    let mut filled = String::new();
    for (place, part) in path.split(['{', '}']).enumerate() {
        match (place % 2, part) {
            (0, part) => filled.push_str(part),
            (_, "token") if !draw.one_in(4) => {
                let token = draw.pick(&known.tokens);
                let token = if draw.one_in(4) { mutate::text(draw, &token, &[".", "A", "_"]) } else { token };
                filled.push_str(&encoded(draw, &token));
            }
            (_, "hash") if !draw.one_in(3) => filled.push_str(draw.pick(&[&known.model, &known.input])),
            _ => filled.push_str(&id(draw, known)),
        }
    }
    if draw.one_in(40) {
        filled.push_str(draw.pick(&["/", "//", "/..", "/.", "%2f", ".png", ".csv", ".json", ".png.png", ";a=b"]));
    }
    filled
}

fn value(draw: &mut Draw, known: &Known, schema: &Value) -> String {
    match draw.below(5) {
        0 | 1 => (draw.pick(&VALUES)).to_owned(),
        2 => id(draw, known),
        3 => {
            let made = Maker { draw, known: &known.ids, wrong_one_in: 10 }.of(schema);
            let text = made.as_str().map_or_else(|| made.to_string(), str::to_owned);
            encoded(draw, &text)
        }
        _ => {
            let longest = draw.pick(&[10, 10, 200, 10_000]);
            let text = draw.text(longest);
            encoded(draw, &text)
        }
    }
}

fn query(draw: &mut Draw, known: &Known, parameters: &[&Value]) -> String {
    let mut pairs = Vec::new();
    for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
        let times = if draw.one_in(15) { 2 } else { usize::from(!draw.one_in(3)) };
        for _ in 0..times {
            let name = parameter["name"].as_str().unwrap_or_default();
            pairs.push(format!("{name}={}", value(draw, known, &parameter["schema"])));
        }
    }
    if draw.one_in(if parameters.is_empty() { 2 } else { 6 }) {
        for _ in 0..draw.size_or_more(4, 20, 2000) {
            let value = value(draw, known, &Value::Null);
            let name = draw.pick(&PARAMETERS);
            pairs.push(if draw.one_in(8) { (*name).to_owned() } else { format!("{name}={value}") });
        }
    }
    pairs.join(draw.pick(&["&", "&", "&", "&", ";", "&&"]))
}

/// Headers that something reads, and what may stand in them.
const HEADER_NAMES: [&str; 14] = [
    "idempotency-key",
    "accept",
    "accept-language",
    "accept-encoding",
    "range",
    "if-none-match",
    "if-modified-since",
    "x-forwarded-for",
    "forwarded",
    "content-length",
    "expect",
    "cookie",
    "origin",
    "last-event-id",
];
const HEADER_VALUES: [&[u8]; 20] = [
    b"",
    b"a",
    b"*/*",
    b"zh-CN,zh;q=0.9",
    b"br",
    b"gzip, deflate, br;q=0, *;q=9",
    b"bytes=0-10",
    b"bytes=-1",
    b"bytes=18446744073709551615-",
    b"\"x\"",
    b"1.2.3.4, 10.0.0.1",
    b"for=\"[::1]:80\";by=x",
    b"0",
    b"18446744073709551616",
    b"-1",
    b"100-continue",
    b"tessera_lang=zh; tessera_session=",
    b"http://tessera.test",
    b"\xff\xfe",
    b"Mon, 99 Foo 2026 99:99:99 GMT",
];

/// Who asks, and what else a head says.
fn add_headers(draw: &mut Draw, known: &Known, request: &mut Request<Body>) {
    let mut add = |name: &'static str, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
    };
    match draw.below(10) {
        0 => {}
        1 => add("cookie", draw.pick(&known.sessions).as_bytes()),
        2 => {
            add("cookie", draw.pick(&known.sessions).as_bytes());
            add("host", b"tessera.test");
            add("origin", draw.pick(&[&b"http://tessera.test"[..], b"http://evil.test", b"null", b"", b"://"]));
        }
        3 => {
            let text = draw.text(80);
            add("authorization", text.as_bytes());
            add("cookie", text.as_bytes());
        }
        _ => add("authorization", format!("Bearer {}", draw.pick(&known.keys)).as_bytes()),
    }
    for _ in 0..draw.size(4) {
        let name = draw.pick(&HEADER_NAMES);
        if draw.one_in(4) {
            let text = draw.text(300);
            add(name, text.as_bytes());
        } else {
            add(name, draw.pick(&HEADER_VALUES));
        }
    }
}

/// Anything that is only read.
pub(crate) fn reading(draw: &mut Draw, known: &Known) -> Option<Request<Body>> {
    let (target, parameters): (&str, &[&Value]) = if draw.one_in(3) {
        (draw.pick(&PAGES), &[])
    } else {
        let reads: Vec<&Operation> = OPERATIONS.iter().filter(|operation| operation.method == "GET").collect();
        let operation = draw.pick(&reads);
        (operation.path, &operation.parameters)
    };
    let (path, query) = (path(draw, known, target), query(draw, known, parameters));
    let method = if draw.one_in(20) { draw.pick(&["HEAD", "OPTIONS", "POST", "DELETE", "TRACE", "X"]) } else { "GET" };
    finish(draw, known, method, &format!("{path}?{query}"), Vec::new(), None)
}

/// Something with a body, whether or not the operation reads one.
pub(crate) fn writing(draw: &mut Draw, known: &Known) -> Option<Request<Body>> {
    let writes: Vec<&Operation> = OPERATIONS.iter().filter(|operation| operation.method != "GET").collect();
    let operation = draw.pick(&writes);
    let path = path(draw, known, operation.path);
    let (body, content_type) = body(draw, known, operation);
    finish(draw, known, &operation.method, &path, body, Some(content_type))
}

fn body(draw: &mut Draw, known: &Known, operation: &Operation) -> (Vec<u8>, String) {
    let schema = operation.body;
    let (body, mut content_type) = match draw.below(8) {
        0 => multipart(draw, known),
        1 => {
            let pairs = query(draw, known, &operation.parameters);
            (pairs.into_bytes(), "application/x-www-form-urlencoded".to_owned())
        }
        2 => {
            let size = draw.size(5000);
            (draw.bytes(size), "application/octet-stream".to_owned())
        }
        _ => (json(draw, known, schema), "application/json".to_owned()),
    };
    if draw.one_in(10) {
        const TYPES: [&str; 10] = [
            "application/json; charset=utf-16",
            "APPLICATION/JSON",
            "application/merge-patch+json",
            "application/json,multipart/form-data; boundary=x",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=\"\u{e9}\"",
            "text/plain",
            "",
            ";;;",
        ];
        draw.pick(&TYPES).clone_into(&mut content_type);
    }
    (body, content_type)
}

fn json(draw: &mut Draw, known: &Known, schema: Option<&Value>) -> Vec<u8> {
    let wrong_one_in = draw.pick(&[6, 20, 500]);
    let made = Maker { draw, known: &known.ids, wrong_one_in }.of(schema.unwrap_or(&Value::Null));
    let text = made.to_string();
    match draw.below(6) {
        0 => mutate::bytes(draw, text.into_bytes(), &[b"[[[[[[[[", b"{\"a\":"]),
        1 => mutate::text(draw, &text, &["[", "{", "\"kind\"", "\"map\"", "\"infer\"", "null", "1e999", ","])
            .into_bytes(),
        _ => text.into_bytes(),
    }
}

/// Parts as a form of a browser's sends them, and as none does.
fn multipart(draw: &mut Draw, known: &Known) -> (Vec<u8>, String) {
    let boundary = (draw.pick(&["x", "----WebKitFormBoundary7MA4YWxk", "a b", "--", "é", ""])).to_owned();
    let mut body = Vec::new();
    for _ in 0..draw.size_or_more(6, 10, 500) {
        let name = draw.pick(&["file", "model", "kernel", "input", "name", "", "a\"b", "program[kind]", "\u{0}"]);
        let file =
            draw.pick(&["", "; filename=\"a.onnx\"", "; filename=\"../../etc/passwd\"", "; filename*=UTF-8''%ff"]);
        body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n").bytes());
        if draw.one_in(3) {
            body.extend(b"Content-Type: multipart/mixed; boundary=y\r\nContent-Length: 99999999999\r\n");
        }
        body.extend(b"\r\n");
        let size = draw.size(400);
        body.extend(if draw.one_in(3) { draw.pick(&known.ids).into_bytes() } else { draw.bytes(size) });
        body.extend(b"\r\n");
    }
    if !draw.one_in(4) {
        body.extend(format!("--{boundary}--\r\n").bytes());
    }
    if draw.one_in(3) {
        body = mutate::bytes(draw, body, &[b"\r\n--x", b"\r\n\r\n"]);
    }
    (body, format!("multipart/form-data; boundary={boundary}"))
}

fn finish(
    draw: &mut Draw,
    known: &Known,
    method: &str,
    target: &str,
    body: Vec<u8>,
    content_type: Option<String>,
) -> Option<Request<Body>> {
    // What is no address reaches no server.
    let uri: Uri = target.parse().ok()?;
    draw.show(&format!("{method} {target} ({})", content_type.as_deref().unwrap_or("no body")), &body);
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri;
    if let Some(value) = content_type.and_then(|content_type| HeaderValue::from_str(&content_type).ok()) {
        request.headers_mut().insert(CONTENT_TYPE, value);
    }
    add_headers(draw, known, &mut request);
    draw.show("with", &format!("{:?}", request.headers()));
    Some(request)
}

/// From somewhere, so that what limits one address does not limit all requests of a seed.
pub(crate) fn sender(draw: &mut Draw) -> SocketAddr {
    let [a, b] = draw.array();
    ([10, 1, a, b], 4000).into()
}

/// Asks, and holds the answer to what every answer promises; gives its body.
pub(crate) async fn ask(edge: &Edge, draw: &mut Draw, request: Request<Body>) -> anyhow::Result<Bytes> {
    let (method, path) = (request.method().clone(), request.uri().to_string());
    let from = sender(draw);
    let response = edge.ask(request, from).await?;
    draw.is_taken |= response.status().is_success();
    check(&method, &path, response).await
}

async fn check(method: &Method, path: &str, response: Response<Body>) -> anyhow::Result<Bytes> {
    let status = response.status();
    let short: String = path.chars().take(300).collect();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content_type, is_events) = (header("content-type").to_owned(), header("content-type") == "text/event-stream");
    // Events have no end to wait for.
    let body = if is_events { None } else { Some(axum::body::to_bytes(response.into_body(), 256 << 20).await) };
    let body = body.transpose().with_context(|| format!("{method} {short} breaks off"))?.unwrap_or_default();
    let says = String::from_utf8_lossy(&body[..body.len().min(300)]);
    ensure!(!status.is_server_error(), "{method} {short} answers {status}: {says}");
    let is_refusal = status.is_client_error() && path.starts_with("/v1/") && *method != Method::HEAD;
    if is_refusal {
        ensure!(content_type == "application/json", "{method} {short} answers {status} as '{content_type}': {says}");
        let read = serde_json::from_slice::<wire::ErrorBody>(&body);
        read.with_context(|| format!("{method} {short} answers {status} in another shape: {says}"))?;
    }
    Ok(body)
}
