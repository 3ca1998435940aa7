//! Devices with standing that lie, and tiles that nobody computes to the same twice.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Client;
use e2e::digits::CLASSES;
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use wire::{DeviceId, DisputeState, ErrorCode, FromDevice, Job, JobId, JobState, LeaseGrant, ToDevice};

use crate::engine_test;

const WITHIN: Duration = Duration::from_mins(5);
const LIARS_MAX: usize = 60;
/// Longer than a lease takes.
const CAUGHT_WITHIN: Duration = Duration::from_secs(300);
/// Small tiles, so that a lease has many.
const TILE_ROWS: u32 = 4;
/// A lie in one tile of a lease is drawn in about one of twenty.
const LEASES_MAX: usize = 400;

/// Computes a lease, of several tiles one with a wrong value; whether it was settled.
async fn lie_in_one_tile_of_many(device: &mut Scripted) -> anyhow::Result<(LeaseGrant, bool)> {
    let of_tile = usize::try_from(TILE_ROWS)? * CLASSES;
    let touch = |output: &mut Vec<f32>| {
        if let Some(value) = output.get_mut(of_tile..).and_then(<[f32]>::last_mut) {
            *value += 0.01;
        }
    };
    device.work(touch).await
}

/// What is left of a device's standing, whether a check of it has failed, and whether it is suspended.
async fn record(stack: &Stack, device: &Scripted) -> (i64, bool, bool) {
    let sql = "select cast(sum(device_standing.verified_kflop - device_standing.verified_at_failure) as bigint),
                max(device.failed), max(device.suspended_until)
        from device
        join device_standing on device_standing.device_id = device.device_id
        where device.device_id = $1";
    let (standing, failed, suspended_until): (i64, i64, i64) = stack.row(sql, device.identity.device()).await;
    (standing, failed > 0, suspended_until > 0)
}

/// Returns once a check of the device has failed: of a lease that it commits, or at the end of a job.
async fn is_caught(stack: &Stack, device: DeviceId) {
    let (database, id) = (stack.database().await, device.to_string());
    until("the device is caught", CAUGHT_WITHIN, async || {
        let failed = sqlx::query_as("select failed from device where device_id = $1").bind(&id);
        let (failed,): (i64,) = failed.fetch_one(&database).await.ok()?;
        (failed > 0).then_some(())
    })
    .await;
}

async fn finish_honestly(stack: &mut Stack, client: &Client, jobs: &[Job]) {
    stack.start_worker("honest", &[]);
    for job in jobs {
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        stack.check_settled_once(&ended).await;
    }
    stack.check_ledger().await;
}

engine_test! {
    async fn one_bad_tile_among_many_costs_a_device_its_standing_once_it_is_drawn(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let mut liar = stack.established().await;
        let (id, (before, ..)) = (liar.identity.device(), record(&stack, &liar).await);
        let mut jobs = Vec::new();
        let (mut is_over, mut largest) = (false, 0);
        for _ in 0..LEASES_MAX {
            let running = jobs.last().map(|job: &Job| job.id);
            let is_running = match running {
                Some(id) => client.progress(id).await.unwrap().job.verified_tiles < jobs.last().unwrap().tiles,
                None => false,
            };
            if !is_running {
                jobs.push(stack.submit_digits(&client, 1, Some(TILE_ROWS)).await.unwrap());
            }
            // A suspended device is lent nothing, so its next lease never comes.
            is_over = tokio::select! {
                worked = lie_in_one_tile_of_many(&mut liar) => {
                    let (grant, settled) = worked.unwrap();
                    largest = largest.max(grant.tiles);
                    !settled
                }
                () = is_caught(&stack, id) => true,
            };
            if is_over {
                break;
            }
        }

        assert!(is_over, "one of its lies should be drawn");
        assert!(before > 0 && largest > 1, "{before} behind it, at most {largest} tiles a lease");
        assert_eq!(record(&stack, &liar).await, (0, true, true));
        finish_honestly(&mut stack, &client, &jobs).await;
    }
}

