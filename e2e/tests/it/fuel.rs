//! A kernel's loops have fuel, which its job is held for; it is charged for what they used.

use client::Client;
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use wire::program::map::join_tiles;
use wire::{FromDevice, Job, JobState, LeaseGrant, Map, Program, SubmitJob};

use crate::engine_test;

/// As many turns as its number says.
const TRIANGLES: &str = "
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    var sum = 0u;
    for (var i = 1u; i <= source[id.x]; i++) { sum += i; }
    result[id.x] = sum;
}";
const RECORDS: u32 = 200;
const TILE_RECORDS: u32 = 20;
const FUEL: u32 = 100_000;

async fn submit(stack: &Stack, client: &Client) -> Job {
    let (kernel, input) = (stack.folder().join("kernel.wgsl"), stack.folder().join("input.bin"));
    std::fs::write(&kernel, TRIANGLES).unwrap();
    std::fs::write(&input, (0..RECORDS).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let program = Program::Map(Map {
        kernel: client.upload(&kernel).await.unwrap().hash,
        input: client.upload(&input).await.unwrap().hash,
        record_bytes: 4,
        out_bytes: 4,
        params: None,
        fuel: Some(FUEL),
        check: None,
        tile_records: Some(TILE_RECORDS),
    });
    let request = SubmitJob { name: "Triangles".to_owned(), ..SubmitJob::new(program) };
    client.submit(&request, &identity().device().to_string()).await.unwrap()
}

fn triangles() -> Vec<u8> {
    (0..RECORDS).flat_map(|n| (n * (n + 1) / 2).to_le_bytes()).collect()
}

/// Operations that the customer was charged for, and the receipts they were on.
async fn charged(stack: &Stack, job: &Job) -> (i64, i64) {
    let sql =
        "select cost, cost_rest, price, (select count(*) from receipt where receipt.job_id = job.job_id and state = 'matured')
        from job where job_id = $1";
    let (cost, rest, price, receipts): (i64, i64, i64, i64) = stack.row(sql, job.id).await;
    // In atto-credits, before the last micro-credit was rounded up; a price is of 10¹² operations in pico-credits.
    let worth = i128::from(cost) * 1_000_000_000_000 + i128::from(rest);
    (i64::try_from(worth * 1_000_000 / i128::from(price)).unwrap(), receipts)
}

/// What the job's receipts say was computed, in thousands of operations.
async fn work(stack: &Stack, job: &Job) -> i64 {
    let sql = "select cast(sum(kflop) as bigint) from receipt where job_id = $1 and state = 'matured'";
    stack.row::<(i64,)>(sql, job.id).await.0
}

engine_test! {
    async fn a_kernel_is_charged_for_the_fuel_that_it_used(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let before = client.account().await.unwrap().available.micros();
        let job = submit(&stack, &client).await;
        stack.start_worker("worker", &[]);

        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!(ended.state, JobState::Done);
        // A hundred turns on average of the thousands that there was fuel for.
        let (used, held) = (work(&stack, &job).await, i64::from(RECORDS * FUEL / 1000));
        assert!(used > 0 && used < held / 20, "{used} of {held}");
        // Each receipt's work is rounded up to a thousand operations.
        let (charged, receipts) = charged(&stack, &job).await;
        assert!((0..1000 * receipts).contains(&(used * 1000 - charged)), "{charged} of {used} thousand");
        let left = client.account().await.unwrap();
        assert_eq!((left.available.micros(), left.held.micros()), (before - ended.cost.micros(), 0));
        let result = stack.folder().join("result.bin");
        client.download(job.id, &result).await.unwrap();
        assert_eq!(std::fs::read(result).unwrap(), triangles());
        stack.check_settled_once(&ended).await;
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_device_that_says_it_used_all_the_fuel_is_caught(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let job = submit(&stack, &client).await;
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();
        let grant = liar.lease().await.unwrap();
        let row = |row: u64| usize::try_from(4 * row).unwrap();
        let first = grant.first_tile * grant.tile_rows;
        let records = &triangles()[row(first)..row(first + grant.rows)];

        // Every record is right.
        let output = join_tiles(records, row(grant.tile_rows), &vec![0; usize::try_from(grant.tiles).unwrap()]);
        liar.upload_bytes(&grant, &output).await.unwrap();
        let receipt = liar.receipt(&grant, &output).unwrap();
        liar.say(&liar.commit(&receipt)).await.unwrap();

        assert!(!liar.verdict(&grant).await.unwrap(), "the lie is caught");
        stack.start_worker("honest", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!(ended.state, JobState::Done);
        assert!(work(&stack, &job).await < i64::from(RECORDS * FUEL / 1000) / 20);
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_fault_that_no_tile_of_the_lease_can_have_is_refused_and_one_after_a_commit_changes_nothing(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        let fault = |grant: &LeaseGrant| {
            let lease = grant.lease;
            FromDevice::Fault { lease, tile: grant.first_tile, line: 1, turns: false }
        };

        let grant = device.lease().await.unwrap();
        device.say(&fault(&grant)).await.unwrap();
        assert!(!device.verdict(&grant).await.unwrap(), "a model has no fuel");

        let grant = device.lease().await.unwrap();
        let output = device.compute(&grant).await.unwrap();
        let bytes = device.upload(&grant, &output).await.unwrap();
        device.say(&device.commit(&device.receipt(&grant, &bytes).unwrap())).await.unwrap();
        device.say(&fault(&grant)).await.unwrap();
        assert!(device.verdict(&grant).await.unwrap(), "it was committed");

        stack.start_worker("worker", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
    }
}
