//! Keys, sessions, device codes and leases' tokens that are over, or were never given.

use std::sync::atomic::Ordering;

use axum::http::HeaderValue;
use edge_api::server::Patience;
use serde_json::json;
use wire::ErrorCode;

use super::api::ROUTES;
use super::callers::{CHECKER, Caller, World, prepare};
use super::pages::PAGES;
use crate::db_test;
use crate::device::Device;

/// That a header is refused by every route and page that wants to know its caller.
async fn check_opens_nothing(world: &World<'_>, header: &'static str, value: &str) {
    let send = async |method: &str, path: &str| {
        let target = world.target(Caller::Nobody, path).await;
        let mut request = world.request(Caller::Nobody, method, path, &target).await;
        request.headers_mut().insert(header, HeaderValue::from_str(value).unwrap());
        request.headers_mut().insert("origin", HeaderValue::from_static("http://tessera.test"));
        world.send(request).await
    };
    for (method, path, _) in ROUTES.iter().filter(|(_, _, statuses)| statuses[0] == 401) {
        assert_eq!(send(method, path).await.refusal(), "401 unauthorized", "{method} {path} with {header}");
    }
    for (path, ..) in PAGES.iter().filter(|(_, statuses, _)| statuses[0] == 401) {
        assert_eq!(send("GET", path).await.status, 401, "{path} with {header}");
    }
}

db_test! {
    async fn a_revoked_key_opens_nothing(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let made = world.owner.post("/v1/account/keys", &json!({ "name": "lost" })).await.json();
        let (secret, id) = (made["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
        let address = app.listen(Patience::default()).await;
        let connect = async || Device::connect(address, 3, |hello| hello.key = Some(secret.to_owned())).await;
        assert!(connect().await.is_ok());

        assert_eq!(world.owner.delete(&format!("/v1/account/keys/{id}")).await.status, 204);

        check_opens_nothing(&world, "authorization", &format!("Bearer {secret}")).await;
        assert_eq!(connect().await.err(), Some(ErrorCode::Unauthorized));
    }
}

db_test! {
    async fn a_session_that_has_ended_opens_nothing(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let (ended, expired) = (world.owner.sign_in().await, world.owner.sign_in().await);
        let target = world.target(Caller::Nobody, "/v1/sessions").await;
        let mut sign_out = world.request(Caller::Nobody, "DELETE", "/v1/sessions", &target).await;
        sign_out.headers_mut().insert("cookie", ended.parse().unwrap());
        sign_out.headers_mut().insert("origin", HeaderValue::from_static("http://tessera.test"));
        assert_eq!(world.send(sign_out).await.status, 204);

        check_opens_nothing(&world, "cookie", &ended).await;
        app.time.fetch_add(30 * 86_400_000_000, Ordering::Relaxed);
        check_opens_nothing(&world, "cookie", &expired).await;
    }
}

db_test! {
    async fn what_was_never_given_opens_nothing(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let session = world.owner.sign_in().await.split_once('=').unwrap().1.to_owned();
        let code = world.owner.post("/v1/device-codes", &json!(null)).await.json()["code"].as_str().unwrap().to_owned();

        for key in [session.as_str(), &code, &world.owner.key.to_uppercase(), &world.owner.key[..67], "", "tsk_"] {
            check_opens_nothing(&world, "authorization", &format!("Bearer {key}")).await;
        }
        check_opens_nothing(&world, "authorization", &format!("Basic {}", world.owner.key)).await;
        check_opens_nothing(&world, "cookie", &format!("tessera_session={}", world.owner.key)).await;
        check_opens_nothing(&world, "cookie", "tessera_session=").await;
    }
}

db_test! {
    async fn a_device_code_links_one_device_within_fifteen_minutes(app: TestApp) {
        let ada = app.customer("Ada").await;
        let address = app.listen(Patience::default()).await;
        let make = async || {
            let made = ada.post("/v1/device-codes", &json!(null)).await;
            made.json()["code"].as_str().unwrap().to_owned()
        };
        let connect = async |seed: u8, code: &str| {
            Device::connect(address, seed, |hello| hello.code = Some(code.to_owned())).await.err()
        };
        let (used, late) = (make().await, make().await);

        assert_eq!(connect(1, &used).await, None);
        assert_eq!(connect(2, &used).await, Some(ErrorCode::UnknownCode));
        app.time.fetch_add(15 * 60 * 1_000_000, Ordering::Relaxed);
        assert_eq!(connect(2, &late).await, Some(ErrorCode::UnknownCode));
        assert_eq!(ada.get("/v1/devices").await.json().as_array().unwrap().len(), 1);
    }
}

db_test! {
    async fn only_a_device_that_the_operator_has_named_is_a_checker(app: TestApp with prepare) {
        let address = app.listen(Patience::default()).await;
        let connect = async |seed: u8| Device::connect(address, seed, |hello| hello.checker = true).await.err();

        assert_eq!(connect(1).await, Some(ErrorCode::Unauthorized));
        assert_eq!(connect(CHECKER).await, None);
    }
}

db_test! {
    async fn a_leases_token_opens_its_own_files_until_its_deadline(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let code = async |token: &str| app.get(&format!("/v1/leases/{token}/code")).await;
        let [kernel, model, _] = world.tokens();
        let (body, seal) = kernel.split_once('.').unwrap();
        let (other_body, other_seal) = model.split_once('.').unwrap();

        assert!(code(kernel).await.bytes != code(model).await.bytes);
        for forged in [format!("{body}.{other_seal}"), format!("{other_body}.{seal}"), format!("{body}."), body.into()] {
            assert_eq!(code(&forged).await.refusal(), "404 unknown_lease", "{forged}");
        }
        let order = world.owner.digits().await;
        let trial = world.owner.post("/v1/trials", &json!({ "program": order["program"] })).await.json();
        let tokens: Vec<&str> = world.tokens().into_iter().chain(trial["token"].as_str()).collect();
        assert_eq!(tokens.len(), 4);
        for token in &tokens {
            assert_eq!(code(token).await.status, 200);
        }
        app.time.fetch_add(7 * 86_400_000_000, Ordering::Relaxed);
        for token in &tokens {
            assert_eq!(code(token).await.refusal(), "404 unknown_lease");
        }
    }
}

db_test! {
    async fn a_token_of_another_server_opens_nothing(app: TestApp with prepare) {
        let other = crate::app::TestApp::sqlite_with(prepare).await;
        let elsewhere = World::new(&other).await;

        for token in elsewhere.tokens() {
            for file in ["code", "kernel", "params", "plan?rows=1", "weights?rows=1", "input"] {
                let refused = app.get(&format!("/v1/leases/{token}/{file}")).await;
                assert_eq!(refused.refusal(), "404 unknown_lease", "{file}");
            }
        }
    }
}
