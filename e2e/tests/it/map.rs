//! Customers' kernels from the command line to the right answer, and what keeps them honest.

use std::path::{Path, PathBuf};
use std::process::Output;

use client::Client;
use e2e::browser::{Browser, Gpu};
use e2e::scripted::{Scripted, identity};
use e2e::stack::{Stack, program};
use e2e::until::until;
use sha2::{Digest, Sha256};
use wire::{DisputeState, FromDevice, Hello, JobFault, JobState, Map, Privacy, Program, SubmitJob, ToDevice};

use crate::engine_test;

const WITHIN: std::time::Duration = std::time::Duration::from_mins(3);
const SQUARE: &str = "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = source[id.x] * source[id.x]; }
";

fn example(name: &str) -> PathBuf {
    e2e::folder().join("../edge-api/client/examples/map").join(name)
}

/// Runs the `tessera` command.
async fn tessera(stack: &Stack, key: &str, arguments: &[&str]) -> Output {
    let output = tokio::process::Command::new(program("tessera"))
        .args(["--url", &stack.url(), "--key", key])
        .args(arguments)
        .output();
    output.await.unwrap()
}

/// Submits a kernel over whole numbers from 0 and returns the job.
async fn submit(stack: &Stack, client: &Client, kernel: &str, records: u32, tile: u32) -> wire::Job {
    let request = order(stack, client, kernel, records, tile).await;
    client.submit(&request, &identity().device().to_string()).await.unwrap()
}

async fn try_submit(stack: &Stack, client: &Client, privacy: Privacy) -> Result<wire::Job, client::ClientError> {
    let request = SubmitJob { privacy, ..order(stack, client, SQUARE, 200, 20).await };
    client.submit(&request, &identity().device().to_string()).await
}

pub(crate) async fn order_of_squares(stack: &Stack, client: &Client, records: u32, tile: u32) -> SubmitJob {
    order(stack, client, SQUARE, records, tile).await
}

async fn order(stack: &Stack, client: &Client, kernel: &str, records: u32, tile: u32) -> SubmitJob {
    let (code, input) = (stack.folder().join("kernel.wgsl"), stack.folder().join("numbers.bin"));
    std::fs::write(&code, kernel).unwrap();
    std::fs::write(&input, (0..records).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let program = Program::Map(Map {
        kernel: client.upload(&code).await.unwrap().hash,
        input: client.upload(&input).await.unwrap().hash,
        record_bytes: 4,
        out_bytes: 4,
        params: None,
        fuel: None,
        check: None,
        tile_records: Some(tile),
    });
    SubmitJob { name: "Squares".to_owned(), ..SubmitJob::new(program) }
}

async fn words(stack: &Stack, client: &Client, job: &wire::Job) -> Vec<u32> {
    let file = stack.folder().join("result.bin");
    client.download(job.id, &file).await.unwrap();
    std::fs::read(file).unwrap().as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
}

fn squares(count: u32) -> Vec<u32> {
    (0..count).map(|i| i.wrapping_mul(i)).collect()
}

engine_test! {
    async fn a_kernel_runs_over_its_records_and_a_checker_recomputes_them(mut stack: Stack) {
        stack.add_checker().await;
        stack.start_worker("worker", &[]);
        let (client, _) = stack.customer().await.unwrap();

        let job = submit(&stack, &client, SQUARE, 1000, 37).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.verified_tiles, ended.cost), (JobState::Done, 28, ended.hold));
        assert!(ended.recomputed_tiles > 0);
        assert_eq!(words(&stack, &client, &ended).await, squares(1000));
        stack.check_settled_once(&ended).await;
        stack.check_ledger().await;
    }
}

#[tokio::test]
async fn a_machine_with_a_software_adapter_alone_runs_kernels_on_it() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    stack.start_worker("worker", &["--backend", "auto"]);
    let (client, _) = stack.customer().await.unwrap();

    let job = submit(&stack, &client, SQUARE, 100, 20).await;
    let ended = client.watch(job.id, |_| {}).await.unwrap();

    assert_eq!(words(&stack, &client, &ended).await, squares(100));
    let backends: Vec<_> = client.public_receipts().await.unwrap().rows.into_iter().map(|row| row.backend).collect();
    assert!(!backends.is_empty() && !backends.contains(&"cpu".to_owned()), "{backends:?}");
}

