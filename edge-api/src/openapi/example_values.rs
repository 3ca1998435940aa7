//! One of each request and answer: an account, a published job of two hundred and fifty tiles, and what
//! its devices said. Values of the types themselves, so that none can miss a field.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use wire::device::{Backend, DeviceClass, Earnings, Hello, PROTOCOL};
use wire::explorer::{
    Hit, Overview, Page, Period, ProofStep, PublicDevice, PublicDevicePage, PublicJobRow, PublicReceipt,
    PublicReceiptPage, ReceiptCheck, ReceiptState, Sample, Share, SignedReceipt, SupplyGroup, Work,
};
use wire::{
    Blob, BlobHash, ChallengeId, Check, CheckRule, CheckedBy, ClassCount, Credits, DType, Detail, DisputeState,
    ErrorBody, ErrorCode, Field, Fraction, FromDevice, Infer, InferTask, IntegerBits, IntegerTolerance, Job, JobDetail,
    JobDispute, JobEvent, JobEventKind, JobFault, JobPage, JobProgress, JobState, LeaseGrant, LeaseId, Map, MapTask,
    Micros, ModelInput, ModelPlan, ModelReport, ModelToCheck, Obstacle, Place, PricePerCu, Privacy, Program, PublicJob,
    Quote, QuoteRequest, Receipt, Signature, SpeedChallenge, SubmitJob, Task, Throughput, TileHash, ToDevice, WordRun,
};

use super::example_accounts::{
    account, account_key, device_code, job_movement, ledger_entry, made_key, new_account, new_key, opened_account,
};
use super::example_arrays::{arrays_to_make, made_array, made_arrays, picture_reading, table_reading};
use super::example_kernels::{gated_kernel, kernel_report, kernel_to_check};
use super::example_parts::{NOON, SECOND, bytes, device_id, job_id};
use super::example_preview::{job_preview, output_preview, preview_row};
use super::example_status::{incident, network_status, part_day, part_status};

const DAY: Micros = 86_400 * SECOND;
const ROWS: u64 = 10_000;
const TILE_ROWS: u64 = 40;
const TILES: u64 = 250;
const ROW_FLOPS: u64 = 600_000_000;
const FLOPS: u64 = ROWS * ROW_FLOPS;
const PRICE: PricePerCu = PricePerCu(55_000_000);
/// Six CU at that price.
const COST: Credits = Credits::from_micros(330);
const NAME: &str = "Photos of November";

/// Each with the name of its schema.
pub(super) fn all() -> Vec<(String, Value)> {
    [of_accounts(), of_the_rest()].concat()
}

fn of_accounts() -> Vec<(String, Value)> {
    vec![
        named(&new_account()),
        named(&account()),
        named(&opened_account()),
        named(&account_key()),
        named(&new_key()),
        named(&made_key()),
        named(&ledger_entry()),
        named(&job_movement()),
        named(&device_code()),
    ]
}

fn of_the_rest() -> Vec<(String, Value)> {
    vec![
        named(&error_body()),
        named(&detail()),
        named(&blob()),
        named(&arrays_to_make(blob().hash, model())),
        named(&made_arrays(blob().hash)),
        named(&made_array()),
        named(&picture_reading()),
        named(&table_reading()),
        named(&kernel_to_check()),
        named(&kernel_report()),
        named(&gated_kernel()),
        named(&quote_request()),
        named(&quote()),
        named(&submit_job()),
        named(&job()),
        named(&job_page()),
        named(&job_progress()),
        named(&job_detail()),
        named(&job_dispute()),
        named(&DisputeState::DeviceWrong),
        named(&overview()),
        named(&network_status()),
        named(&part_status()),
        named(&part_day()),
        named(&incident()),
        named(&public_device()),
        named(&public_device_page()),
        named(&public_receipt()),
        named(&public_receipt_page()),
        named(&public_job_row()),
        named(&public_job()),
        named(&sample()),
        named(&hit()),
        named(&lease_grant()),
        named(&from_device()),
        named(&to_device()),
        named(&speed_challenge()),
        named(&field("images", &[3, 224, 224])),
        named(&infer()),
        named(&map()),
        named(&infer_task()),
        named(&ModelToCheck { model: model() }),
        named(&model_report()),
        named(&model_input()),
        named(&model_plan()),
        named(&map_task()),
        named(&WORD_RUN),
        named(&integer_tolerance()),
        named(&share()),
        named(&receipt()),
        named(&signed_receipt()),
        named(&work()),
        named(&supply_group()),
        named(&period()),
        named(&throughput()),
        named(&job_event()),
        named(&job_fault()),
        named(&job_preview()),
        named(&output_preview()),
        named(&preview_row()),
        named(&ClassCount { class: 207, rows: 418 }),
        named(&Obstacle::Memory { needs: 3_328_599_654, largest: 2_147_483_648 }),
        named(&hello()),
        named(&earnings()),
        named(&Place { line: 12, column: 5 }),
    ]
}

