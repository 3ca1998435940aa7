//! Databases, and the rows that other rows need.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use rules::billing::bill::Charge;
use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::Settlement;
use rules::{Job, Source};
use serde_json::{from_value, json};
use sqlx::Connection;
use store::accounts::insert_account;
use store::devices::{AcceptedWork, count_passed, upsert_device};
use store::jobs::{Submission, insert_job};
use store::receipts::{Acceptance, NewReceipt, accept_receipts, insert_pending_receipts, mature_receipts_of_devices};
use store::slices::{insert_slice, settle_slice};
use store::standings::WorkClass;
use store::{Db, DbConnection};
use wire::device::{Backend, DeviceClass, PROTOCOL};
use wire::{
    AccountId, AccountKind, BlobHash, Check, CheckRule, CheckedBy, Credits, DeviceId, Hello, JobId, LeaseId, Micros,
    PricePerCu, Privacy, Receipt, Signature, SliceId, TileHash,
};

pub(crate) const NOW: Micros = 1_795_372_807_000_000;

pub(crate) async fn sqlite(folder: &tempfile::TempDir) -> Db {
    Db::connect(&format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display())).await.unwrap()
}

/// A database of the cluster that this process started.
pub(crate) async fn postgres() -> Db {
    Db::connect(&postgres_url().await).await.unwrap()
}

/// Of an empty database of that cluster.
pub(crate) async fn postgres_url() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = tokio::task::spawn_blocking(crate::postgres::server_url).await.unwrap();
    let name = format!("store_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    sqlx::any::install_default_drivers();
    let mut admin = sqlx::AnyConnection::connect(&format!("{server}/postgres")).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
    format!("{server}/{name}")
}

/// What an accepted receipt costs, and of it the fee.
pub(crate) const RULE: CheckRule = CheckRule::Stated { check: Check::Exact };
pub(crate) const CHARGE: Charge = Charge { cost: Credits::from_micros(10), fee: Credits::from_micros(1) };

pub(crate) fn credits(micros: i64) -> Credits {
    Credits::from_micros(micros)
}

pub(crate) fn account_id(n: u64) -> AccountId {
    AccountId::from_parts(n, [0; 10])
}

/// A customer without money.
pub(crate) async fn account(conn: &mut DbConnection, n: u64) -> AccountId {
    insert_account(conn, account_id(n), AccountKind::Customer, "Ada", NOW).await.unwrap();
    account_id(n)
}

pub(crate) fn hello(n: u8) -> Hello {
    Hello {
        protocol: PROTOCOL,
        device: DeviceId([n; 32]),
        signature: Signature([0; 64]),
        class: if n.is_multiple_of(2) { DeviceClass::Tab } else { DeviceClass::Native },
        name: format!("GPU {n}"),
        backend: Backend::Vulkan,
        software: false,
        buffer_bytes_max: 1 << 30,
        runs_kernels: true,
        checker: false,
        only_job: None,
        key: None,
        code: None,
    }
}

pub(crate) async fn device(conn: &mut DbConnection, n: u8, account: AccountId) -> DeviceId {
    upsert_device(conn, &hello(n), account, None, NOW).await.unwrap();
    DeviceId([n; 32])
}

pub(crate) fn job_id(n: u64) -> JobId {
    JobId::from_parts(n, [0; 10])
}

/// Ten rows in five tiles.
pub(crate) fn order(n: u64, customer: AccountId) -> Job {
    let field = json!({ "name": "x", "dtype": "float32", "shape": [4] });
    let model = BlobHash([1; 32]);
    Job {
        id: job_id(n),
        customer,
        privacy: Privacy::Known,
        task: from_value(json!({ "kind": "infer", "model": model, "inputs": [field], "outputs": [field] })).unwrap(),
        sources: vec![Source { blob: BlobHash([2; 32]), offset: 128 }],
        check: Check::Exact,
        rows: 10,
        tile_rows: 2,
        row_flops: 1_000_000,
        price: PricePerCu(20_000_000),
        device_bytes: 4096,
        peak_bytes: 8192,
        code_bytes: 2048,
    }
}

/// A running job, named by its number, as its customer ordered it.
pub(crate) async fn job(conn: &mut DbConnection, n: u64, customer: AccountId) -> Job {
    job_with_hold(conn, n, customer, credits(100), 5).await
}

/// A running job of so many tiles.
pub(crate) async fn job_with_hold(
    conn: &mut DbConnection,
    n: u64,
    customer: AccountId,
    hold: Credits,
    tiles: u64,
) -> Job {
    let job = Job { rows: 2 * tiles, ..order(n, customer) };
    let program =
        from_value(json!({ "kind": "infer", "model": BlobHash([1; 32]), "input": BlobHash([2; 32]) })).unwrap();
    let (name, key) = (format!("Job {n}"), n.to_string());
    let submission = Submission {
        program: &program,
        name: &name,
        idempotency_key: &key,
        request_hash: TileHash([n.to_le_bytes()[0]; 32]),
        hold,
        deadline: None,
        file_names: &BTreeMap::new(),
        now: NOW,
    };
    assert!(insert_job(conn, &job, &submission).await.unwrap());
    job
}