/// Lies in the last tile of each lease of a job, and goes on with the same lie when it is asked for that tile again. As a
/// witness of other tiles it is honest.
async fn lie_in_each_lease(device: &mut Scripted, job: JobId) -> anyhow::Result<()> {
    let mut lent: BTreeMap<u64, bool> = BTreeMap::new();
    device.say(&FromDevice::Ready).await?;
    loop {
        match device.hear().await? {
            ToDevice::Lease(grant) => {
                let mut output = device.compute(&grant).await?;
                let tiles = grant.first_tile..grant.first_tile + u64::from(grant.tiles);
                if grant.job == job {
                    for tile in tiles.clone() {
                        lent.entry(tile).or_insert(tile + 1 == tiles.end);
                    }
                    for tile in tiles.clone().filter(|tile| lent[tile]) {
                        let rows = ((tile + 1 - tiles.start) * grant.tile_rows).min(grant.rows);
                        output[usize::try_from(rows)? * CLASSES - 1] += 0.01;
                    }
                }
                let bytes = device.upload(&grant, &output).await?;
                device.say(&device.commit(&device.receipt(&grant, &bytes)?)).await?;
                device.say(&FromDevice::Ready).await?;
            }
            ToDevice::Close { message, .. } => anyhow::bail!(message),
            _ => {}
        }
    }
}

/// How a device was caught: `commit` or `final`.
async fn cause(stack: &Stack, device: DeviceId) -> String {
    let sql = "select verdict.cause
        from verdict
        join receipt on receipt.lease_id = verdict.lease_id
        where receipt.device_id = $1
          and verdict.state = 'rejected'
        order by verdict.decided_at
        limit 1";
    stack.row::<(String,)>(sql, device).await.0
}

engine_test! {
    async fn a_lie_that_was_paid_is_found_by_the_final_draw_and_its_job_is_done_again(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let (mut jobs, mut caught_by) = (Vec::new(), Vec::new());
        // About one liar in seven is first drawn at the end.
        for _ in 0..LIARS_MAX {
            let mut liar = stack.established().await;
            let id = liar.identity.device();
            let job = stack.submit_digits(&client, 1, Some(TILE_ROWS)).await.unwrap();
            let is_caught = tokio::select! {
                lied = lie_in_each_lease(&mut liar, job.id) => panic!("its socket should stand: {lied:?}"),
                () = is_caught(&stack, id) => true,
                ended = client.watch(job.id, |_| {}) => { assert_eq!(ended.unwrap().state, JobState::Done); false }
            };
            jobs.push(job);
            if is_caught {
                caught_by.push(cause(&stack, id).await);
            }
            if caught_by.last().is_some_and(|cause| cause == "final") {
                break;
            }
        }

        assert_eq!(caught_by.last().map(String::as_str), Some("final"), "{caught_by:?}");
        assert_eq!(client.progress(jobs.last().unwrap().id).await.unwrap().job.state, JobState::Running);
        finish_honestly(&mut stack, &client, &jobs).await;
    }
}

/// A device that works, and answers whoever asks, with outputs that `touch` may change.
async fn answer(mut device: Scripted, mut touch: impl FnMut(&mut Vec<f32>)) -> anyhow::Result<()> {
    device.say(&FromDevice::Ready).await?;
    loop {
        match device.hear().await? {
            ToDevice::Lease(grant) => answer_one(&mut device, &grant, &mut touch).await?,
            ToDevice::Close { message, .. } => anyhow::bail!(message),
            _ => {}
        }
    }
}

async fn answer_one(
    device: &mut Scripted,
    grant: &LeaseGrant,
    touch: &mut impl FnMut(&mut Vec<f32>),
) -> anyhow::Result<()> {
    let mut output = device.compute(grant).await?;
    touch(&mut output);
    let bytes = device.upload(grant, &output).await?;
    device.say(&device.commit(&device.receipt(grant, &bytes)?)).await?;
    device.say(&FromDevice::Ready).await
}

/// Every run is another.
fn by_chance(mut noise: u8) -> impl FnMut(&mut Vec<f32>) {
    move |output| {
        noise = noise.wrapping_add(1);
        output.iter_mut().for_each(|value| *value += 1.0 + f32::from(noise));
    }
}

async fn blamed(stack: &Stack) -> i64 {
    let sql = "select count(*) from device where failed > 0 or suspended_until > 0";
    let (blamed,): (i64,) = sqlx::query_as(sql).fetch_one(&stack.database().await).await.unwrap();
    blamed
}

