//! Receipts that wait for a check, and what becomes of them.

use client::Client;
use e2e::digits;
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use futures::FutureExt;
use wire::{FromDevice, Hello, Job, JobState, LeaseGrant, ToDevice};
use worker::identity::Identity;

use crate::engine_test;

const WITHIN: std::time::Duration = std::time::Duration::from_mins(3);
/// Rows of a tile whose work is more than the server's own processor redoes: the digits four times over.
const HEAVY_ROWS: u32 = 7188;
const BUFFER_BYTES: u64 = 1 << 30;

/// Commits to a lease what was computed, once `touch` has changed it.
async fn commit(device: &mut Scripted, grant: &LeaseGrant, touch: impl FnOnce(&mut Vec<f32>)) {
    let mut output = device.compute(grant).await.unwrap();
    touch(&mut output);
    let bytes = device.upload(grant, &output).await.unwrap();
    device.say(&device.commit_with_token(&device.receipt(grant, &bytes).unwrap(), &grant.token)).await.unwrap();
}

/// The next lease of a device that said it is ready.
async fn hear_lease(device: &mut Scripted) -> LeaseGrant {
    loop {
        if let ToDevice::Lease(grant) = device.hear().await.unwrap() {
            return grant;
        }
    }
}

/// Answers whatever it is asked, and is ready for more.
async fn answer(device: &mut Scripted, question: &LeaseGrant) {
    commit(device, question, |_| {}).await;
    device.say(&FromDevice::Ready).await.unwrap();
}

async fn state_and_cost(stack: &Stack, grant: &LeaseGrant) -> (String, i64) {
    stack.row("select state, cost from receipt where lease_id = $1", grant.lease).await
}

/// A job of `tiles` tiles that a checker alone may check, and a newcomer.
async fn heavy_job(stack: &Stack, tiles: usize) -> (Client, Job, Scripted) {
    let (client, _) = stack.customer().await.unwrap();
    let times = tiles * usize::try_from(HEAVY_ROWS).unwrap() / digits::ROWS;
    let job = stack.submit_digits(&client, times, Some(HEAVY_ROWS)).await.unwrap();
    (client, job, Scripted::join(&stack.url(), identity()).await.unwrap())
}

