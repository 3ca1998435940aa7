//! Whose files are whose, and to whom a job's files are lent.

use std::time::Duration;

use edge_api::server::Patience;
use serde_json::{Value, json};
use wire::device::LeaseGrant;

use super::callers::{job_id, kernel_order};
use crate::app::{Answer, Customer, TestApp, sample};
use crate::db_test;
use crate::device::Device;
use crate::refusals::npy;
use crate::until::until;

/// An order's answers by each route that takes one.
async fn order(customer: &Customer<'_>, program: &Value) -> [Answer; 3] {
    let body = json!({ "program": program });
    [
        customer.post("/v1/quotes", &body).await,
        customer.post("/v1/trials", &body).await,
        customer.post("/v1/jobs", &json!({ "program": program, "name": "x" })).await,
    ]
}

db_test! {
    async fn an_order_names_its_customers_own_files_alone(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let hers = [ada.digits().await["program"].clone(), kernel_order(&ada).await["program"].clone()];
        let his = [("model", sample("digits.onnx")), ("kernel", b"fn main() {}".to_vec())];

        for (program, fields) in hers.iter().zip([&["model", "input"][..], &["kernel", "params", "input"][..]]) {
            for &field in fields {
                let mut foreign = program.clone();
                // Uploaded only now: before that the model, which is the same, was no file of his.
                for (code, bytes) in his.iter().filter(|(code, _)| *code != field && program.get(*code).is_some()) {
                    foreign[*code] = json!(bob.blob(bytes.clone()).await);
                }
                if field != "params" {
                    foreign.as_object_mut().unwrap().remove("params");
                }
                let mut missing = foreign.clone();
                missing[field] = json!("ab".repeat(32));
                for (foreign, missing) in order(&bob, &foreign).await.iter().zip(order(&bob, &missing).await) {
                    assert_eq!(foreign.refusal(), format!("422 unknown_blob {field}"), "{}", foreign.json());
                    assert_eq!(foreign.json(), missing.json(), "a hash is not told from one that is nowhere");
                }
            }
        }
    }
}

db_test! {
    async fn a_file_is_read_by_those_who_have_uploaded_it(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let path = format!("/v1/blobs/{}", ada.blob(b"hers".to_vec()).await);

        assert_eq!(bob.get(&path).await.refusal(), "404 not_found");
        bob.blob(b"hers".to_vec()).await;
        assert_eq!(bob.get(&path).await.bytes, b"hers");
        assert_eq!(app.get(&path).await.refusal(), "401 unauthorized");
    }
}

fn is_hungry(app: &TestApp) -> bool {
    app.app.scheduler.lock().core.is_hungry()
}

/// Whether the lease's input is zeros, as the job's is that anybody may have.
async fn is_zeros(app: &TestApp, lease: &LeaseGrant) -> bool {
    let input = app.get(&format!("/v1/leases/{}/input", lease.token)).await;
    assert!(input.status == 200 && !input.bytes.is_empty());
    input.bytes.iter().all(|byte| *byte == 0)
}

db_test! {
    async fn a_job_for_its_owners_devices_is_lent_to_no_other(app: TestApp) {
        let (ada, bob) = (app.customer("Ada").await, app.customer("Bob").await);
        let address = app.listen(Patience::default()).await;
        let mut own = ada.digits().await;
        own["privacy"] = json!("own");
        let mut open = own.clone();
        open["privacy"] = json!("open");
        open["program"]["input"] = json!(ada.blob(npy("<f4", "False", "(2, 1, 8, 8)", 128)).await);
        let mut hers = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();

        for (seed, key) in [(2, None), (3, Some(bob.key.clone()))] {
            let mut others = Device::connect(address, seed, |hello| hello.key = key).await.unwrap();
            others.send(&wire::FromDevice::Ready).await;
            until("the device waits for work", Duration::from_secs(10), async || is_hungry(&app).then_some(())).await;
            let own_job = job_id(&ada.submit(&own, &format!("own-{seed}")).await);

            let lease = hers.take_lease().await;

            assert_eq!(lease.job.to_string(), own_job);
            assert!(!is_zeros(&app, &lease).await);
            assert!(is_hungry(&app), "the other device waits on beside a job with tiles to lend");
            let open_job = job_id(&ada.submit(&open, &format!("open-{seed}")).await);
            let lent = others.lease().await;
            assert_eq!(lent.job.to_string(), open_job);
            assert!(is_zeros(&app, &lent).await, "the token opens the rows of its own lease");
            for job in [own_job, open_job] {
                ada.post(&format!("/v1/jobs/{job}/cancel"), &json!(null)).await;
            }
        }
    }
}
