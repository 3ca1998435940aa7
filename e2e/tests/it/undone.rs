//! Devices that do not do their own work: they give it back, or name another's.

use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use wire::{ErrorCode, FromDevice, JobState, LeaseGrant, ToDevice};

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

#[tokio::test]
async fn a_device_that_names_another_leases_output_has_not_computed_its_own() {
    let stack = Stack::start().await;
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
