//! Challenges that are not answered in time.

use std::time::Duration;

use edge_api::fleet::challenge::challenge_all;
use edge_api::fleet::open_challenges::{Answer, Challenges, Open, Stage};
use edge_api::server::Patience;
use gpu_kernels::challenge::Chain;
use rules::scheduling::challenge::{Purpose, Size};
use rules::scheduling::speed::Proof;
use tokio::time::Instant;
use wire::{ChallengeId, DeviceId, FromDevice, TileHash};

use crate::db_test;
use crate::device::{Device, id};
use crate::until::until;

const DEVICE: DeviceId = DeviceId([1; 32]);
const ANSWER: Answer = Answer { steps: 1, root: TileHash([4; 32]), ops_per_sec: 7 };

fn seconds_ago(secs: u64) -> Instant {
    Instant::now().checked_sub(Duration::from_secs(secs)).unwrap()
}

fn revealing(probe_bytes: u32) -> Stage {
    Stage::Revealing { answer: ANSWER, rows: vec![3], probe_bytes }
}

/// A device that came to a stage of its challenge so long ago.
fn challenged(stage: Stage, secs: u64) -> Challenges {
    let (id, chain, size) = (ChallengeId([2; 16]), Chain { seed: [3; 4], side: 32 }, Size { side: 32, steps: 1 });
    // What went before has no part in it.
    let (first_at, since) = (seconds_ago(secs + 100), seconds_ago(secs));
    let mut challenges = Challenges::default();
    let purpose = Purpose::Proof;
    challenges.open.insert(DEVICE, Open { id, purpose, chain, size, round: 2, first_at, network: None, since, stage });
    challenges
}

#[test]
fn a_challenge_is_overdue_when_its_stage_is_and_whoever_waits_for_the_server_is_never() {
    for (stage, secs) in [(Stage::Asked, 8), (revealing(0), 20), (revealing(1), 70)] {
        assert_eq!(challenged(stage.clone(), secs - 1).overdue(), [], "{stage:?}");
        assert_eq!(challenged(stage.clone(), secs + 1).overdue(), [DEVICE], "{stage:?}");
    }
    for stage in [Stage::Answered(ANSWER), Stage::Judging] {
        assert_eq!(challenged(stage.clone(), 100).overdue(), [], "{stage:?}");
    }
}

#[test]
fn a_device_that_leaves_owes_an_answer_only_where_it_was_asked_for_one() {
    for (stage, owes) in
        [(Stage::Asked, true), (Stage::Answered(ANSWER), false), (revealing(0), true), (Stage::Judging, false)]
    {
        let mut challenges = challenged(stage.clone(), 0);
        challenges.waiting.push_back(DEVICE);

        assert_eq!(challenges.withdraw(DEVICE), owes, "{stage:?}");
        assert!(challenges.open.is_empty() && challenges.waiting.is_empty());
    }
}

db_test! {
    // Challenged by hand: the server only looks for whoever is late.
    async fn a_device_that_does_not_answer_in_time_has_proved_nothing(app: TestApp with |config| config.challenge_seconds = 86_400) {
        let address = app.listen(Patience::default()).await;
        let mut device = Device::connect(address, 1, |_| {}).await.unwrap();
        device.send(&FromDevice::Ready).await;
        until("the device waits for work", Duration::from_secs(10), async || {
            app.app.scheduler.lock().core.is_hungry().then_some(())
        })
        .await;
        let proof = Proof { ops_per_sec: 5_000_000_000, at: app.app.clock.now() };
        app.app.scheduler.lock().core.on_proved(id(1), proof);
        let shown = || app.app.scheduler.lock().core.flops_per_sec(id(1));
        assert_eq!(shown(), 5_000_000_000);

        challenge_all(&app.app);
        app.app.scheduler.lock().challenges.open.get_mut(&id(1)).unwrap().since = seconds_ago(9);

        assert_eq!(device.speed().await, 0);
        assert_eq!(shown(), 0);
        assert!(app.app.scheduler.lock().challenges.open.is_empty());
        let proved = async || {
            let known = store::devices::find_device(&mut app.app.db.read().await.unwrap(), id(1)).await.unwrap();
            known.unwrap().proof.map(|proof| proof.ops_per_sec)
        };
        assert_eq!(until("it is written down", Duration::from_secs(10), proved).await, 0);
    }
}

db_test! {
    async fn a_device_that_comes_is_asked_for_a_benchmark_which_proves_nothing_and_puts_off_no_proof(
        app: TestApp with |config| config.challenge_seconds = 86_400
    ) {
        let address = app.listen(Patience::default()).await;
        let mut device = Device::connect(address, 1, |_| {}).await.unwrap();
        device.send(&FromDevice::Ready).await;
        let purpose = || app.app.scheduler.lock().challenges.open.get(&id(1)).map(|open| open.purpose);
        let asked = until("it is asked", Duration::from_secs(10), async || purpose()).await;
        assert_eq!(asked, Purpose::Benchmark);

        app.app.scheduler.lock().challenges.open.get_mut(&id(1)).unwrap().since = seconds_ago(9);
        until("it is too late", Duration::from_secs(10), async || purpose().is_none().then_some(())).await;
        device.send(&FromDevice::Ready).await;
        until("it waits for two leases", Duration::from_secs(10), async || {
            app.app.scheduler.lock().core.is_hungry().then_some(())
        })
        .await;
        assert_eq!(purpose(), None, "it is asked once a connection");
        let known = store::devices::find_device(&mut app.app.db.read().await.unwrap(), id(1)).await.unwrap();
        assert!(known.unwrap().proof.is_none(), "nothing was proved, and nothing failed");

        let mut other = Device::connect(address, 2, |_| {}).await.unwrap();
        other.send(&FromDevice::Ready).await;
        let of_other = || app.app.scheduler.lock().challenges.open.get(&id(2)).map(|open| open.purpose);
        until("the other is asked too", Duration::from_secs(10), async || of_other()).await;
        challenge_all(&app.app);
        assert_eq!((purpose(), of_other()), (Some(Purpose::Proof), Some(Purpose::Proof)));
    }
}
