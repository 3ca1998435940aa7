use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use worker::identity::Identity;

use crate::engine_test;

/// After a crash the real worker finishes; every tile is then paid once.
async fn finish(stack: &mut Stack, client: &client::Client, job: &wire::Job) {
    stack.start_edge().await;
    stack.start_worker("worker", &[]);
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    assert_eq!(ended.state, wire::JobState::Done);
    assert_eq!(ended.cost, ended.hold, "every tile is paid, none twice");
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
}

engine_test! {
    async fn killed_while_leases_are_out_the_server_finishes_the_job_after_it_starts_again(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        device.lease().await.unwrap();
        device.lease().await.unwrap();

        stack.kill_edge();

        finish(&mut stack, &client, &job).await;
    }
}

engine_test! {
    async fn killed_between_an_outputs_upload_and_its_settlement_the_server_pays_every_tile_once(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (_, settled) = device.work(|_| {}).await.unwrap();
        assert!(settled);
        let grant = device.lease().await.unwrap();
        let output = device.compute(&grant).await.unwrap();
        device.upload(&grant, &output).await.unwrap();

        stack.kill_edge();

        finish(&mut stack, &client, &job).await;
    }
}

engine_test! {
    async fn killed_while_receipts_are_being_checked_the_server_pays_every_tile_once(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        for _ in 0..2 {
            let grant = device.lease().await.unwrap();
            let output = device.compute(&grant).await.unwrap();
            let bytes = device.upload(&grant, &output).await.unwrap();
            let receipt = device.receipt(&grant, &bytes).unwrap();
            device.say(&device.commit(&receipt)).await.unwrap();
        }

        // The commits are on their way in; whichever of them got how far, nothing may be paid twice.
        stack.kill_edge();

        finish(&mut stack, &client, &job).await;
    }
}

engine_test! {
    async fn killed_in_the_middle_of_a_running_job_the_server_and_its_worker_go_on(mut stack: Stack) {
        stack.start_worker("early", &["--duty", "20"]);
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, Some(2)).await.unwrap();
        e2e::until::until("some tiles are settled", WITHIN, async || {
            client.job(job.id).await.ok().filter(|job| job.verified_tiles >= 12)
        })
        .await;

        stack.kill_edge();
        let settled_before: (i64,) =
            sqlx::query_as("select cast(sum(tiles) as bigint) from receipt where state in ('accepted', 'matured')")
                .fetch_one(&stack.database().await)
                .await
                .unwrap();

        assert!((12..899).contains(&settled_before.0), "{settled_before:?}");
        finish(&mut stack, &client, &job).await;
    }
}

const WITHIN: std::time::Duration = std::time::Duration::from_mins(3);
/// Rows whose work is more than the server's own processor redoes.
const HEAVY_ROWS: u32 = 8000;

engine_test! {
    async fn killed_with_a_receipt_that_waits_the_server_goes_on_with_the_same_draw_and_the_device_hears(mut stack: Stack) {
        // Its checker is away, so the receipt waits.
        stack.add_checker().await;
        stack.kill_workers();
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 9, Some(HEAVY_ROWS)).await.unwrap();
        let identity = || Identity::from_secret(&[7; 32]);
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        let grant = device.lease().await.unwrap();
        let output = device.compute(&grant).await.unwrap();
        let bytes = device.upload(&grant, &output).await.unwrap();
        let commit = device.commit(&device.receipt(&grant, &bytes).unwrap());
        device.say(&commit).await.unwrap();
        let lease = grant.lease.to_string();
        let pool = stack.database().await;
        let drawn = async || {
            let row: Option<(String, String)> = sqlx::query_as(
                "select verdict.seed, verdict.tiles
                from verdict
                join receipt on receipt.lease_id = verdict.lease_id
                where receipt.lease_id = $1
                  and receipt.state = 'pending'
                  and verdict.state = 'open'",
            )
            .bind(&lease)
            .fetch_optional(&pool)
            .await
            .unwrap();
            row
        };
        let before = until("tiles are drawn", WITHIN, drawn).await;

        stack.kill_edge();
        assert_eq!(drawn().await.as_ref(), Some(&before), "the receipt waits");
        stack.start_edge().await;
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        device.say(&commit).await.unwrap();
        stack.start_worker("checker-0", &["--checker"]);

        assert!(device.verdict(&grant).await.unwrap(), "it is accepted, and the device hears of it");
        let after: (String, String) = sqlx::query_as("select seed, tiles from verdict where lease_id = $1 and cause = 'commit'")
            .bind(&lease)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(after, before);
        stack.start_worker("worker", &["--backend", "cpu"]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
        stack.check_settled_once(&ended).await;
        stack.check_ledger().await;
    }
}