engine_test! {
    async fn a_device_that_was_caught_in_the_meantime_is_paid_nothing_for_what_waited(mut stack: Stack) {
        let mut checker = stack.scripted_checker(BUFFER_BYTES).await;
        let (_, _, mut device) = heavy_job(&stack, 1).await;
        let grant = device.lease().await.unwrap();
        commit(&mut device, &grant, |_| {}).await;
        let question = hear_lease(&mut checker).await;

        let caught = sqlx::query("update device set suspended_until = $2 where device_id = $1")
            .bind(device.identity.device().to_string())
            .bind(i64::MAX)
            .execute(&stack.database().await)
            .await;
        assert_eq!(caught.unwrap().rows_affected(), 1);
        answer(&mut checker, &question).await;

        assert!(!device.verdict(&grant).await.unwrap());
        assert_eq!(state_and_cost(&stack, &grant).await, ("void".to_owned(), 0));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_cancelled_job_pays_what_is_settled_and_nothing_for_what_waits_and_both_devices_hear(mut stack: Stack) {
        let mut checker = stack.scripted_checker(BUFFER_BYTES).await;
        let (client, job, mut first) = heavy_job(&stack, 2).await;
        let before = client.account().await.unwrap().available;
        let mut second = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (settled, waiting) = (first.lease().await.unwrap(), second.lease().await.unwrap());
        commit(&mut first, &settled, |_| {}).await;
        let question = hear_lease(&mut checker).await;
        answer(&mut checker, &question).await;
        assert!(first.verdict(&settled).await.unwrap());
        commit(&mut second, &waiting, |_| {}).await;
        hear_lease(&mut checker).await;

        client.cancel(job.id).await.unwrap();

        assert!(!second.verdict(&waiting).await.unwrap(), "it hears that nothing is paid");
        until("the job is closed", WITHIN, async || {
            let states = (state_and_cost(&stack, &settled).await.0, state_and_cost(&stack, &waiting).await.0);
            (states == ("matured".to_owned(), "void".to_owned())).then_some(())
        })
        .await;
        let (ended, after) = (client.job(job.id).await.unwrap(), client.account().await.unwrap());
        assert_eq!((ended.state, ended.verified_tiles), (JobState::Cancelled, 1));
        // The hold was taken when the account was looked at first.
        let free = before.micros() + job.hold.micros() - ended.cost.micros();
        assert_eq!((after.held.micros(), after.available.micros()), (0, free));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn an_ended_jobs_receipt_whose_device_is_gone_waits_for_nothing(mut stack: Stack) {
        let mut checker = stack.scripted_checker(BUFFER_BYTES).await;
        let (client, job, mut device) = heavy_job(&stack, 1).await;
        let grant = device.lease().await.unwrap();
        commit(&mut device, &grant, |_| {}).await;
        hear_lease(&mut checker).await;
        drop(device);
        stack.kill_edge();
        stack.start_edge().await;

        client.cancel(job.id).await.unwrap();

        until("its receipt is void", WITHIN, async || {
            (state_and_cost(&stack, &grant).await == ("void".to_owned(), 0)).then_some(())
        })
        .await;
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn an_input_that_cannot_be_read_for_a_while_costs_no_lease(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        let mut other = Scripted::join(&stack.url(), identity()).await.unwrap();
        let grant = device.lease().await.unwrap();
        let computed = device.compute(&grant).await.unwrap();
        let of_other = other.lease().await.unwrap();
        let output = other.compute(&of_other).await.unwrap();
        let sql = "select sources from job where job_id = $1";
        let sources: serde_json::Value = serde_json::from_str(&stack.row::<(String,)>(sql, job.id).await.0).unwrap();
        let input = serde_json::from_value(sources[0]["blob"].clone()).unwrap();

        // As where its folder is not mounted for a moment.
        let (mark, away) = (stack.folder().join("blobs/tessera"), stack.folder().join("away"));
        std::fs::rename(&mark, &away).unwrap();
        let bytes = stack.lose_blob(input);
        let uploaded = device.upload(&grant, &computed).await.unwrap();
        device.say(&device.commit(&device.receipt(&grant, &uploaded).unwrap())).await.unwrap();
        until("a check has failed", WITHIN, async || stack.has_logged("a check could not be finished").then_some(())).await;
        stack.restore_blob(input, &bytes);
        std::fs::rename(&away, &mark).unwrap();

        assert!(device.verdict(&grant).await.unwrap(), "it is checked once more");
        let uploaded = other.upload(&of_other, &output).await.unwrap();
        other.say(&other.commit(&other.receipt(&of_other, &uploaded).unwrap())).await.unwrap();
        assert!(other.verdict(&of_other).await.unwrap(), "another's lease in the same slice goes on");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_customers_own_work_gives_its_device_no_standing(stack: Stack) {
        let (client, key) = stack.customer().await.unwrap();
        stack.submit_digits(&client, 1, None).await.unwrap();
        let (mut own, nonce) = Scripted::open(&stack.url(), identity()).await.unwrap();
        let hello = own.signed(nonce, Hello { key: Some(key), ..own.hello(nonce) });
        own.say(&FromDevice::Hello(Box::new(hello))).await.unwrap();
        let mut stranger = Scripted::join(&stack.url(), identity()).await.unwrap();
        let standing = async |device: &Scripted| {
            let sql = "select cast(coalesce(sum(verified_kflop), 0) as bigint) from device_standing where device_id = $1";
            stack.row::<(i64,)>(sql, device.identity.device()).await.0
        };

        for device in [&mut own, &mut stranger] {
            assert!(device.work(|_| {}).await.unwrap().1);
        }

        assert_eq!(standing(&own).await, 0);
        assert!(standing(&stranger).await > 0, "the same work for another counts");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_dispute_that_was_broken_off_goes_on_with_what_its_witness_said(mut stack: Stack) {
        let trusted = || Identity::from_secret(&[8; 32]);
        stack.trust(trusted().device().to_string()).await;
        let mut checker = stack.join_checker(trusted(), BUFFER_BYTES).await;
        let (client, job, mut device) = heavy_job(&stack, 1).await;
        let grant = device.lease().await.unwrap();
        let mut first = stack.established().await;
        first.say(&FromDevice::Ready).await.unwrap();
        commit(&mut device, &grant, |_| {}).await;
        let err = |output: &mut Vec<f32>| output[0] += 1.0;
        let question = hear_lease(&mut checker).await;
        commit(&mut checker, &question, err).await;
        let question = hear_lease(&mut first).await;
        // So that it is waited for a second one.
        let second = stack.established().await;
        answer(&mut first, &question).await;
        let pool = stack.database().await;
        let runs = async || -> Vec<(String,)> {
            sqlx::query_as("select device_id from dispute_run").fetch_all(&pool).await.unwrap()
        };
        until("the witness was heard", WITHIN, async || (runs().await.len() == 1).then_some(())).await;

        stack.kill_edge();
        drop(second);
        stack.start_edge().await;
        let mut checker = stack.join_checker(trusted(), BUFFER_BYTES).await;
        let mut second = stack.established().await;
        second.say(&FromDevice::Ready).await.unwrap();
        let question = hear_lease(&mut checker).await;
        commit(&mut checker, &question, err).await;
        let question = hear_lease(&mut second).await;
        answer(&mut second, &question).await;

        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        let mut heard: Vec<String> = runs().await.into_iter().map(|(device,)| device).collect();
        heard.sort();
        let mut expected = [first.identity.device().to_string(), second.identity.device().to_string()];
        expected.sort();
        assert_eq!(heard, expected, "each was asked once");
        for witness in [first, second] {
            assert!(stack.is_paid_judge(witness.identity.device()).await);
        }
        stack.check_ledger().await;
    }
}

/// A device commits to a lease in whose slice another server has written since. Returns whether it is paid, and what its
/// receipt says.
async fn commit_in_a_slice_taken_over(stack: &Stack, touch: impl FnOnce(&mut Vec<f32>)) -> (bool, (String, i64)) {
    let (client, _) = stack.customer().await.unwrap();
    stack.submit_digits(&client, 1, None).await.unwrap();
    let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
    let grant = device.lease().await.unwrap();

    let sql = "update slice set owner = 'another', fence = fence + 1 where job_id = $1";
    let seized = sqlx::query(sql).bind(grant.job.to_string()).execute(&stack.database().await).await.unwrap();
    assert!(seized.rows_affected() > 0);
    commit(&mut device, &grant, touch).await;

    let settled = device.verdict(&grant).await.unwrap();
    let state = state_and_cost(stack, &grant).await;
    stack.check_ledger().await;
    (settled, state)
}

engine_test! {
    async fn a_receipt_in_a_slice_that_was_taken_over_is_settled_by_whoever_owns_it_and_its_device_hears(stack: Stack) {
        let (settled, (state, _)) = commit_in_a_slice_taken_over(&stack, |_| {}).await;

        assert!(settled && ["accepted", "matured"].contains(&state.as_str()), "{state}");
    }
}

engine_test! {
    async fn a_lie_in_a_slice_that_was_taken_over_is_rejected_by_whoever_owns_it_and_its_device_hears(stack: Stack) {
        let (settled, state) = commit_in_a_slice_taken_over(&stack, |output| output[0] += 1.0).await;

        assert!(!settled);
        assert_eq!(state, ("rejected".to_owned(), 0));
    }
}

engine_test! {
    async fn a_device_of_the_same_network_is_not_asked_about_its_neighbours_work(mut stack: Stack) {
        stack.trust_proxy().await;
        let (client, _) = stack.customer().await.unwrap();
        let mut neighbours = Vec::new();
        for address in ["203.0.113.9", "203.0.113.200"] {
            neighbours.push(stack.established_at(address).await);
        }
        let elsewhere = stack.established_at("198.51.100.1").await;
        let request = crate::map::order_of_squares(&stack, &client, 200, 200).await;
        let job = until("two judges are connected", WITHIN, async || {
            client.submit(&request, &identity().device().to_string()).await.ok()
        })
        .await;
        drop(elsewhere);
        let (mut device, nonce) = Scripted::open_from("203.0.113.77", &stack.url(), identity()).await.unwrap();
        device.say(&FromDevice::Hello(Box::new(device.hello(nonce)))).await.unwrap();
        let grant = device.lease().await.unwrap();
        for neighbour in &mut neighbours {
            neighbour.say(&FromDevice::Ready).await.unwrap();
        }
        let squares: Vec<f32> = (0..200u32).map(|i| f32::from_bits(i * i)).collect();
        let answer = async |device: &mut Scripted, grant: &LeaseGrant| {
            let bytes = device.upload(grant, &squares).await.unwrap();
            device.say(&device.commit(&device.receipt(grant, &bytes).unwrap())).await.unwrap();
        };
        answer(&mut device, &grant).await;
        until("its receipt waits", WITHIN, async || {
            let sql = "select count(*) from receipt where job_id = $1";
            (stack.row::<(i64,)>(sql, job.id).await.0 == 1).then_some(())
        })
        .await;

        let mut elsewhere = stack.established_at("198.51.100.1").await;
        elsewhere.say(&FromDevice::Ready).await.unwrap();
        let question = hear_lease(&mut elsewhere).await;
        answer(&mut elsewhere, &question).await;

        assert!(device.verdict(&grant).await.unwrap());
        for neighbour in &mut neighbours {
            let heard = neighbour.hear().now_or_never();
            assert!(!matches!(heard, Some(Ok(ToDevice::Lease(_)))), "{heard:?}");
        }
        stack.check_ledger().await;
    }
}