fn named<T: ToSchema + Serialize>(value: &T) -> (String, Value) {
    (T::name().into_owned(), json!(value))
}

fn lease_id() -> LeaseId {
    LeaseId(bytes(3))
}

fn model() -> BlobHash {
    BlobHash(bytes(4))
}

fn field(name: &str, shape: &[u64]) -> Field {
    Field { name: name.to_owned(), dtype: DType::Float32, shape: shape.to_vec(), shared: false, whole: false }
}

fn inputs() -> Vec<Field> {
    vec![field("images", &[3, 224, 224])]
}

fn outputs() -> Vec<Field> {
    vec![field("logits", &[1000])]
}

fn infer_task() -> InferTask {
    InferTask { model: model(), inputs: inputs(), outputs: outputs() }
}

const WORD_RUN: WordRun = WordRun { dtype: DType::Uint32, words: 1 };

fn integer_tolerance() -> IntegerTolerance {
    IntegerTolerance { units: 1, fraction: Fraction::default(), bits: IntegerBits::default() }
}

fn map_task() -> MapTask {
    MapTask {
        kernel: BlobHash(bytes(15)),
        record_bytes: 4,
        out_bytes: 4,
        fuel: 65_536,
        params: Some(BlobHash(bytes(18))),
        words: vec![WORD_RUN],
    }
}

fn infer() -> Infer {
    Infer { model: model(), input: Some(BlobHash(bytes(5))), inputs: BTreeMap::new(), tile_rows: Some(40) }
}

fn map() -> Map {
    Map {
        kernel: BlobHash(bytes(15)),
        input: BlobHash(bytes(16)),
        record_bytes: 4,
        out_bytes: 4,
        params: Some(BlobHash(bytes(18))),
        fuel: Some(65_536),
        check: Some(Check::within(integer_tolerance())),
        tile_records: Some(640),
    }
}

fn program() -> Program {
    Program::Infer(infer())
}

fn error_body() -> ErrorBody {
    ErrorBody {
        code: ErrorCode::UnknownBlob,
        message: "this account has no such blob; upload it with POST /v1/blobs first".to_owned(),
        field: Some("model".to_owned()),
        place: None,
        detail: Some(Box::new(detail())),
    }
}

fn detail() -> Detail {
    let arguments = [("field".to_owned(), "model".to_owned())].into();
    Detail { reason: "unknown_blob".to_owned(), arguments }
}

fn blob() -> Blob {
    Blob { hash: model(), size: 13_964_571 }
}

fn model_input() -> ModelInput {
    let shape = Some(vec![None, Some(3), Some(224), Some(224)]);
    ModelInput { name: "images".to_owned(), dtype: "float32".to_owned(), shape }
}

fn model_plan() -> ModelPlan {
    ModelPlan { outputs: vec![field("scores", &[1000])], row_flops: ROW_FLOPS, mixes_rows: false }
}

fn model_report() -> ModelReport {
    ModelReport { inputs: vec![model_input()], plan: Some(model_plan()) }
}

fn quote_request() -> QuoteRequest {
    QuoteRequest { program: program(), privacy: Privacy::Open }
}

fn quote() -> Quote {
    Quote {
        rows: ROWS,
        inputs: inputs(),
        outputs: outputs(),
        tile_rows: TILE_ROWS,
        tiles: TILES,
        flops: FLOPS,
        price: PRICE,
        cost: COST,
        device_bytes: 24_084_480,
        peak_bytes: 96_337_920,
        checked_by: CheckedBy::Edge,
        devices: 12,
        seconds: Some(9),
        obstacle: None,
    }
}

fn file_names() -> BTreeMap<String, String> {
    [("model", "resnet50.onnx"), ("input", "photos.npy")]
        .map(|(field, name)| (field.to_owned(), name.to_owned()))
        .into()
}

fn submit_job() -> SubmitJob {
    SubmitJob {
        program: program(),
        privacy: Privacy::Open,
        name: NAME.to_owned(),
        limit: Some(Credits::from_micros(1_000_000)),
        deadline_seconds: Some(7_200),
        file_names: file_names(),
    }
}