#[tokio::test]
async fn a_server_that_slept_settles_nothing_that_another_has_taken_over() {
    let mut stack = Stack::start_on_postgres().await;
    let (client, key) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    // Before the lease, which is not to end while a server starts.
    let other = stack.start_another_edge().await;
    let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
    let grant = device.lease().await.unwrap();
    let output = device.compute(&grant).await.unwrap();
    let bytes = device.upload(&grant, &output).await.unwrap();
    let commit = device.commit(&device.receipt(&grant, &bytes).unwrap());

    stack.pause_edge();
    let client = client::Client::new(&other, &key).unwrap();
    // The other does its own slices, takes that one over, and settles the very tiles; the job goes on.
    let mut second = Scripted::join(&other, identity()).await.unwrap();
    let last = grant.first_tile + u64::from(grant.tiles) - 1;
    loop {
        let (taken, settled) = second.work(|_| {}).await.unwrap();
        assert!(settled);
        if (taken.first_tile..taken.first_tile + u64::from(taken.tiles)).contains(&last) {
            break;
        }
    }
    let before = client.job(job.id).await.unwrap();
    assert!(before.state == wire::JobState::Running && before.verified_tiles < job.tiles, "{before:?}");
    // It wakes with the commit before it, and still takes the slice for its own.
    device.say(&commit).await.unwrap();
    stack.wake_edge();

    assert!(!device.verdict(&grant).await.unwrap(), "its tiles are another's by now, and it hears so");
    let after = client.job(job.id).await.unwrap();
    assert_eq!((after.state, after.verified_tiles), (wire::JobState::Running, before.verified_tiles));
    let sql = "select state from receipt where lease_id = $1";
    assert_eq!(stack.row::<(String,)>(sql, grant.lease).await.0, "void");
    stack.check_ledger().await;
    stack.start_worker_at(&other, "worker", &[]);
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
}

#[tokio::test]
async fn a_lease_is_committed_to_another_server_when_the_one_that_granted_it_is_gone() {
    let mut stack = Stack::start_on_postgres().await;
    let (_, key) = stack.customer().await.unwrap();
    let client = client::Client::new(&stack.url(), &key).unwrap();
    let job = stack.submit_digits(&client, 1, None).await.unwrap();
    // Before the lease, which is not to end while a server starts.
    let other = stack.start_another_edge().await;
    let mut device = Scripted::join(&stack.url(), Identity::from_secret(&[7; 32])).await.unwrap();
    let grant = device.lease().await.unwrap();
    let output = device.compute(&grant).await.unwrap();
    let bytes = device.upload(&grant, &output).await.unwrap();
    let receipt = device.receipt(&grant, &bytes).unwrap();

    stack.kill_edge();
    let mut device = Scripted::join(&other, Identity::from_secret(&[7; 32])).await.unwrap();
    device.say(&device.commit_with_token(&receipt, &grant.token)).await.unwrap();
    stack.start_worker_at(&other, "worker", &[]);

    assert!(device.verdict(&grant).await.unwrap(), "its work is paid");
    let client = client::Client::new(&other, &key).unwrap();
    let ended = client.watch(job.id, |_| {}).await.unwrap();
    assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
}