engine_test! {
    async fn without_a_checker_devices_with_standing_of_two_accounts_must_agree(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        stack.start_established_worker("one").await;
        stack.start_established_worker("two").await;
        // So many tiles that some are drawn.
        let request = order(&stack, &client, SQUARE, 640, 1).await;
        let job = until("two judges are connected", WITHIN, async || {
            client.submit(&request, &identity().device().to_string()).await.ok()
        })
        .await;

        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.verified_tiles), (JobState::Done, 640));
        assert!(ended.recomputed_tiles > 0);
        assert_eq!(words(&stack, &client, &ended).await, squares(640));
        let [one, two] = ["one", "two"].map(|name| stack.worker_id(name));
        assert!(stack.is_paid_judge(one).await || stack.is_paid_judge(two).await, "whoever was asked");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_kernel_that_nobody_could_check_is_refused_with_the_reason(mut stack: Stack) {
        let (client, key) = stack.customer().await.unwrap();
        // Two strangers with nothing to lose, and one judge, who has nobody to be judged by.
        stack.start_worker("one", &[]);
        stack.start_worker("two", &[]);
        let _judge = stack.established().await;

        let error = try_submit(&stack, &client, Privacy::Open).await.unwrap_err().to_string();

        assert!(error.contains("no checker") && error.contains("your own devices"), "{error}");
        // On the customer's own devices nobody is deceived, and nothing says that anybody checked.
        let own = try_submit(&stack, &client, Privacy::Own).await.unwrap();
        stack.start_worker("own", &["--key", &key]);
        let ended = client.watch(own.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.recomputed_tiles), (JobState::Done, 0));
        assert_eq!(words(&stack, &client, &ended).await, squares(200));
        stack.check_ledger().await;
    }
}

/// Takes what the device is lent next and answers it with one word for every record.
async fn answer_with(device: &mut Scripted, word: u32) -> wire::LeaseGrant {
    let grant = device.lease().await.unwrap();
    answer_lease_with(device, &grant, word).await;
    grant
}

async fn answer_lease_with(device: &mut Scripted, grant: &wire::LeaseGrant, word: u32) {
    let rows = usize::try_from(grant.rows).unwrap();
    let bytes = device.upload(grant, &vec![f32::from_bits(word); rows]).await.unwrap();
    device.say(&device.commit(&device.receipt(grant, &bytes).unwrap())).await.unwrap();
}

/// One tile, once two devices are connected whose word counts.
async fn submit_to_judges(stack: &Stack, client: &Client) -> wire::Job {
    let request = order(stack, client, SQUARE, 200, 200).await;
    until("two judges are connected", WITHIN, async || {
        client.submit(&request, &identity().device().to_string()).await.ok()
    })
    .await
}

async fn failed_checks(stack: &Stack, device: &Scripted) -> i64 {
    stack.row::<(i64,)>("select failed from device where device_id = $1", device.identity.device()).await.0
}

