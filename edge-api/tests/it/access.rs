//! Every route as nobody, as a stranger and as the owner. A route without a row fails the test.

use axum::body::Body;
use axum::http::{Method, Request};
use edge_api::routes::routes;

use crate::app::TestApp;

/// Who may do what: the status for nobody, a stranger, and the owner.
const ACCESS: [(&str, &str, [u16; 3]); 52] = [
    ("POST", "/v1/accounts", [400, 400, 400]),
    ("GET", "/v1/account", [401, 200, 200]),
    ("POST", "/v1/sessions", [401, 201, 201]),
    ("DELETE", "/v1/sessions", [401, 204, 204]),
    ("GET", "/v1/account/entries", [401, 200, 200]),
    ("GET", "/v1/account/keys", [401, 200, 200]),
    ("POST", "/v1/account/keys", [401, 400, 400]),
    ("DELETE", "/v1/account/keys/{id}", [401, 404, 404]),
    ("GET", "/v1/devices", [401, 200, 200]),
    ("DELETE", "/v1/devices/{id}", [401, 404, 404]),
    ("POST", "/v1/device-codes", [401, 201, 201]),
    ("POST", "/v1/blobs", [401, 201, 201]),
    ("GET", "/v1/blobs/{hash}", [401, 404, 200]),
    ("POST", "/v1/kernels/check", [400, 400, 400]),
    ("POST", "/v1/quotes", [401, 400, 400]),
    ("POST", "/v1/trials", [401, 400, 400]),
    ("POST", "/v1/jobs", [401, 400, 400]),
    ("GET", "/v1/jobs", [401, 200, 200]),
    ("GET", "/v1/jobs/{id}", [401, 404, 200]),
    ("GET", "/v1/jobs/{id}/progress", [401, 404, 200]),
    ("GET", "/v1/jobs/{id}/detail", [401, 404, 200]),
    ("GET", "/v1/jobs/{id}/events", [401, 404, 200]),
    ("GET", "/v1/jobs/{id}/result", [401, 404, 409]),
    ("POST", "/v1/jobs/{id}/cancel", [401, 404, 200]),
    ("POST", "/v1/jobs/{id}/publish", [401, 404, 200]),
    ("POST", "/v1/jobs/{id}/unpublish", [401, 404, 200]),
    ("GET", "/v1/public/overview", [200, 200, 200]),
    ("GET", "/v1/public/devices", [200, 200, 200]),
    ("GET", "/v1/public/devices/{id}", [404, 404, 404]),
    ("GET", "/v1/public/jobs", [200, 200, 200]),
    ("GET", "/v1/public/jobs/{id}", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/code", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/kernel", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/params", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/plan", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/weights", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/input", [404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/output", [404, 404, 404]),
    ("GET", "/v1/public/receipts", [200, 200, 200]),
    ("GET", "/v1/public/receipts/{id}", [404, 404, 404]),
    ("GET", "/v1/public/search", [422, 422, 422]),
    ("GET", "/v1/devices/socket", [400, 400, 400]),
    ("GET", "/v1/leases/{token}/code", [404, 404, 404]),
    ("GET", "/v1/leases/{token}/kernel", [404, 404, 404]),
    ("GET", "/v1/leases/{token}/params", [404, 404, 404]),
    ("GET", "/v1/leases/{token}/plan", [404, 404, 404]),
    ("GET", "/v1/leases/{token}/weights", [404, 404, 404]),
    ("GET", "/v1/leases/{token}/input", [404, 404, 404]),
    ("PUT", "/v1/leases/{token}/output", [404, 404, 404]),
    ("GET", "/v1/openapi.json", [200, 200, 200]),
    ("GET", "/v1/health", [200, 200, 200]),
];

#[tokio::test]
async fn every_route_lets_in_whom_its_row_says() {
    let app = TestApp::sqlite().await;
    let (owner, stranger) = (app.customer("Ada").await, app.customer("Bob").await);
    let hash = owner.blob(b"hers".to_vec()).await;
    let job = owner.submit(&owner.digits().await, "a").await.json()["id"].as_str().unwrap().to_owned();
    let keys = [None, Some(&stranger.key), Some(&owner.key)];

    for (method, path, expected) in ACCESS {
        let mut target = path.replace("{hash}", &hash.to_string()).replace("{id}", &job);
        target = target.replace("{token}", "forged.token");
        if path.ends_with("/plan") || path.ends_with("/weights") {
            target.push_str("?rows=1");
        }
        for (key, expected) in keys.into_iter().zip(expected) {
            let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(&target);
            if let Some(key) = key {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let status = status(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, expected, "{method} {path} with {}", if key.is_some() { "a key" } else { "no key" });
        }
    }
}

/// The status alone: an event stream has no end to wait for.
async fn status(app: &TestApp, mut request: Request<Body>) -> u16 {
    use tower::ServiceExt;
    let from = std::net::SocketAddr::from(([127, 0, 0, 1], 4000));
    request.extensions_mut().insert(axum::extract::ConnectInfo(from));
    app.router.clone().oneshot(request).await.unwrap().status().as_u16()
}

#[test]
fn every_route_has_a_row() {
    let routes: Vec<_> = routes().iter().map(|route| (route.method, route.path)).collect();
    let rows: Vec<_> = ACCESS.iter().map(|(method, path, _)| (*method, *path)).collect();

    assert_eq!(rows, routes);
}
