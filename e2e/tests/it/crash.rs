use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;

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
        e2e::until::until("some tiles are settled", std::time::Duration::from_secs(60), async || {
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
