//! What a customer downloads of a job is, byte for byte, what devices uploaded for it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::time::Duration;

use axum::http::StatusCode;
use edge_api::arrays::npy::head;
use edge_api::server::Patience;
use onnx::proto::{Graph, Model, Node, OperatorSet};
use prost::Message;
use serde_json::{Value, json};
use wire::DType;
use wire::device::LeaseGrant;
use wire::program::map::FUEL_LEFT_BYTES;

use crate::app::{Customer, TestApp};
use crate::db_test;
use crate::device::Device;
use crate::kernels::KERNEL;
use crate::refusals::{named, node, npy};
use crate::until::until;

/// One whose outputs lie side by side in each row that is uploaded.
pub(crate) fn model_with_two_outputs() -> Vec<u8> {
    let second = Node { output: vec!["z".to_owned()], ..node("Neg", &["x"]) };
    let graph = Graph {
        node: vec![node("Relu", &["x"]), second],
        initializer: Vec::new(),
        input: vec![named("x")],
        output: vec![named("y"), named("z")],
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
}

/// Which rows a lease is of.
fn rows_of(lease: &LeaseGrant) -> Range<usize> {
    let first = wire::number::to(lease.first_tile * lease.tile_rows);
    first..first + wire::number::to::<usize>(lease.rows)
}

/// What a job's rows come to, and how they are uploaded.
struct Rows {
    bytes: Vec<u8>,
    row_bytes: usize,
    /// Follows each tile, if its program notes anything.
    note: Vec<u8>,
}

impl Rows {
    fn of(&self, lease: &LeaseGrant) -> &[u8] {
        let rows = rows_of(lease);
        &self.bytes[rows.start * self.row_bytes..rows.end * self.row_bytes]
    }

    fn upload(&self, lease: &LeaseGrant) -> Vec<u8> {
        let tile_bytes = wire::number::to::<usize>(lease.tile_rows) * self.row_bytes;
        self.of(lease).chunks(tile_bytes).flat_map(|tile| [tile, &self.note].concat()).collect()
    }

    /// All rows, with zeros for those that these leases do not have, and a byte a row that says which are there.
    fn with_gaps(&self, leases: &[LeaseGrant]) -> (Vec<u8>, Vec<u8>) {
        let count = self.bytes.len() / self.row_bytes;
        let (mut all, mut present) = (vec![0; self.bytes.len()], vec![0; count]);
        for lease in leases {
            let rows = rows_of(lease);
            all[rows.start * self.row_bytes..rows.end * self.row_bytes].copy_from_slice(self.of(lease));
            present[rows].fill(1);
        }
        (all, present)
    }
}

/// One of the outputs in each row: a name, what it is, and its bytes.
struct Output {
    name: &'static str,
    dtype: DType,
    len: u64,
    bytes: Range<usize>,
}

impl Output {
    /// As a file with this output of all rows.
    fn npy(&self, rows: &[u8], row_bytes: usize) -> Vec<u8> {
        let shape = [wire::number::to(rows.len() / row_bytes), self.len];
        let values = rows.chunks(row_bytes).flat_map(|row| &row[self.bytes.clone()]).copied();
        head(self.dtype, &shape).into_iter().chain(values).collect()
    }
}

/// The arrays in a `.npz`, by name.
fn arrays(npz: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(npz)).unwrap();
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let (mut file, mut bytes) = (archive.by_index(index).unwrap(), Vec::new());
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(arrays.insert(file.name().to_owned(), bytes), None, "{} is there twice", file.name());
    }
    arrays
}