fn job() -> Job {
    Job {
        id: job_id(),
        name: NAME.to_owned(),
        state: JobState::Running,
        privacy: Privacy::Open,
        published: false,
        program: program(),
        rows: ROWS,
        inputs: inputs(),
        outputs: outputs(),
        tile_rows: TILE_ROWS,
        tiles: TILES,
        verified_tiles: 150,
        recomputed_tiles: 9,
        devices: 3,
        flops: FLOPS,
        price: PRICE,
        hold: COST,
        cost: Credits::from_micros(198),
        created_at: NOON,
        ended_at: None,
        deadline: Some(NOON + 7_200 * SECOND),
        file_names: file_names(),
        fault: None,
    }
}

fn job_page() -> JobPage {
    JobPage { jobs: vec![job()], next: Some(job_id()) }
}

fn job_progress() -> JobProgress {
    JobProgress {
        job: job(),
        mosaic: "9999999999995000".to_owned(),
        checking: "0000000000002900".to_owned(),
        checking_tiles: 20,
        devices_at_work: 3,
        obstacle: None,
    }
}

fn share() -> Share {
    Share {
        device: device_id(),
        name: "NVIDIA GeForce RTX 3060".to_owned(),
        backend: "vulkan".to_owned(),
        tiles: 96,
        receipts: 12,
        recomputed_tiles: 5,
        kflop: 96 * TILE_ROWS * ROW_FLOPS / 1000,
    }
}

fn throughput() -> Throughput {
    Throughput { step: 10 * SECOND, tiles: vec![24, 61, 65] }
}

fn job_event() -> JobEvent {
    JobEvent { at: NOON + 2 * SECOND, kind: JobEventKind::Started, device: Some(device_id()) }
}

fn job_fault() -> JobFault {
    JobFault::OutOfFuel { line: 14, turns: false, tile: 41 }
}

fn job_detail() -> JobDetail {
    JobDetail {
        at: NOON + 30 * SECOND,
        devices: vec![share()],
        throughput: throughput(),
        events: vec![JobEvent { at: NOON, kind: JobEventKind::Submitted, device: None }, job_event()],
        receipts: vec![public_receipt()],
        disputes: vec![job_dispute()],
    }
}

fn job_dispute() -> JobDispute {
    JobDispute {
        tile: 17,
        at: NOON + 9 * SECOND,
        device: device_id(),
        state: DisputeState::DeviceWrong,
        first_value: 4,
        signed: vec!["0.25".to_owned(), "0.75".to_owned()],
        recomputed: vec!["0.125".to_owned(), "0.875".to_owned()],
    }
}

fn work() -> Work {
    Work { receipts: 31, tiles: TILES, kflop: FLOPS / 1000, cost: COST }
}

fn supply_group() -> SupplyGroup {
    SupplyGroup {
        class: DeviceClass::Native,
        backend: "vulkan".to_owned(),
        software: false,
        devices: 12,
        flops_per_sec: 4_100_000_000_000,
    }
}

fn period() -> Period {
    Period {
        start: NOON - 600 * SECOND,
        work: work(),
        device_micros: 7_200_000_000,
        offered_micros: 6_900_000_000,
        busy_micros: 284_000_000,
        capacity_kflop: 2_460_000_000_000,
    }
}

fn overview() -> Overview {
    Overview {
        at: NOON,
        price: PRICE,
        fee_bps: 1000,
        supply: vec![supply_group()],
        today: work(),
        utilisation_bps: Some(412),
        jobs_running: 1,
        jobs_done: 57,
        period_micros: 600 * SECOND,
        periods: vec![period()],
        latest_leases: vec![8, 8, 8, 2],
    }
}

fn public_device() -> PublicDevice {
    PublicDevice {
        id: device_id(),
        class: DeviceClass::Native,
        name: "NVIDIA GeForce RTX 3060".to_owned(),
        backend: "vulkan".to_owned(),
        software: false,
        online: true,
        flops_per_sec: 1_400_000_000_000,
        proved_ops_per_sec: 912_000_000_000,
        proved_at: Some(NOON - 240 * SECOND),
        down_bytes_per_sec: 11_600_000,
        up_bytes_per_sec: 2_450_000,
        tiles: 4_210,
        kflop: 101_040_000_000,
        checks_passed: 398,
        checks_failed: 0,
        suspended_until: None,
        earned: Credits::from_micros(5_001),
        first_seen_at: NOON - 3 * DAY,
        seen_at: NOON,
    }
}

fn public_device_page() -> PublicDevicePage {
    let mut uptime = vec![0; 30];
    uptime[27..].copy_from_slice(&[31_000_000_000, 86_400_000_000, 43_200_000_000]);
    PublicDevicePage {
        device: public_device(),
        uptime,
        uptime_from: NOON - NOON.rem_euclid(DAY) - 29 * DAY,
        receipts: Page { rows: vec![public_receipt()], next: None },
    }
}

