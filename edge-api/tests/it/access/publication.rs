//! What is published is everyone's, and what is not or no longer is nobody's but its owner's.

use serde_json::json;
use site::Ending;

use super::api::ROUTES;
use super::callers::{Caller, NAME, World, prepare};
use super::pages::PAGES;
use crate::db_test;

/// What names a job in public, and the status while it is published. The job is a model, which has a plan; kernels have
/// the rest.
const OF_A_JOB: [(&str, u16); 13] = [
    ("/v1/public/jobs/{id}", 200),
    ("/v1/public/jobs/{id}/sample", 200),
    ("/v1/public/jobs/{id}/sample/code", 200),
    ("/v1/public/jobs/{id}/sample/kernel", 404),
    ("/v1/public/jobs/{id}/sample/params", 404),
    ("/v1/public/jobs/{id}/sample/plan", 200),
    ("/v1/public/jobs/{id}/sample/weights", 200),
    ("/v1/public/jobs/{id}/sample/input", 200),
    ("/v1/public/jobs/{id}/sample/output", 200),
    ("/explorer/jobs/{id}", 200),
    ("/explorer/jobs/{id}.png", 200),
    ("/explorer/jobs/{id}.csv", 200),
    ("/explorer/jobs/{id}.json", 200),
];

fn is_of_a_job(path: &str) -> bool {
    ["/v1/public/jobs/{id}", "/explorer/jobs/{id}"].iter().any(|begin| path.starts_with(begin))
}

/// Every address that is read without a caller, with a page's tables.
fn public_addresses() -> Vec<String> {
    let routes = ROUTES.iter().filter(|(_, path, _)| path.starts_with("/v1/public/"));
    let pages = PAGES.iter().filter(|(path, ..)| path.starts_with("/explorer") || *path == "/");
    let with_endings = |path: &str| {
        let tables = [Ending::Csv, Ending::Json].map(|ending| format!("{path}.{}", ending.name()));
        [path.to_owned()].into_iter().chain(tables)
    };
    let mut found: Vec<String> = routes.map(|(_, path, _)| (*path).to_owned()).collect();
    found.extend(pages.flat_map(|(path, ..)| with_endings(path)));
    found.push("/sitemap.xml".to_owned());
    found
}

#[test]
fn every_address_of_a_published_job_has_a_row() {
    let routes = ROUTES.iter().map(|(_, path, _)| (*path).to_owned()).filter(|path| is_of_a_job(path));
    let endings = Ending::ALL.map(|ending| format!("/explorer/jobs/{{id}}.{}", ending.name()));
    let expected: Vec<String> = routes.chain(["/explorer/jobs/{id}".to_owned()]).chain(endings).collect();

    assert_eq!(OF_A_JOB.map(|(path, _)| path.to_owned()).to_vec(), expected);
}

async fn check_statuses(world: &World<'_>, when: &str, is_published: bool) {
    for (path, published) in OF_A_JOB {
        for caller in Caller::ALL {
            let status = world.ask(caller, "GET", path).await.status.as_u16();
            assert_eq!(status, if is_published { published } else { 404 }, "{path} as {caller:?}, {when}");
        }
    }
}

/// The lists, searches and pages of devices and receipts that name the job.
async fn mentions(world: &World<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for path in public_addresses().into_iter().filter(|path| !is_of_a_job(path)) {
        let answer = world.ask(Caller::Nobody, "GET", &path).await;
        let text = String::from_utf8(answer.bytes).unwrap();
        if text.contains(NAME) || text.contains(&world.job) {
            found.push(path);
        }
    }
    found
}

db_test! {
    async fn a_job_is_public_from_its_publication_until_it_is_taken_back(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let set = async |to: &str| world.owner.post(&format!("/v1/jobs/{}/{to}", world.job), &json!(null)).await.status;

        check_statuses(&world, "never published", false).await;
        assert_eq!(set("publish").await, 200);
        check_statuses(&world, "published", true).await;
        assert_eq!(set("unpublish").await, 200);
        check_statuses(&world, "taken back", false).await;
        assert_eq!(set("publish").await, 200);
        check_statuses(&world, "published again", true).await;
    }
}

db_test! {
    async fn no_list_and_no_search_names_a_private_job(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let set = async |to: &str| world.owner.post(&format!("/v1/jobs/{}/{to}", world.job), &json!(null)).await.status;

        let nowhere: [String; 0] = [];
        assert_eq!(mentions(&world).await, nowhere);
        assert_eq!(set("publish").await, 200);
        assert!(mentions(&world).await.len() > 10);
        assert_eq!(set("unpublish").await, 200);
        assert_eq!(mentions(&world).await, nowhere);
    }
}

db_test! {
    async fn in_the_portal_a_job_is_its_owners_alone_whether_published_or_not(app: TestApp with prepare) {
        let world = World::new(&app).await;
        let (_, expected, _) = PAGES.iter().find(|(path, ..)| *path == "/jobs/{id}").unwrap();

        for published in ["unpublish", "publish"] {
            world.owner.post(&format!("/v1/jobs/{}/{published}", world.job), &json!(null)).await;
            for (caller, expected) in Caller::ALL.into_iter().zip(expected) {
                let page = world.ask(caller, "GET", "/jobs/{id}").await;
                assert_eq!(page.status.as_u16(), *expected, "{caller:?} after {published}");
                assert_eq!(String::from_utf8(page.bytes).unwrap().contains(NAME), *expected == 200, "{caller:?}");
            }
        }
    }
}
