//! Every file and page of the site, and a page's picture and tables.

use site::{Ending, Page, file_addresses};

use super::callers::{Caller, World, prepare};
use crate::db_test;

/// The statuses for nobody, stranger, owner, session, device, checker, operator.
const FILES: [(&str, [u16; 7]); 7] = [
    ("/pkg/{file}", [200, 200, 200, 200, 200, 200, 200]),
    ("/robots.txt", [200, 200, 200, 200, 200, 200, 200]),
    ("/sitemap.xml", [200, 200, 200, 200, 200, 200, 200]),
    ("/install.sh", [200, 200, 200, 200, 200, 200, 200]),
    ("/downloads", [308, 308, 308, 308, 308, 308, 308]),
    ("/downloads/{file}", [200, 200, 200, 200, 200, 200, 200]),
    ("/index.png", [200, 200, 200, 200, 200, 200, 200]),
];

/// The same of the page, and for everyone the statuses of its picture, its CSV and its JSON. The job is private. A key
/// opens no page: browsers have sessions.
pub(super) const PAGES: [(&str, [u16; 7], [u16; 3]); 20] = [
    ("/", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
    ("/jobs", [401, 200, 401, 200, 401, 401, 200], [404, 404, 404]),
    ("/jobs/new", [200, 200, 200, 200, 200, 200, 200], [404, 404, 404]),
    ("/jobs/{id}", [401, 404, 401, 200, 401, 401, 404], [404, 404, 404]),
    ("/lend", [200, 200, 200, 200, 200, 200, 200], [404, 404, 404]),
    ("/account", [401, 200, 401, 200, 401, 401, 200], [404, 404, 404]),
    ("/calculator", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
    ("/status", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
    ("/explorer", [200, 200, 200, 200, 200, 200, 200], [200, 200, 200]),
    ("/explorer/devices", [200, 200, 200, 200, 200, 200, 200], [200, 200, 200]),
    ("/explorer/devices/{id}", [200, 200, 200, 200, 200, 200, 200], [200, 200, 200]),
    ("/explorer/jobs", [200, 200, 200, 200, 200, 200, 200], [200, 200, 200]),
    ("/explorer/jobs/{id}", [404, 404, 404, 404, 404, 404, 404], [404, 404, 404]),
    ("/explorer/receipts", [200, 200, 200, 200, 200, 200, 200], [200, 200, 200]),
    ("/explorer/receipts/{id}", [200, 200, 200, 200, 200, 200, 200], [200, 200, 200]),
    ("/explorer/search", [200, 200, 200, 200, 200, 200, 200], [404, 200, 200]),
    ("/docs", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
    ("/docs/api", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
    ("/docs/downloads", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
    ("/docs/{slug}", [200, 200, 200, 200, 200, 200, 200], [200, 404, 404]),
];

#[test]
fn every_file_and_page_has_a_row() {
    assert_eq!(FILES.map(|(path, _)| path.to_owned()).to_vec(), file_addresses());
    assert_eq!(PAGES.map(|(path, ..)| path).as_slice(), Page::ADDRESSES);
    assert_eq!(Ending::ALL.map(Ending::name), ["png", "csv", "json"]);
}

db_test! {
    async fn every_file_and_page_lets_in_whom_its_row_says(app: TestApp with prepare) {
        let world = World::new(&app).await;

        let pages = PAGES.iter().map(|(path, statuses, _)| (path, statuses));
        for (path, expected) in FILES.iter().map(|(path, statuses)| (path, statuses)).chain(pages) {
            let mut found = [0; 7];
            for (found, caller) in found.iter_mut().zip(Caller::ALL) {
                *found = world.ask(caller, "GET", path).await.status.as_u16();
            }
            assert_eq!(found, *expected, "{path} as {:?}", Caller::ALL);
        }
    }
}

db_test! {
    async fn every_picture_and_table_is_the_same_for_everyone(app: TestApp with prepare) {
        let world = World::new(&app).await;

        for (path, _, expected) in PAGES {
            for (ending, expected) in Ending::ALL.into_iter().zip(expected) {
                let path = format!("{path}.{}", ending.name());
                let seen = world.ask(Caller::Nobody, "GET", &path).await.bytes;
                for caller in Caller::ALL {
                    let answer = world.ask(caller, "GET", &path).await;
                    assert_eq!(answer.status.as_u16(), expected, "{path} as {caller:?}");
                    // What says that there is no such page has a link to the visitor's own.
                    assert!(expected == 404 || answer.bytes == seen, "{path} is another one for {caller:?}");
                }
            }
        }
    }
}

db_test! {
    async fn a_public_page_knows_no_visitor(app: TestApp with prepare) {
        let world = World::new(&app).await;

        for (path, statuses, _) in PAGES.iter().filter(|(path, ..)| path.starts_with("/explorer") || *path == "/") {
            let seen = world.ask(Caller::Nobody, "GET", path).await.bytes;
            for caller in Caller::ALL {
                let answer = world.ask(caller, "GET", path).await;
                assert_eq!(answer.status.as_u16(), statuses[0], "{path} as {caller:?}");
                assert!(answer.bytes == seen, "{path} is another one for {caller:?}");
                assert!(!answer.headers.contains_key("set-cookie"), "{path}");
            }
        }
    }
}

db_test! {
    async fn what_is_no_read_is_refused_by_every_page(app: TestApp with prepare) {
        let world = World::new(&app).await;

        for (path, ..) in PAGES {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                let answer = world.ask(Caller::Session, method, path).await;
                assert_eq!(answer.status, 405, "{method} {path}");
            }
        }
    }
}