fn public_receipt() -> PublicReceipt {
    PublicReceipt {
        lease: lease_id(),
        device: device_id(),
        backend: "vulkan".to_owned(),
        program: "infer/1".to_owned(),
        tiles: 8,
        kflop: 192_000_000,
        state: ReceiptState::Matured,
        recomputed_tiles: 1,
        received_at: NOON + 12 * SECOND,
        job: Some(job_id()),
    }
}

fn receipt() -> Receipt {
    Receipt {
        lease: lease_id(),
        job: job_id(),
        first_tile: 40,
        tiles: 8,
        root: TileHash(bytes(9)),
        output: BlobHash(bytes(10)),
        program: "infer/1".to_owned(),
        backend: Backend::Vulkan,
        time: NOON + 12 * SECOND,
    }
}

fn signed_receipt() -> SignedReceipt {
    SignedReceipt {
        receipt: receipt(),
        device: device_id(),
        signature: Signature(bytes(11)),
        cost: Credits::from_micros(11),
    }
}

fn public_receipt_page() -> PublicReceiptPage {
    let check = ReceiptCheck { by: CheckedBy::Edge, rule: Some(CheckRule::Reference) };
    PublicReceiptPage { receipt: public_receipt(), check: Some(check), statement: Some(signed_receipt()) }
}

fn public_job_row() -> PublicJobRow {
    PublicJobRow {
        id: job_id(),
        name: NAME.to_owned(),
        state: JobState::Done,
        rows: ROWS,
        tiles: TILES,
        verified_tiles: TILES,
        cost: COST,
        created_at: NOON,
        ended_at: Some(NOON + 40 * SECOND),
    }
}

fn public_job() -> PublicJob {
    PublicJob {
        id: job_id(),
        name: NAME.to_owned(),
        state: JobState::Done,
        code: model(),
        rows: ROWS,
        tiles: TILES,
        verified_tiles: TILES,
        recomputed_tiles: 15,
        flops: FLOPS,
        price: PRICE,
        cost: COST,
        created_at: NOON,
        ended_at: Some(NOON + 40 * SECOND),
        mosaic: "9".repeat(16),
        devices: vec![share()],
        has_sample: true,
    }
}

fn sample() -> Sample {
    Sample {
        tile: 41,
        statement: signed_receipt(),
        proof: vec![
            ProofStep::Left(TileHash(bytes(12))),
            ProofStep::Right(TileHash(bytes(13))),
            ProofStep::Right(TileHash(bytes(14))),
        ],
        rows: TILE_ROWS,
        task: Task::Infer(infer_task()),
        check: Check::Exact,
        flops: TILE_ROWS * ROW_FLOPS,
    }
}

fn hit() -> Hit {
    Hit::Job { id: job_id(), name: NAME.to_owned() }
}

fn lease_grant() -> LeaseGrant {
    LeaseGrant {
        lease: lease_id(),
        job: job_id(),
        first_tile: 40,
        tiles: 8,
        rows: 8 * TILE_ROWS,
        tile_rows: TILE_ROWS,
        task: Task::Infer(infer_task()),
        flops: 8 * TILE_ROWS * ROW_FLOPS,
        nudge: Some(77),
        deadline_millis: 30_000,
        token: "eyJsZWFzZSI6IjAzLi4uIn0.dGhlIGVkZ2UncyBzZWFs".to_owned(),
        input: None,
    }
}

fn from_device() -> FromDevice {
    FromDevice::Commit { receipt: receipt(), signature: Signature(bytes(11)), token: lease_grant().token, output: None }
}

fn to_device() -> ToDevice {
    ToDevice::Settled { lease: lease_id(), tiles: 8, earnings: earnings() }
}

fn speed_challenge() -> SpeedChallenge {
    SpeedChallenge { challenge: ChallengeId(bytes(31)), seed: [7, 11, 13, 17], side: 1024, steps: 64, millis: 3000 }
}

fn earnings() -> Earnings {
    Earnings {
        available: Credits::from_micros(4_960),
        pending: Credits::from_micros(41),
        by_device: Credits::from_micros(330),
    }
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        device: device_id(),
        signature: Signature(bytes(17)),
        class: DeviceClass::Native,
        name: "NVIDIA GeForce RTX 3060".to_owned(),
        backend: Backend::Vulkan,
        software: false,
        buffer_bytes_max: 2_147_483_644,
        runs_kernels: true,
        checker: false,
        only_job: None,
        key: None,
        code: Some("A9AJ-FGH9".to_owned()),
    }
}
