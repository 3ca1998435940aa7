//! Devices that do not do their own work: they give it back, or name another's.

use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use wire::{ErrorCode, FromDevice, Job, JobFault, JobState, LeaseGrant, ToDevice};

use crate::engine_test;

/// Takes a lease and gives it back.
async fn give_back(device: &mut Scripted) -> LeaseGrant {
    let grant = device.lease().await.unwrap();
    device.say(&FromDevice::Return { lease: grant.lease }).await.unwrap();
    grant
}

engine_test! {
    async fn strangers_that_give_everything_back_end_nothing(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();
        let mut hoarders =
            [Scripted::join(&stack.url(), identity()).await.unwrap(), Scripted::join(&stack.url(), identity()).await.unwrap()];
        for _ in 0..12 {
            for hoarder in &mut hoarders {
                give_back(hoarder).await;
            }
        }

        stack.start_worker("honest", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_job_whose_input_is_lost_ends_with_the_reason_and_what_was_done_is_paid(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let before = client.account().await.unwrap().available;
        let job = stack.submit_digits(&client, 1, Some(64)).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (grant, settled) = device.work(|_| {}).await.unwrap();
        assert!(settled);
        let input: serde_json::Value = serde_json::from_str(&sources(&stack, &job).await).unwrap();
        stack.lose_blob(serde_json::from_value(input[0]["blob"].clone()).unwrap());

        stack.start_worker("worker", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!(ended.state, JobState::Failed);
        let Some(JobFault::CannotCompute { tile, reason }) = &ended.fault else { panic!("{:?}", ended.fault) };
        assert!(*tile >= u64::from(grant.tiles) && reason.contains("input"), "{tile}: {reason}");
        assert_eq!(ended.verified_tiles, u64::from(grant.tiles));
        until("what is left of the hold is free again", std::time::Duration::from_mins(3), async || {
            (client.account().await.unwrap().held.micros() == 0).then_some(())
        })
        .await;
        let left = client.account().await.unwrap().available;
        assert_eq!(left.micros(), before.micros() - ended.cost.micros());
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_job_whose_input_is_damaged_on_the_way_ends_with_the_reason_and_blames_nobody(mut stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let job = stack.submit_digits(&client, 1, Some(64)).await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        assert!(device.work(|_| {}).await.unwrap().1);
        let input: serde_json::Value = serde_json::from_str(&sources(&stack, &job).await).unwrap();
        stack.damage_blob(serde_json::from_value(input[0]["blob"].clone()).unwrap());

        // Whoever computes and whoever checks reads the same wrong bytes.
        stack.start_worker("worker", &[]);
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!(ended.state, JobState::Failed);
        assert!(matches!(&ended.fault, Some(JobFault::CannotCompute { reason, .. }) if reason.contains("damaged")), "{:?}", ended.fault);
        let (blamed,): (i64,) = sqlx::query_as("select count(*) from device where failed > 0")
            .fetch_one(&stack.database().await)
            .await
            .unwrap();
        assert_eq!(blamed, 0);
        stack.check_ledger().await;
    }
}

async fn sources(stack: &Stack, job: &Job) -> String {
    stack.row::<(String,)>("select sources from job where job_id = $1", job.id).await.0
}

engine_test! {
    async fn a_device_that_names_another_leases_output_has_not_computed_its_own(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        stack.submit_digits(&client, 1, None).await.unwrap();
        let mut honest = Scripted::join(&stack.url(), identity()).await.unwrap();
        let mut lazy = Scripted::join(&stack.url(), identity()).await.unwrap();
        let (computed, copied) = (honest.lease().await.unwrap(), lazy.lease().await.unwrap());
        assert_eq!(computed.tiles, copied.tiles);
        let output = honest.compute(&computed).await.unwrap();
        let bytes = honest.upload(&computed, &output).await.unwrap();

        lazy.say(&lazy.commit(&lazy.receipt(&copied, &bytes).unwrap())).await.unwrap();

        let heard = lazy.hear().await.unwrap();
        assert!(matches!(heard, ToDevice::Refused { code: ErrorCode::OutputMissing, .. }), "{heard:?}");
    }
}

/// Takes whatever it is lent and asked, and gives it back.
async fn give_everything_back(mut device: Scripted) -> anyhow::Result<()> {
    loop {
        let grant = device.lease().await?;
        device.say(&FromDevice::Return { lease: grant.lease }).await?;
    }
}

engine_test! {
    async fn a_tile_that_every_device_gives_back_ends_its_job_with_the_reason(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let mut devices = tokio::task::JoinSet::new();
        // As many accounts as are asked before a tile is given up.
        for _ in 0..8 {
            devices.spawn(give_everything_back(stack.established().await));
        }
        let request = crate::map::order_of_squares(&stack, &client, 200, 200).await;
        let job = client.submit(&request, &identity().device().to_string()).await.unwrap();

        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!(ended.state, JobState::Failed);
        assert!(matches!(ended.fault, Some(JobFault::CannotCompute { tile: 0, .. })), "{:?}", ended.fault);
        assert_eq!(client.account().await.unwrap().held.micros(), 0, "all of it is free again");
        stack.check_ledger().await;
    }
}
