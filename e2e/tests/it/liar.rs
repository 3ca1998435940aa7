use client::Client;
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use wire::device::PROTOCOL;
use wire::{ErrorCode, FromDevice, ToDevice};

use e2e::until::until;

use crate::engine_test;

const WITHIN: std::time::Duration = std::time::Duration::from_mins(3);

engine_test! {
    async fn a_device_that_lies_in_one_tile_after_ten_honest_leases_is_caught_and_not_paid_for_it(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();
        for _ in 0..10 {
            let (_, settled) = liar.work(|_| {}).await.unwrap();
            assert!(settled, "honest work is accepted");
        }

        let (lied, settled) = liar.work(|output| output[7] += 0.01).await.unwrap();

        assert!(!settled, "the lie is caught");
        let device = liar.identity.device().to_string();
        let pool = stack.database().await;
        let (state, cost): (String, i64) = sqlx::query_as("select state, cost from receipt where lease_id = $1")
            .bind(lied.lease.to_string())
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!((state.as_str(), cost), ("rejected", 0));
        until("all that it was not paid for yet is drawn from once more", WITHIN, async || {
            let (unmatured, redrawn): (i64, i64) = sqlx::query_as(
                "select count(*), count(verdict.lease_id)
                from receipt
                left join verdict on verdict.lease_id = receipt.lease_id and verdict.cause = $2 and verdict.state = 'passed'
                where receipt.device_id = $1
                  and receipt.state = 'accepted'",
            )
            .bind(&device)
            .bind(format!("after {}", lied.lease))
            .fetch_one(&pool)
            .await
            .unwrap();
            (redrawn == unmatured && unmatured > 0).then_some(())
        })
        .await;
        // What it was paid for good had been recomputed, every tile of it.
        let (matured, recomputed): (i64, i64) = sqlx::query_as(
            "select count(*), count(case when recomputed = tiles then 1 end)
            from receipt
            where device_id = $1
              and state = 'matured'",
        )
        .bind(&device)
        .fetch_one(&pool)
        .await
        .unwrap();
        assert!(matured > 0 && matured == recomputed, "{recomputed} of {matured}");
        stack.check_ledger().await;

        stack.start_worker("honest", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
        stack.check_settled_once(&ended).await;
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn frames_that_are_malformed_forged_or_replayed_are_refused_by_name(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        stack.submit_digits(&client, 1, None).await.unwrap();
        let url = stack.url();

        let (mut device, _) = Scripted::open(&url, identity()).await.unwrap();
        device.say_text("{\"type\":\"dance\"}".to_owned()).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Close { code: ErrorCode::MalformedFrame, .. }));

        let (mut device, nonce) = Scripted::open(&url, identity()).await.unwrap();
        let old = wire::Hello { protocol: PROTOCOL + 1, ..device.hello(nonce) };
        device.say(&FromDevice::Hello(Box::new(old))).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Close { code: ErrorCode::ProtocolVersion, .. }));

        let (mut device, nonce) = Scripted::open(&url, identity()).await.unwrap();
        let forged = wire::Hello { name: "Another".to_owned(), ..device.hello(nonce) };
        device.say(&FromDevice::Hello(Box::new(forged))).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Close { code: ErrorCode::InvalidSignature, .. }));

        // Signed for a server that passes it on.
        let (mut device, nonce) = Scripted::open(&url, identity()).await.unwrap();
        let hello = device.hello(nonce);
        let signature = device.identity.sign_hello(&hello, nonce, "https://evil.example");
        device.say(&FromDevice::Hello(Box::new(wire::Hello { signature, ..hello }))).await.unwrap();
        let heard = device.hear().await.unwrap();
        assert!(matches!(&heard, ToDevice::Close { code: ErrorCode::InvalidSignature, message } if message.contains("--device-origin")), "{heard:?}");

        let mut device = Scripted::join(&url, identity()).await.unwrap();
        let grant = device.lease().await.unwrap();
        let output = device.compute(&grant).await.unwrap();
        let not_uploaded = device.receipt(&grant, b"nothing").unwrap();
        device.say(&device.commit(&not_uploaded)).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Refused { code: ErrorCode::OutputMissing, .. }));
        let bytes = device.upload(&grant, &output).await.unwrap();
        let receipt = device.receipt(&grant, &bytes).unwrap();
        let signature = identity().sign_receipt(&receipt);
        device.say(&FromDevice::Commit { receipt: receipt.clone(), signature, token: grant.token.clone(), output: None }).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Refused { code: ErrorCode::InvalidSignature, .. }));
        let long_ago = wire::Receipt { time: 0, ..receipt.clone() };
        device.say(&device.commit(&long_ago)).await.unwrap();
        let heard = device.hear().await.unwrap();
        assert!(matches!(&heard, ToDevice::Refused { code: ErrorCode::MalformedFrame, message, .. } if message.contains("clock")), "{heard:?}");
        let foreign = wire::Receipt { first_tile: receipt.first_tile + 1, ..receipt.clone() };
        device.say(&device.commit(&foreign)).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Refused { code: ErrorCode::MalformedFrame, .. }));

        device.say(&device.commit(&receipt)).await.unwrap();
        assert!(device.verdict(&grant).await.unwrap(), "the true receipt is accepted after all that");
        device.say(&device.commit(&receipt)).await.unwrap();
        assert!(device.verdict(&grant).await.unwrap(), "said twice, it is told once more and paid once");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn three_liars_do_not_end_a_job_and_are_not_forgiven(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        for _ in 0..3 {
            let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();
            let (_, settled) = liar.work(|output| output[0] += 1.0).await.unwrap();
            assert!(!settled);
        }

        stack.start_worker("honest", &[]);

        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
        let (blamed,): (i64,) = sqlx::query_as("select count(*) from device where failed = 1 and suspended_until > 0")
            .fetch_one(&stack.database().await)
            .await
            .unwrap();
        assert_eq!(blamed, 3);
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_model_larger_than_any_connected_device_is_refused(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let (mut device, nonce) = Scripted::open(&stack.url(), identity()).await.unwrap();
        let small = device.signed(nonce, wire::Hello { buffer_bytes_max: 1024, ..device.hello(nonce) });
        device.say(&FromDevice::Hello(Box::new(small))).await.unwrap();
        assert!(matches!(device.hear().await.unwrap(), ToDevice::Welcome(_)));

        let refused = stack.submit_digits(&client, 1, None).await.unwrap_err();

        assert!(refused.to_string().contains("the largest connected device has 1024 bytes"), "{refused}");
        assert_eq!(client.account().await.unwrap().held.micros(), 0);
    }
}