engine_test! {
    async fn a_peer_that_lies_about_anothers_work_is_outvoted_and_suspended(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let (mut peer, other) = (stack.established().await, stack.established().await);
        let job = submit_to_judges(&stack, &client).await;
        drop(other);
        // All of a newcomer's work is computed again.
        stack.start_worker("honest", &[]);
        let pool = stack.database().await;
        until("the honest device has committed", WITHIN, async || {
            let committed: Option<(String,)> = sqlx::query_as("select lease_id from receipt").fetch_optional(&pool).await.unwrap();
            committed
        })
        .await;

        let question = peer.lease().await.unwrap();
        // Both at once: the peer is not waited for much longer than they take to start.
        for witness in ["witness", "another"] {
            stack.start_established_worker(witness).await;
        }
        for witness in ["witness", "another"] {
            stack.is_here(stack.worker_id(witness)).await;
        }
        answer_lease_with(&mut peer, &question, 7).await;

        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        assert_eq!(words(&stack, &client, &ended).await, squares(200));
        assert_eq!(failed_checks(&stack, &peer).await, 1);
        for witness in ["witness", "another"] {
            assert!(stack.is_paid_judge(stack.worker_id(witness)).await, "{witness}");
        }
        assert!(!stack.is_paid_judge(peer.identity.device()).await);
        let detail = client.job_detail(job.id).await.unwrap();
        let [dispute] = detail.disputes.as_slice() else { panic!("{detail:?}") };
        assert_eq!((dispute.tile, dispute.state), (0, DisputeState::CheckerWrong));
        // As the records' words.
        assert_eq!(dispute.signed[..4], ["0", "1", "4", "9"]);
        assert_eq!(dispute.recomputed[0], "7");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_lie_falls_by_two_peers_and_its_tile_is_done_again(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let judges = [stack.established().await, stack.established().await];
        let job = submit_to_judges(&stack, &client).await;
        drop(judges);
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();
        answer_with(&mut liar, 7).await;
        stack.start_established_worker("one").await;
        stack.start_established_worker("two").await;

        // It is asked once more, and says the same.
        answer_with(&mut liar, 7).await;

        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!(words(&stack, &client, &ended).await, squares(200));
        assert_eq!(failed_checks(&stack, &liar).await, 1);
        for judge in ["one", "two"] {
            assert!(stack.is_paid_judge(stack.worker_id(judge)).await, "{judge} was right, though it did not agree");
        }
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn where_every_device_comes_to_another_result_nobody_is_blamed_and_the_work_is_paid(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let mut devices = [stack.established().await, stack.established().await, stack.established().await];
        let job = submit_to_judges(&stack, &client).await;
        // All of a newcomer's work is computed again.
        let mut newcomer = [Scripted::join(&stack.url(), identity()).await.unwrap()];
        for (word, device) in (1..).zip(newcomer.iter_mut().chain(&mut devices)) {
            answer_with(device, word).await;
        }

        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        for device in newcomer.iter().chain(&devices) {
            assert_eq!(failed_checks(&stack, device).await, 0);
        }
        let detail = client.job_detail(job.id).await.unwrap();
        assert!(detail.disputes.iter().all(|dispute| dispute.state == DisputeState::NotReproducible), "{detail:?}");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_device_that_invents_records_is_caught_and_not_paid(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let job = submit(&stack, &client, SQUARE, 200, 20).await;
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();

        let grant = liar.lease().await.unwrap();
        let bytes = liar.upload(&grant, &vec![0.0; usize::try_from(grant.rows).unwrap()]).await.unwrap();
        let receipt = liar.receipt(&grant, &bytes).unwrap();
        liar.say(&liar.commit(&receipt)).await.unwrap();

        assert!(!liar.verdict(&grant).await.unwrap(), "the lie is caught");
        stack.start_worker("honest", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!(words(&stack, &client, &ended).await, squares(200));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn an_endless_loop_ends_its_job_with_the_line_and_the_money_back(mut stack: Stack) {
        stack.add_checker().await;
        stack.start_worker("worker", &[]);
        let (client, key) = stack.customer().await.unwrap();
        let before = client.account().await.unwrap().available;
        let kernel = SQUARE.replace("result[id.x] =", "\n  loop { if source[id.x] != 150u { break; } }\n  result[id.x] =");

        let job = submit(&stack, &client, &kernel, 200, 20).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!(ended.state, JobState::Failed);
        assert_eq!(ended.fault, Some(JobFault::OutOfFuel { line: 5, turns: true, tile: 7 }));
        let code = stack.folder().join("kernel.wgsl");
        let (code, input) = (code.display().to_string(), stack.folder().join("numbers.bin").display().to_string());
        let into = stack.folder().join("none.bin").display().to_string();
        let files = ["--kernel", &code, "--input", &input, "--output", &into, "--record-bytes", "4", "--out-bytes", "4"];
        let output = tessera(&stack, &key, &[&["map"], &files[..]].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains("out_of_fuel") && said.contains("line 5"), "{said}");
        assert!(!Path::new(&into).exists());
        let account = client.account().await.unwrap();
        let paid = ended.cost.micros() + client.jobs(None).await.unwrap().jobs[0].cost.micros();
        assert_eq!((account.available.micros() + paid, account.held.micros()), (before.micros(), 0));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_device_that_cries_out_of_fuel_without_cause_ends_nothing(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let job = submit(&stack, &client, SQUARE, 200, 20).await;
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();

        let grant = liar.lease().await.unwrap();
        let fault = FromDevice::Fault { lease: grant.lease, tile: grant.first_tile, line: 1, turns: false };
        liar.say(&fault).await.unwrap();

        assert!(!liar.verdict(&grant).await.unwrap(), "nobody confirms it");
        stack.start_worker("honest", &[]);
        assert_eq!(client.watch(job.id, |_| {}).await.unwrap().state, JobState::Done);
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn two_judges_who_say_the_same_confirm_a_fault_and_two_who_finish_the_tile_differently_do_not(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let mut lazy = [stack.established().await, stack.established().await];
        let mut honest = [stack.established().await, stack.established().await];
        let job = submit_to_judges(&stack, &client).await;
        let mut reporter = Scripted::join(&stack.url(), identity()).await.unwrap();
        let fault = |lease| FromDevice::Fault { lease, tile: 0, line: 1, turns: false };

        let lease = reporter.lease().await.unwrap().lease;
        reporter.say(&fault(lease)).await.unwrap();
        for (word, judge) in (7..).zip(&mut lazy) {
            answer_with(judge, word).await;
        }
        for judge in &mut honest {
            let question = judge.lease().await.unwrap().lease;
            judge.say(&fault(question)).await.unwrap();
        }

        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!(ended.state, JobState::Failed);
        assert_eq!(ended.fault, Some(JobFault::OutOfFuel { line: 1, turns: false, tile: 0 }));
        assert_eq!(failed_checks(&stack, &reporter).await, 0);
        for judge in &honest {
            assert!(stack.is_paid_judge(judge.identity.device()).await);
        }
        for judge in &lazy {
            assert!(!stack.is_paid_judge(judge.identity.device()).await, "whatever it said");
        }
        stack.check_ledger().await;
    }
}

#[tokio::test]
async fn a_checker_that_the_server_does_not_know_is_turned_away() {
    let stack = Stack::start().await;
    let (mut stranger, nonce) = Scripted::open(&stack.url(), identity()).await.unwrap();
    let hello = stranger.signed(nonce, Hello { checker: true, ..stranger.hello(nonce) });

    stranger.say(&FromDevice::Hello(Box::new(hello))).await.unwrap();

    let heard = stranger.hear().await.unwrap();
    assert!(matches!(&heard, ToDevice::Close { code: wire::ErrorCode::Unauthorized, .. }), "{heard:?}");
}

#[tokio::test]
async fn a_tab_runs_a_customers_kernel() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    let (client, _) = stack.customer().await.unwrap();
    let job = submit(&stack, &client, SQUARE, 300, 50).await;
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.lend(&stack.url(), "software").await;

    let ended = client.watch(job.id, |_| {}).await.unwrap();

    assert_eq!(words(&stack, &client, &ended).await, squares(300));
    let detail: Vec<_> = client.public_receipts().await.unwrap().rows.into_iter().map(|row| row.backend).collect();
    assert!(detail.iter().all(|backend| backend == "webgpu"), "{detail:?}");
    browser.close().await;
}

/// Points of the Mandelbrot set: in how many turns each leaves, and a shade as four bytes of a word.
const FRACTAL: &str = "@group(0) @binding(0) var<storage, read> source: array<u32>;
struct Point { turns: i32, shade: u32 }
@group(0) @binding(1) var<storage, read_write> result: array<Point>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = source[id.x];
    let c = vec2f(f32(at % 64u), f32(at / 64u)) / 64.0 * vec2f(3.0, 2.4) - vec2f(2.2, 1.2);
    var z = vec2f(0.0);
    var turns = 0;
    for (; turns < 200 && dot(z, z) < 4.0; turns++) { z = vec2f(z.x * z.x - z.y * z.y, 2.0 * z.x * z.y) + c; }
    let shade = sqrt(f32(turns) / 200.0);
    result[id.x] = Point(turns, pack4x8unorm(vec4f(shade, shade * shade, 1.0 - shade, 1.0)));
}
";

#[tokio::test]
async fn a_kernel_of_floats_answers_in_integers_as_far_apart_as_its_customer_states() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    let (client, key) = stack.customer().await.unwrap();
    order(&stack, &client, FRACTAL, 64 * 64, 512).await;
    let at = |name: &str| stack.folder().join(name).display().to_string();
    let (kernel, input, output) = (at("kernel.wgsl"), at("numbers.bin"), at("out.bin"));
    let arguments = ["map", "--kernel", &kernel, "--input", &input, "--output", &output, "--record-bytes", "4"];
    let run = async |more: &[&str]| tessera(&stack, &key, &[&arguments[..], more].concat()).await;

    let unstated = run(&["--out-bytes", "8"]).await;
    assert!(!unstated.status.success());
    let told = String::from_utf8_lossy(&unstated.stderr).into_owned();
    assert!(told.contains("--tolerance-int"), "{told}");

    // A tab computes, and a native device recomputes.
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.lend(&stack.url(), "software").await;
    let stated = run(&["--out-bytes", "8", "--tolerance-int", "199,0.02", "--int-bits", "8"]).await;
    assert!(stated.status.success(), "{}", String::from_utf8_lossy(&stated.stderr));
    let found = std::fs::read(at("out.bin")).unwrap();
    let turns = |record: &[u8; 8]| i32::from_le_bytes(*record.first_chunk().unwrap());
    let records = found.as_chunks::<8>().0;
    let wrong = (0..).zip(records).filter(|(at, record)| turns(record) != turns_of(*at)).count();
    assert!(records.len() == 64 * 64 && wrong < 80, "{wrong} of {} points", records.len());
    let job = &client.jobs(None).await.unwrap().jobs[0];
    assert!(client.job_detail(job.id).await.unwrap().disputes.is_empty());
    browser.close().await;
}

fn turns_of(at: u16) -> i32 {
    let c = (f64::from(at % 64) / 64.0 * 3.0 - 2.2, f64::from(at / 64) / 64.0 * 2.4 - 1.2);
    let mut z = (0.0f64, 0.0f64);
    let mut turns = 0;
    while turns < 200 && z.0 * z.0 + z.1 * z.1 < 4.0 {
        z = (z.0 * z.0 - z.1 * z.1 + c.0, 2.0 * z.0 * z.1 + c.1);
        turns += 1;
    }
    turns
}

#[tokio::test]
async fn the_worked_examples_give_right_answers() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    stack.start_worker("worker", &[]);
    let (_, key) = stack.customer().await.unwrap();
    let run = async |kernel: &str, sizes: [&str; 2], fuel: &str, params: Vec<u8>, input: Vec<u8>| -> Vec<u8> {
        let at = |name: &str| stack.folder().join(name).display().to_string();
        std::fs::write(at("params.bin"), params).unwrap();
        std::fs::write(at("input.bin"), input).unwrap();
        let kernel = example(kernel).display().to_string();
        let files =
            ["--kernel", &kernel, "--params", &at("params.bin"), "--input", &at("input.bin")].map(str::to_owned);
        let more = ["--output", &at("out.bin"), "--record-bytes", sizes[0], "--out-bytes", sizes[1], "--fuel", fuel];
        let mut arguments = vec!["map".to_owned()];
        arguments.extend(files);
        arguments.extend(more.map(str::to_owned));
        if kernel.contains("price") {
            arguments.extend(["--tolerance", "1e-3,1e-4"].map(str::to_owned));
        }
        let output = tessera(&stack, &key, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(at("out.bin")).unwrap()
    };
    let (block, ranges) = hash_search();
    check_hashes(&run("hash_search.wgsl", ["8", "8"], "500000", block, ranges).await);
    let contracts = [(100.0f32, 100.0f32, 0.03f32, 0.2f32, 1.0f32), (50.0, 55.0, 0.01, 0.6, 2.0)];
    let records = contracts.iter().zip(1u32..).flat_map(|(c, seed)| {
        [c.0, c.1, c.2, c.3, c.4].map(f32::to_le_bytes).concat().into_iter().chain(seed.to_le_bytes())
    });
    let paths = [20_000u32, 0, 0, 0].map(u32::to_le_bytes).concat();
    check_prices(&run("option_price.wgsl", ["24", "8"], "2000000", paths, records.collect()).await);
    let weights = std::fs::read(example("sharpen.bin")).unwrap();
    check_pictures(&stack, async |blocks| run("sharpen.wgsl", ["400", "256"], "100000", weights.clone(), blocks).await)
        .await;
}

const NONCES: u32 = 320;

fn message(nonce: u32) -> Vec<u8> {
    let mut text = b"tessera".to_vec();
    text.resize(48, 0);
    text.extend(nonce.to_be_bytes());
    text
}

/// The padded block and the ranges, as `hash_search.py` makes them.
fn hash_search() -> (Vec<u8>, Vec<u8>) {
    let mut block = message(0);
    block.extend([0x80, 0, 0, 0]);
    block.extend((52u64 * 8).to_be_bytes());
    let block = block.as_chunks::<4>().0.iter().flat_map(|word| u32::from_be_bytes(*word).to_le_bytes()).collect();
    let ranges = (0..NONCES).step_by(16).flat_map(|first| [first.to_le_bytes(), 16u32.to_le_bytes()].concat());
    (block, ranges.collect())
}

fn check_hashes(found: &[u8]) {
    let zeros = |nonce: u32| {
        let hash: [u8; 32] = Sha256::digest(message(nonce)).into();
        u64::from_be_bytes(*hash.first_chunk().unwrap()).leading_zeros()
    };
    let found = found.as_chunks::<8>().0.iter();
    for (record, first) in found.zip((0..NONCES).step_by(16)) {
        let [nonce, count] = [&record[..4], &record[4..]].map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let best = (first..first + 16).map(zeros).max().unwrap();
        assert_eq!((count, zeros(nonce)), (best, best), "nonces from {first}");
    }
}

fn check_prices(found: &[u8]) {
    // By Black and Scholes (1973).
    for (record, exact) in found.as_chunks::<8>().0.iter().zip([9.4134f32, 15.5149]) {
        let [price, error] = [&record[..4], &record[4..]].map(|word| f32::from_le_bytes(word.try_into().unwrap()));
        assert!((price - exact).abs() < 4.0 * error && error < exact / 20.0, "{price} ± {error}, exact {exact}");
    }
}

/// A folder of two pictures cut, filtered and joined, against the filter in plain Rust.
async fn check_pictures(stack: &Stack, run: impl AsyncFnOnce(Vec<u8>) -> Vec<u8>) {
    let (folder, into) = (stack.folder().join("photos"), stack.folder().join("sharpened"));
    std::fs::create_dir_all(&folder).unwrap();
    let picture = |width, height| {
        image::RgbaImage::from_fn(width, height, |x, y| {
            let [r, g, b, _] = (x * 37 + y * 91 + x * y * 7).to_le_bytes();
            image::Rgba([r, g ^ r, b.wrapping_add(r), 255 - r])
        })
    };
    let pictures = [("a.png", picture(20, 13)), ("b.png", picture(8, 8))];
    pictures.iter().for_each(|(name, picture)| picture.save(folder.join(name)).unwrap());
    let tool = |arguments: &[&Path]| {
        let status = std::process::Command::new(program("examples/pictures")).args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    let (blocks, filtered) = (stack.folder().join("blocks.bin"), stack.folder().join("filtered.bin"));
    tool(&[Path::new("cut"), &folder, &blocks]);
    std::fs::write(&filtered, run(std::fs::read(&blocks).unwrap()).await).unwrap();
    tool(&[Path::new("join"), &folder, &filtered, &into]);

    for (name, picture) in &pictures {
        let found = image::open(into.join(name)).unwrap().to_rgba8();
        for (x, y, pixel) in found.enumerate_pixels() {
            assert_eq!(pixel.0, sharpened(picture, x, y), "{name} at {x}, {y}");
        }
    }
}

fn sharpened(picture: &image::RgbaImage, x: u32, y: u32) -> [u8; 4] {
    let near = |dx: i64, dy: i64| {
        let clamp =
            |at: u32, by: i64, size: u32| u32::try_from((i64::from(at) + by).clamp(0, i64::from(size) - 1)).unwrap();
        picture.get_pixel(clamp(x, dx, picture.width()), clamp(y, dy, picture.height())).0
    };
    let mut pixel = near(0, 0);
    for (channel, value) in pixel.iter_mut().take(3).enumerate() {
        let around = [(-1, 0), (1, 0), (0, -1), (0, 1)].map(|(dx, dy)| i32::from(near(dx, dy)[channel]));
        let sum = 5 * i32::from(near(0, 0)[channel]) - around.iter().sum::<i32>();
        *value = u8::try_from(sum.clamp(0, 255)).unwrap();
    }
    pixel
}

#[tokio::test]
async fn the_command_refuses_a_bad_kernel_with_its_place() {
    let stack = Stack::start().await;
    let (_, key) = stack.customer().await.unwrap();
    let at = |name: &str| stack.folder().join(name).display().to_string();
    std::fs::write(at("bad.wgsl"), SQUARE.replace("source[id.x] *", "source[id.x] +*")).unwrap();
    std::fs::write(at("in.bin"), [0; 8]).unwrap();
    let files = ["map", "--kernel", &at("bad.wgsl"), "--input", &at("in.bin"), "--output", &at("out.bin")];

    let output = tessera(&stack, &key, &[&files[..], &["--record-bytes", "4", "--out-bytes", "4"]].concat()).await;

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("line 4, column "), "{said}");
}