/// What lies before a part of a result is not read for it: here from the middle of the first row behind what is damaged.
async fn check_parts(ada: &Customer<'_>, path: &str, behind: usize, rows: &Rows, outputs: &[Output]) {
    let part = async |query: &str, first: usize| {
        let answer = ada.get_with(&format!("{path}/result?{query}"), &[("range", &format!("bytes={first}-"))]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{query}");
        answer.bytes
    };
    let count = rows.bytes.len() / rows.row_bytes;
    assert!(behind < count);

    let first = behind * rows.row_bytes + 1;
    assert_eq!(part("format=bin", first).await, rows.bytes[first..]);
    for output in outputs {
        let whole = output.npy(&rows.bytes, rows.row_bytes);
        let first = whole.len() - (count - behind) * output.bytes.len() + 1;
        assert_eq!(part(&format!("format=npy&output={}", output.name), first).await, whole[first..], "{}", output.name);
    }
}

async fn hand_in(app: &TestApp, device: &mut Device, rows: &Rows, lease: &LeaseGrant) {
    device.commit(app, lease, rows.upload(lease)).await;
    assert_eq!(device.settled().await, lease.lease);
}

/// As a failing disk would.
async fn change_upload(app: &TestApp, statement: &'static str, upload: &[u8]) {
    let hash = wire::BlobHash(*blake3::hash(upload).as_bytes());
    let mut tx = app.app.db.begin_write().await.unwrap();
    let changed = sqlx::query(statement).bind(hash.to_string()).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

/// Two devices of the customer's share a job, and one of them leaves a hole in the middle for a while.
async fn check_results(app: &TestApp, ada: &Customer<'_>, program: Value, rows: &Rows, outputs: &[Output]) {
    let address = app.listen(Patience::default()).await;
    let connect = async |seed| Device::connect(address, seed, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
    let (mut quick, mut slow) = (connect(1).await, connect(2).await);
    let job = ada.submit(&json!({ "program": program, "name": "x", "privacy": "own" }), "a").await;
    assert_eq!(job.status, StatusCode::CREATED, "{}", job.refusal());
    let path = format!("/v1/jobs/{}", job.json()["id"].as_str().unwrap());
    let result = async |params: &str| ada.get(&format!("{path}/result?{params}")).await;
    let expected = |leases: &[LeaseGrant]| {
        let (all, present) = rows.with_gaps(leases);
        let mut arrays: BTreeMap<String, Vec<u8>> =
            outputs.iter().map(|output| (format!("{}.npy", output.name), output.npy(&all, rows.row_bytes))).collect();
        let present = [head(DType::Bool, &[wire::number::to(present.len())]), present].concat();
        arrays.insert("rows_present.npy".to_owned(), present);
        arrays
    };

    let first = quick.take_lease().await;
    let hole = slow.take_lease().await;
    hand_in(app, &mut quick, rows, &first).await;
    let third = quick.take_lease().await;
    hand_in(app, &mut quick, rows, &third).await;
    assert!(first.first_tile < hole.first_tile && hole.first_tile < third.first_tile);

    let mut settled = vec![first, third];
    assert_eq!(arrays(result("partial=true").await.bytes), expected(&settled));
    assert_eq!(arrays(result("partial=true&format=npz").await.bytes), expected(&settled));
    assert_eq!(result("partial=true&format=csv").await.refusal(), "422 malformed_request format");
    assert_eq!(result("format=npz").await.refusal(), "409 job_not_done");

    hand_in(app, &mut slow, rows, &hole).await;
    settled.push(hole);
    while rows.with_gaps(&settled).0 != rows.bytes {
        let lease = quick.take_lease().await;
        hand_in(app, &mut quick, rows, &lease).await;
        settled.push(lease);
    }
    until("the job is done", Duration::from_secs(10), async || {
        (ada.get(&path).await.json()["state"] == "done").then_some(())
    })
    .await;

    let mut whole = expected(&settled);
    assert_eq!(arrays(result("partial=true").await.bytes), whole, "with all that there is");
    whole.remove("rows_present.npy");
    assert_eq!(arrays(result("format=npz").await.bytes), whole);
    assert_eq!(result("format=bin").await.bytes, rows.bytes);
    for output in outputs {
        let array = result(&format!("format=npy&output={}", output.name)).await;
        assert_eq!(array.bytes, output.npy(&rows.bytes, rows.row_bytes), "{}", output.name);
    }

    // What a disk does to some of it.
    let (damaged, lost) = (settled.swap_remove(0), settled.swap_remove(0));
    let mix_up =
        "update small_blob set bytes = (select bytes from small_blob where hash <> $1 limit 1) where hash = $1";
    change_upload(app, mix_up, &rows.upload(&damaged)).await;
    let whole = ada.try_get(&format!("{path}/result?format=bin")).await;
    assert!(whole.is_err(), "it breaks off rather than give what nobody uploaded");
    assert_eq!(damaged.first_tile, 0);
    check_parts(ada, &path, rows_of(&damaged).end, rows, outputs).await;
    assert_eq!(
        arrays(result("partial=true").await.bytes),
        expected(&[&settled[..], std::slice::from_ref(&lost)].concat())
    );
    change_upload(app, "delete from small_blob where hash = $1", &rows.upload(&lost)).await;
    assert_eq!(result("format=bin").await.refusal(), "410 result_damaged");
    assert_eq!(arrays(result("partial=true").await.bytes), expected(&settled));
}

db_test! {
    async fn results_of_a_model_are_what_was_uploaded_with_zeros_where_nothing_is_verified(app: TestApp) {
        let ada = app.customer("Ada").await;
        // Below zero first, and never zero; the server computes them again.
        let values: Vec<[f32; 4]> = (0..40_u8).map(|row| [0, 40, 80, 120].map(|more| f32::from(row + more) - 79.5)).collect();
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut input = npy("<f4", "False", "(40, 4)", 0);
        input.extend(bytes(values.as_flattened()));
        let computed = values.iter().flat_map(|row| [row.map(|value| value.max(0.0)), row.map(|value| -value)]);
        let computed: Vec<[f32; 4]> = computed.collect();
        let rows = Rows { bytes: bytes(computed.as_flattened()), row_bytes: 32, note: Vec::new() };
        let (model, input) = (ada.blob(model_with_two_outputs()).await, ada.blob(input).await);
        let program = json!({ "kind": "infer", "model": model, "input": input, "tile_rows": 2 });
        let outputs = [
            Output { name: "y", dtype: DType::Float32, len: 4, bytes: 0..16 },
            Output { name: "z", dtype: DType::Float32, len: 4, bytes: 16..32 },
        ];

        check_results(&app, &ada, program, &rows, &outputs).await;
    }
}

/// A job of a kernel that might use much fuel, and records that nobody computes again.
async fn kernel_job(ada: &Customer<'_>, records: u8) -> (Value, Rows) {
    let bytes: Vec<u8> = (0..records).flat_map(|record| [record + 1, 255, 255 - record, 1]).collect();
    let (kernel, input) = (ada.blob(KERNEL.into()).await, ada.blob(bytes.clone()).await);
    let program = json!({
        "kind": "map", "kernel": kernel, "input": input, "record_bytes": 4, "out_bytes": 4, "tile_records": 3,
        "fuel": 100_000,
    });
    (program, Rows { bytes, row_bytes: 4, note: vec![0; FUEL_LEFT_BYTES] })
}

db_test! {
    async fn results_of_a_kernel_are_its_records_without_what_is_noted_of_them(app: TestApp) {
        let ada = app.customer("Ada").await;
        let (program, rows) = kernel_job(&ada, 40).await;
        let outputs = [Output { name: "results", dtype: DType::Uint32, len: 1, bytes: 0..4 }];

        check_results(&app, &ada, program, &rows, &outputs).await;
    }
}

db_test! {
    // A micro-credit for a thousand operations, in which receipts say how much was done.
    async fn what_receipts_publish_at_the_published_price_is_what_the_job_cost(app: TestApp with |config| config.price = 1_000_000_000_000_000) {
        let ada = app.customer("Ada").await;
        let address = app.listen(Patience::default()).await;
        let mut device = Device::connect(address, 1, |hello| hello.key = Some(ada.key.clone())).await.unwrap();
        let (program, rows) = kernel_job(&ada, 100).await;
        // Of each tile a part of the fuel is left, and not charged.
        let rows = Rows { note: 12_345_u32.to_le_bytes().to_vec(), ..rows };
        let job = ada.submit(&json!({ "program": program, "name": "x", "privacy": "own" }), "a").await.json();
        let id = job["id"].as_str().unwrap();
        let mut settled = Vec::new();
        while rows.with_gaps(&settled).0 != rows.bytes {
            let lease = device.take_lease().await;
            device.commit(&app, &lease, rows.upload(&lease)).await;
            assert_eq!(device.settled().await, lease.lease);
            settled.push(lease);
        }
        ada.post(&format!("/v1/jobs/{id}/publish"), &json!(null)).await;

        let public = app.get(&format!("/v1/public/jobs/{id}")).await.json();
        let receipts = app.get("/v1/public/receipts?limit=500").await.json();

        let receipts = receipts["rows"].as_array().unwrap();
        assert!(receipts.len() > 5 && receipts.iter().all(|receipt| receipt["job"] == id));
        let kflop: u64 = receipts.iter().map(|receipt| receipt["kflop"].as_u64().unwrap()).sum();
        let (cost, rounded): (u64, u64) = (public["cost"].as_u64().unwrap(), wire::number::to(receipts.len()));
        assert!(public["price"] == 1_000_000_000_000_000_u64 && cost > 5_000, "{public}");
        // Each receipt's work is rounded up to a thousand operations, and the cost to a micro-credit.
        assert!(cost <= kflop + 1 && kflop <= cost + rounded + 1, "{cost} for {kflop}");
        assert!(public["flops"].as_u64() > Some(1000 * (cost + 100)), "what was left was not charged");
    }
}