engine_test! {
    async fn a_program_that_answers_by_chance_ends_its_job_and_ruins_nobody(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, Some(TILE_ROWS)).await.unwrap();
        let mut devices = tokio::task::JoinSet::new();
        for noise in [0, 60, 120, 180] {
            devices.spawn(answer(stack.established().await, by_chance(noise)));
        }

        let ended = tokio::time::timeout(WITHIN, client.watch(job.id, |_| {})).await.unwrap().unwrap();

        assert_eq!(ended.state, JobState::Nondeterministic);
        let disputes = client.job_detail(job.id).await.unwrap().disputes;
        let unreproducible = disputes.iter().filter(|dispute| dispute.state == DisputeState::NotReproducible);
        assert!(unreproducible.clone().count() >= 3, "{disputes:?}");
        assert!(unreproducible.clone().all(|dispute| !dispute.signed.is_empty() && !dispute.recomputed.is_empty()), "{disputes:?}");
        until("what is left of the hold is free again", WITHIN, async || {
            (client.account().await.unwrap().held.micros() == 0).then_some(())
        })
        .await;
        assert_eq!(blamed(&stack).await, 0, "no device is to blame");
        let sql = "select count(case when state = 'matured' then 1 end), count(case when state = 'accepted' then 1 end),
                count(case when state = 'rejected' then 1 end)
            from receipt
            where job_id = $1";
        let (paid, rejected) = until("what was done is paid for good", WITHIN, async || {
            let (matured, accepted, rejected): (i64, i64, i64) = stack.row(sql, job.id).await;
            (accepted == 0).then_some((matured, rejected))
        })
        .await;
        assert!(paid > 0 && rejected == 0, "{paid} receipts are paid, {rejected} rejected");
        devices.abort_all();
        stack.check_ledger().await;
    }
}

/// The digits four times over: one tile, whose work is more than the server's own processor redoes.
const HEAVY_ROWS: u32 = 7188;
const BUFFER_BYTES: u64 = 1 << 30;

/// A checker of the operator's, a job of one tile that only it may check, and a device that has that tile.
async fn checker_and_device(stack: &mut Stack) -> (Scripted, Client, Job, Scripted, LeaseGrant) {
    let checker = stack.scripted_checker(BUFFER_BYTES).await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 4, Some(HEAVY_ROWS)).await.unwrap();
    let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
    let grant = device.lease().await.unwrap();
    (checker, client, job, device, grant)
}

async fn commit_honestly(device: &mut Scripted, grant: &LeaseGrant) {
    let output = device.compute(grant).await.unwrap();
    let bytes = device.upload(grant, &output).await.unwrap();
    device.say(&device.commit(&device.receipt(grant, &bytes).unwrap())).await.unwrap();
}

engine_test! {
    async fn an_operators_checker_that_errs_is_outvoted_by_two_devices_and_the_work_is_paid(mut stack: Stack) {
        let (checker, client, job, mut device, grant) = checker_and_device(&mut stack).await;
        let mut others = tokio::task::JoinSet::new();
        others.spawn(answer(checker, |output| output[0] += 1.0));
        let mut witnesses = Vec::new();
        for _ in 0..2 {
            let witness = stack.established().await;
            witnesses.push(witness.identity.device());
            others.spawn(answer(witness, |_| {}));
        }

        commit_honestly(&mut device, &grant).await;

        assert!(device.verdict(&grant).await.unwrap(), "it is paid");
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        let disputes = client.job_detail(job.id).await.unwrap().disputes;
        assert!(matches!(&disputes[..], [one] if one.state == DisputeState::CheckerWrong), "{disputes:?}");
        assert_eq!(blamed(&stack).await, 0, "nobody's device is to blame");
        for witness in witnesses {
            assert!(stack.is_paid_judge(witness).await, "a witness is paid");
        }
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn an_output_that_is_damaged_while_it_is_in_dispute_blames_nobody_and_its_tile_is_done_again(mut stack: Stack) {
        let (checker, client, job, mut device, grant) = checker_and_device(&mut stack).await;
        let mut witness = stack.established().await;
        witness.say(&FromDevice::Ready).await.unwrap();
        let mut checkers = tokio::task::JoinSet::new();
        let mut errs_once = Some(1.0);
        checkers.spawn(answer(checker, move |output| output[0] += errs_once.take().unwrap_or_default()));
        commit_honestly(&mut device, &grant).await;
        let question = loop {
            if let ToDevice::Lease(question) = witness.hear().await.unwrap() {
                break question;
            }
        };
        let (signed,): (String,) = stack.row("select signed_output from dispute where job_id = $1", job.id).await;

        stack.damage_blob(signed.parse().unwrap());
        answer_one(&mut witness, &question, &mut |output| output[0] += 1.0).await.unwrap();

        let heard = loop {
            match device.hear().await.unwrap() {
                ToDevice::Refused { code, message, .. } => break (code, message),
                ToDevice::Settled { .. } => panic!("nothing is left to be paid for"),
                _ => {}
            }
        };
        assert!(heard.0 == ErrorCode::UnknownLease && heard.1.contains("damaged on the server"), "{heard:?}");
        assert_eq!(blamed(&stack).await, 0);
        let (_, settled) = device.work(|_| {}).await.unwrap();
        assert!(settled, "the same device may do it again");
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        assert_eq!(client.job_detail(job.id).await.unwrap().disputes, [], "it is withdrawn");
        stack.check_ledger().await;
    }
}
