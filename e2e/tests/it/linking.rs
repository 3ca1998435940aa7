//! What links devices and browsers to an account, and what ends that.

use std::time::Duration;

use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use reqwest::header::COOKIE;
use serde_json::{Value, json};
use wire::{ErrorCode, FromDevice, Hello, ToDevice};
use worker::identity::Identity;

use crate::engine_test;

const SOON: Duration = Duration::from_mins(2);

/// Says hello with a key or a code, and returns the answer.
async fn join(url: &str, who: Identity, key: Option<&str>, code: Option<&str>) -> (Scripted, ToDevice) {
    let (mut device, nonce) = Scripted::open(url, who).await.unwrap();
    let (key, code) = (key.map(str::to_owned), code.map(str::to_owned));
    let hello = device.signed(nonce, Hello { key, code, ..device.hello(nonce) });
    device.say(&FromDevice::Hello(Box::new(hello))).await.unwrap();
    let answer = hear(&mut device).await;
    (device, answer)
}

async fn hear(device: &mut Scripted) -> ToDevice {
    tokio::time::timeout(SOON, device.hear()).await.expect("the server should say something").unwrap()
}

/// The reason of a close.
#[track_caller]
fn told(frame: &ToDevice) -> &str {
    match frame {
        ToDevice::Close { code: ErrorCode::Unauthorized, message } => message,
        other => panic!("expected a close, heard {other:?}"),
    }
}

async fn ask(method: reqwest::Method, url: String, key: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method, url).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn devices(url: &str, key: &str) -> usize {
    ask(reqwest::Method::GET, format!("{url}/v1/devices"), key, None).await.1.as_array().unwrap().len()
}

engine_test! {
    async fn a_revoked_key_takes_what_it_opened_with_it(mut stack: Stack) {
        let (url, other) = (stack.url(), stack.start_another_edge().await);
        let (client, key) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let (_, made) = ask(reqwest::Method::POST, format!("{url}/v1/account/keys"), &key, Some(json!({ "name": "CI" }))).await;
        let (id, leaked) = (made["key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        let cookie = format!("tessera_session={}", stack.session(leaked).await.unwrap());
        let signed_in = async || {
            let request = reqwest::Client::new().get(format!("{url}/v1/account")).header(COOKIE, &cookie);
            request.send().await.unwrap().status().as_u16()
        };
        let (here, there) = (identity(), identity());
        let (mut near, welcome) = join(&url, here.clone(), Some(leaked), None).await;
        assert!(matches!(welcome, ToDevice::Welcome(_)), "{welcome:?}");
        let (mut far, _) = join(&other, there.clone(), Some(leaked), None).await;
        assert_eq!((signed_in().await, devices(&url, &key).await), (200, 2));
        let events = reqwest::Client::new().get(format!("{url}/v1/jobs/{}/events", job.id)).bearer_auth(leaked);
        let events = events.send().await.unwrap();
        assert_eq!(events.status(), 200);

        let (revoked, _) = ask(reqwest::Method::DELETE, format!("{url}/v1/account/keys/{id}"), &key, None).await;

        assert_eq!(revoked, 204);
        assert!(told(&hear(&mut near).await).contains("unlinked"), "the socket of this replica ends");
        assert!(told(&hear(&mut far).await).contains("unlinked"), "and that of the other");
        tokio::time::timeout(SOON, events.bytes()).await.expect("the stream of events ends").unwrap();
        assert_eq!((signed_in().await, devices(&url, &key).await), (401, 0));
        assert_eq!(told(&join(&url, here.clone(), Some(leaked), None).await.1), "no account has this key");
        let (_device, as_guest) = join(&url, here.clone(), None, None).await;
        assert!(matches!(as_guest, ToDevice::Welcome(_)), "{as_guest:?}");
        assert_eq!(devices(&url, &key).await, 0, "it is a guest's now");
        let (_device, relinked) = join(&url, here, Some(&key), None).await;
        assert!(matches!(relinked, ToDevice::Welcome(_)), "{relinked:?}");
        assert_eq!(devices(&url, &key).await, 1, "a key that holds links it again");
    }
}

engine_test! {
    async fn an_unlinked_device_comes_back_by_a_code_and_by_nothing_else(stack: Stack) {
        let url = stack.url();
        let (_, key) = stack.customer().await.unwrap();
        let (_, stranger) = stack.customer().await.unwrap();
        let who = identity();
        let (mut device, _) = join(&url, who.clone(), Some(&key), None).await;
        let unlink = async |key: &str| ask(reqwest::Method::DELETE, format!("{url}/v1/devices/{}", who.device()), key, None).await.0;

        assert_eq!(unlink(&stranger).await, 404, "it is not theirs");
        assert_eq!(unlink(&key).await, 204);

        assert!(told(&hear(&mut device).await).contains("unlinked"));
        assert_eq!((unlink(&key).await, devices(&url, &key).await), (404, 0));
        assert!(told(&join(&url, who.clone(), Some(&key), None).await.1).contains("device code"));
        let (_, made) = ask(reqwest::Method::POST, format!("{url}/v1/device-codes"), &key, None).await;
        let (_device, welcome) = join(&url, who.clone(), None, made["code"].as_str()).await;
        assert!(matches!(welcome, ToDevice::Welcome(_)), "{welcome:?}");
        assert_eq!(devices(&url, &key).await, 1);
    }
}

#[tokio::test]
async fn a_device_is_unlinked_on_the_accounts_page() {
    let stack = Stack::start().await;
    let (_, key) = stack.customer().await.unwrap();
    let (_device, _) = join(&stack.url(), identity(), Some(&key), None).await;
    let browser = e2e::browser::Browser::start(e2e::browser::Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.open(&format!("{}/account", stack.url())).await;
    browser.text_where("[aria-labelledby=devices]", SOON, |devices| devices.contains("Scripted")).await;

    browser.press("Unlink").await;
    browser.click("dialog[open] .danger").await;

    browser.text_where("[aria-labelledby=devices]", SOON, |devices| devices.contains("No device is linked")).await;
    browser.close().await;
}