pub(crate) fn slice_id(n: u64) -> SliceId {
    SliceId::from_parts(n, [0; 10])
}

pub(crate) async fn slice(conn: &mut DbConnection, n: u64, job: JobId, first_tile: u64, tiles: u64) -> SliceId {
    insert_slice(conn, slice_id(n), job, first_tile, tiles).await.unwrap();
    slice_id(n)
}

pub(crate) fn lease(n: u8) -> LeaseId {
    LeaseId([n; 16])
}

fn receipt(job: JobId, n: u8, first_tile: u64, tiles: u32) -> Receipt {
    Receipt {
        lease: lease(n),
        job,
        first_tile,
        tiles,
        root: TileHash([9; 32]),
        output: BlobHash([n; 32]),
        program: "infer/1".to_owned(),
        backend: Backend::Vulkan,
        time: NOW,
    }
}

/// A receipt that awaits its check.
pub(crate) async fn store_receipt(
    conn: &mut DbConnection,
    receipt: Receipt,
    slice: SliceId,
    device: DeviceId,
    at: Micros,
) {
    let new = NewReceipt { receipt, signature: Signature([7; 64]), slice, device };
    insert_pending_receipts(conn, &[new], at).await.unwrap();
}

/// A device's receipt for one tile, which awaits its check.
pub(crate) async fn commit_receipt(
    conn: &mut DbConnection,
    job: &Job,
    slice: SliceId,
    device: DeviceId,
    n: u8,
    tile: u64,
) {
    let receipt = receipt(job.id, n, tile, 1);
    store_receipt(conn, receipt, slice, device, NOW).await;
}

/// A customer, a device of theirs, and a running job of one slice: what a receipt is about.
pub(crate) struct Work {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) job: Job,
    pub(crate) slice: SliceId,
}

impl Work {
    pub(crate) async fn start(conn: &mut DbConnection) -> Self {
        let account = account(conn, 1).await;
        let device = device(conn, 1, account).await;
        let job = job(conn, 1, account).await;
        let slice = slice(conn, 1, job.id, 0, job.tile_count()).await;
        Self { account, device, job, slice }
    }

    pub(crate) fn receipt(&self, n: u8, first_tile: u64, tiles: u32) -> Receipt {
        receipt(self.job.id, n, first_tile, tiles)
    }

    /// A receipt that awaits its check, received so many seconds after the job.
    pub(crate) async fn commit(&self, conn: &mut DbConnection, n: u8, (first_tile, tiles): (u64, u32), secs: i64) {
        let receipt = self.receipt(n, first_tile, tiles);
        let at = NOW + secs * 1_000_000;
        store_receipt(conn, receipt, self.slice, self.device, at).await;
    }

    /// Marks tiles of the slice as settled.
    pub(crate) async fn settle_bits(&self, conn: &mut DbConnection, tiles: std::ops::Range<u64>) {
        let mut settled = Bitmap::new(self.job.tile_count());
        settled.set(tiles.start, tiles.end - tiles.start);
        let settlement = Settlement {
            slice: self.slice,
            first_tile: 0,
            fence: 0,
            version: 0,
            settled,
            tiles: tiles.end - tiles.start,
        };
        assert!(settle_slice(conn, &settlement).await.unwrap());
    }

    /// One whose check passed: it costs 10, of which 1 is the fee.
    pub(crate) async fn accept(&self, conn: &mut DbConnection, n: u8, tiles: (u64, u32), secs: i64) {
        self.commit(conn, n, tiles, secs).await;
        let work = AcceptedWork {
            leases: 1,
            tiles: tiles.1.into(),
            kflop: 500,
            earned: credits(9),
            flops_per_sec: 1_000_000,
            worked_flops_per_sec: 1_000_000,
        };
        count_passed(conn, &[(self.device, work)].into()).await.unwrap();
        let at = NOW + secs * 1_000_000;
        let acceptance = Acceptance {
            lease: lease(n),
            job: self.job.id,
            device: self.device,
            backend: Backend::Vulkan,
            tiles: tiles.1.into(),
            kflop: 500,
            flops_left: 0,
            charge: CHARGE,
            recomputed: 1,
            checked_by: CheckedBy::Checker,
            rule: RULE,
            matures_at: n.into(),
            now: at,
        };
        assert!(accept_receipts(conn, &[acceptance]).await.unwrap());
    }
}

/// Receipts that mature once others have verified so much of a device's work.
pub(crate) async fn mature(
    conn: &mut DbConnection,
    device: DeviceId,
    program: &str,
    kflop: u64,
) -> Vec<store::receipts::StoredReceipt> {
    let class = WorkClass { device, program: program.to_owned() };
    mature_receipts_of_devices(conn, &[(class, kflop)].into()).await.unwrap()
}
