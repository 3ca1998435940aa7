//! Every route of the API.

use edge_api::routes::routes;

use super::callers::{Caller, World, prepare};
use crate::db_test;

/// The statuses for nobody, stranger, owner, session, device, checker, operator.
pub(crate) const ROUTES: [(&str, &str, [u16; 7]); 60] = [
    ("POST", "/v1/accounts", [201, 201, 201, 201, 201, 201, 201]),
    ("GET", "/v1/account", [401, 200, 200, 200, 401, 401, 200]),
    ("POST", "/v1/sessions", [401, 201, 201, 201, 401, 401, 201]),
    ("DELETE", "/v1/sessions", [401, 204, 204, 204, 401, 401, 204]),
    ("GET", "/v1/account/entries", [401, 200, 200, 200, 401, 401, 200]),
    ("GET", "/v1/account/movements", [401, 200, 200, 200, 401, 401, 200]),
    ("GET", "/v1/account/keys", [401, 200, 200, 200, 401, 401, 200]),
    ("POST", "/v1/account/keys", [401, 201, 201, 201, 401, 401, 201]),
    ("DELETE", "/v1/account/keys/{id}", [401, 404, 204, 204, 401, 401, 404]),
    ("GET", "/v1/devices", [401, 200, 200, 200, 401, 401, 200]),
    ("DELETE", "/v1/devices/{id}", [401, 404, 204, 204, 401, 401, 404]),
    ("POST", "/v1/device-codes", [401, 201, 201, 201, 401, 401, 201]),
    ("POST", "/v1/blobs", [401, 201, 201, 201, 401, 401, 201]),
    ("GET", "/v1/blobs/{hash}", [401, 404, 200, 200, 401, 401, 404]),
    ("POST", "/v1/arrays", [401, 422, 201, 201, 401, 401, 422]),
    ("POST", "/v1/kernels/check", [200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/v1/models/check", [401, 422, 200, 200, 401, 401, 422]),
    // Whoever names a blob of another account in an order is told that there is none.
    ("POST", "/v1/quotes", [401, 422, 200, 200, 401, 401, 422]),
    ("POST", "/v1/trials", [401, 422, 200, 200, 401, 401, 422]),
    ("POST", "/v1/jobs", [401, 422, 201, 201, 401, 401, 422]),
    ("GET", "/v1/jobs", [401, 200, 200, 200, 401, 401, 200]),
    ("GET", "/v1/jobs/{id}", [401, 404, 200, 200, 401, 401, 404]),
    ("GET", "/v1/jobs/{id}/progress", [401, 404, 200, 200, 401, 401, 404]),
    ("GET", "/v1/jobs/{id}/detail", [401, 404, 200, 200, 401, 401, 404]),
    ("GET", "/v1/jobs/{id}/events", [401, 404, 200, 200, 401, 401, 404]),
    ("GET", "/v1/jobs/{id}/result", [401, 404, 200, 200, 401, 401, 404]),
    ("GET", "/v1/jobs/{id}/preview", [401, 404, 200, 200, 401, 401, 404]),
    // What the world's model answers is no picture.
    ("GET", "/v1/jobs/{id}/preview/picture", [401, 404, 422, 422, 401, 401, 404]),
    ("POST", "/v1/jobs/{id}/cancel", [401, 404, 200, 200, 401, 401, 404]),
    ("POST", "/v1/jobs/{id}/publish", [401, 404, 200, 200, 401, 401, 404]),
    ("POST", "/v1/jobs/{id}/unpublish", [401, 404, 200, 200, 401, 401, 404]),
    // The job is private from here on: what is public is the same for everyone, the owner among them.
    ("GET", "/v1/public/overview", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/devices", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/devices/{id}", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/jobs", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/jobs/{id}", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/code", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/kernel", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/params", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/plan", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/weights", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/input", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/jobs/{id}/sample/output", [404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/public/receipts", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/receipts/{id}", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/search", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/public/status", [200, 200, 200, 200, 200, 200, 200]),
    // Opened by a WebSocket's handshake, and then by a device's signature alone.
    ("GET", "/v1/devices/socket", [400, 400, 400, 400, 400, 400, 400]),
    ("GET", "/v1/leases/{token}/code", [404, 404, 404, 404, 200, 200, 404]),
    ("GET", "/v1/leases/{token}/kernel", [404, 404, 404, 404, 200, 200, 404]),
    ("GET", "/v1/leases/{token}/params", [404, 404, 404, 404, 200, 200, 404]),
    // A model has a plan, and what the checker recomputes here is a kernel's.
    ("GET", "/v1/leases/{token}/plan", [404, 404, 404, 404, 200, 404, 404]),
    ("GET", "/v1/leases/{token}/weights", [404, 404, 404, 404, 200, 404, 404]),
    ("GET", "/v1/leases/{token}/input", [404, 404, 404, 404, 200, 200, 404]),
    ("PUT", "/v1/leases/{token}/output", [404, 404, 404, 404, 201, 201, 404]),
    ("GET", "/v1/openapi.json", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/health", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/live", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/ready", [200, 200, 200, 200, 200, 200, 200]),
];

#[test]
fn every_route_has_a_row() {
    let routes: Vec<_> = routes().iter().map(|route| (route.method, route.path)).collect();
    let rows: Vec<_> = ROUTES.iter().map(|(method, path, _)| (*method, *path)).collect();

    assert_eq!(rows, routes);
}

db_test! {
    async fn every_route_lets_in_whom_its_row_says(app: TestApp with prepare) {
        let world = World::new(&app).await;

        for (method, path, expected) in ROUTES {
            let mut found = [0; 7];
            for (found, caller) in found.iter_mut().zip(Caller::ALL) {
                *found = world.ask(caller, method, path).await.status.as_u16();
            }
            assert_eq!(found, expected, "{method} {path} as {:?}", Caller::ALL);
        }
    }
}

/// The address with an id that nothing has.
fn with_unknown_id(path: &str, target: &str) -> String {
    let part = path.split('/').position(|part| part.starts_with('{')).unwrap();
    let id = target.split(['/', '?']).nth(part).unwrap();
    let is_job = id.contains('-');
    let unknown = if is_job { "01a204cd-e905-7e4a-a5ab-abea1bf0e30f".to_owned() } else { "ab".repeat(id.len() / 2) };
    target.replace(id, &unknown)
}

db_test! {
    async fn what_is_another_accounts_looks_like_what_is_not_there(app: TestApp with prepare) {
        let world = World::new(&app).await;

        let names_something = |path: &str| path.contains("{id}") || path.contains("{hash}");
        for (method, path, _) in ROUTES.iter().filter(|(_, path, _)| names_something(path)) {
            for caller in Caller::ALL.into_iter().filter(|caller| !caller.is_owner()) {
                let target = world.target(caller, path).await;
                let there = world.send(world.request(caller, method, path, &target).await).await;
                // A device's page and a receipt are everyone's to read.
                if there.status == 200 {
                    continue;
                }
                let unknown = with_unknown_id(path, &target);
                let not_there = world.send(world.request(caller, method, path, &unknown).await).await;
                assert_eq!(there.status, not_there.status, "{method} {path} as {caller:?}");
                assert_eq!(there.json(), not_there.json(), "{method} {path} as {caller:?}");
            }
        }
    }
}

db_test! {
    async fn another_sites_page_does_nothing_with_the_owners_session(app: TestApp with prepare) {
        let world = World::new(&app).await;

        let needs_caller = ROUTES.iter().filter(|(method, _, statuses)| *method != "GET" && statuses[0] == 401);
        for (method, path, _) in needs_caller {
            for origin in [None, Some("null"), Some("https://evil.test"), Some("http://tessera.test.evil.test")] {
                let refused = world.ask_from(origin, method, path).await;
                assert_eq!(refused.refusal(), "403 foreign_origin", "{method} {path} from {origin:?}");
            }
        }
        for (method, path, _) in ROUTES {
            let answer = world.ask_from(Some("https://evil.test"), method, path).await;
            let allows = |name: &axum::http::HeaderName| name.as_str().starts_with("access-control-");
            assert!(!answer.headers.keys().any(allows), "{method} {path} may be read by another site's page");
        }
    }
}

db_test! {
    async fn what_is_no_address_is_not_found_by_anyone(app: TestApp with prepare) {
        let world = World::new(&app).await;

        for path in ["/v1/nothing", "/v1/operator", "/v1/accounts/1", "/v1", "/admin", "/metrics", "/.env"] {
            for caller in Caller::ALL {
                assert_eq!(world.ask(caller, "GET", path).await.status, 404, "{path} as {caller:?}");
            }
        }
    }
}