/// Rows whose work is more than the server's own processor redoes.
const HEAVY_ROWS: u32 = 8000;

/// A scripted checker with buffers of so many bytes, and a heavy job that an honest device does.
async fn checker_and_heavy_job(stack: &mut Stack, buffer_bytes_max: u64) -> (Scripted, Client, wire::Job) {
    let checker = stack.scripted_checker(buffer_bytes_max).await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 9, Some(HEAVY_ROWS)).await.unwrap();
    let program = job.program.clone();
    let quote = client.quote(&wire::QuoteRequest { program, privacy: job.privacy }).await.unwrap();
    assert_eq!(quote.checked_by, wire::CheckedBy::Checker);
    stack.start_worker("honest", &["--backend", "cpu"]);
    (checker, client, job)
}

engine_test! {
    async fn a_model_too_large_for_every_checker_is_checked_by_the_server(mut stack: Stack) {
        let (mut checker, client, job) = checker_and_heavy_job(&mut stack, 1024).await;

        // It listens all the while: a silent socket is closed, and then no checker would be there.
        let ended = tokio::select! {
            ended = client.watch(job.id, |_| {}) => ended.unwrap(),
            heard = checker.hear() => panic!("it should be asked nothing: {heard:?}"),
        };

        assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn what_a_checker_gives_back_is_checked_by_the_server(mut stack: Stack) {
        let (mut checker, client, job) = checker_and_heavy_job(&mut stack, u64::MAX >> 1).await;

        let mut asked = 0;
        let give_back = async {
            loop {
                let ToDevice::Lease(grant) = checker.hear().await.unwrap() else { continue };
                asked += 1;
                checker.say(&FromDevice::Return { lease: grant.lease }).await.unwrap();
                checker.say(&FromDevice::Ready).await.unwrap();
            }
        };
        let ended = tokio::select! {
            ended = client.watch(job.id, |_| {}) => ended.unwrap(),
            () = give_back => unreachable!("it gives back for as long as it is asked"),
        };

        assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
        // Each tile at its lease, and at the job's final draw.
        assert!((1..=2 * ended.tiles).contains(&asked), "each question should go to it once: {asked}");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_heavy_model_waits_for_the_operators_checker_which_finds_the_lie(mut stack: Stack) {
        stack.add_checker().await;
        stack.kill_workers();
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 9, Some(HEAVY_ROWS)).await.unwrap();
        let detail =
            client.quote(&wire::QuoteRequest { program: job.program.clone(), privacy: job.privacy }).await.unwrap();
        assert!(detail.flops / detail.tiles > 500_000_000, "{detail:?}");
        assert_eq!(detail.checked_by, wire::CheckedBy::Checker);
        let mut liar = Scripted::join(&stack.url(), identity()).await.unwrap();
        let grant = liar.lease().await.unwrap();
        let mut output = liar.compute(&grant).await.unwrap();
        output.iter_mut().for_each(|value| *value += 0.01);
        let bytes = liar.upload(&grant, &output).await.unwrap();
        liar.say(&liar.commit(&liar.receipt(&grant, &bytes).unwrap())).await.unwrap();
        assert_eq!(client.progress(job.id).await.unwrap().job.verified_tiles, 0);

        stack.start_worker("checker-0", &["--checker"]);
        assert!(!liar.verdict(&grant).await.unwrap(), "the checker finds the lie");

        stack.start_worker("honest", &["--backend", "cpu"]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();
        assert_eq!((ended.state, ended.cost), (wire::JobState::Done, ended.hold));
        stack.check_settled_once(&ended).await;
        stack.check_ledger().await;
    }
}
