//! A fleet of replicas over one database, of which one after another fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use client::Client;
use e2e::digits;
use e2e::fleet::Fleet;
use e2e::scripted::{Scripted, identity};
use e2e::until::until;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::{Infer, Job, JobState, LeaseGrant, Nonce, Program, SubmitJob, ToDevice};
use worker::identity::Identity;

const WITHIN: Duration = Duration::from_mins(4);
/// Before a device that was cut off connects again.
const PAUSE: Duration = Duration::from_millis(50);
const DEVICES: usize = 9;
const TILES: u32 = 4_000;

/// A job of so many tiles of one row, whose output is its input.
async fn submit(fleet: &Fleet, client: &Client, tiles: u32) -> anyhow::Result<Job> {
    let input = fleet.stack.folder().join(format!("column-{tiles}.npy"));
    std::fs::write(&input, digits::column(tiles))?;
    let model = client.upload(&digits::relu()).await?.hash;
    let input = client.upload(&input).await?.hash;
    let program = Program::Infer(Infer { model, input: Some(input), inputs: BTreeMap::new(), tile_rows: Some(1) });
    Ok(client.submit(&SubmitJob::new(program), &Nonce([7; 16]).to_string()).await?)
}

/// Works at the balancer, and connects anew whenever it is cut off, until it is told to stop.
async fn work(url: String, secret: [u8; 32], mut stop: watch::Receiver<bool>) {
    loop {
        let session = async {
            let mut device = Scripted::join(&url, Identity::from_secret(&secret)).await?;
            loop {
                serve(&mut device).await?;
            }
        };
        tokio::select! {
            // Whatever broke off, it comes back.
            ended = session => { let _ended: anyhow::Result<std::convert::Infallible> = ended; }
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // As long as nobody is ready, it does not ask without a pause.
        if tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// One lease from asking to the edge's word.
async fn serve(device: &mut Scripted) -> anyhow::Result<()> {
    let grant = device.lease().await?;
    hand_in(device, &grant).await?;
    device.verdict(&grant).await.map(drop)
}

async fn hand_in(device: &mut Scripted, grant: &LeaseGrant) -> anyhow::Result<()> {
    let input = device.input(grant).await?;
    device.upload_bytes(grant, &input).await?;
    let receipt = device.receipt(grant, &input)?;
    device.say(&device.commit_with_token(&receipt, &grant.token)).await
}

async fn reaches(client: &Client, job: &Job, percent: u64) {
    until(&format!("{percent} % are verified"), WITHIN, async || {
        client.job(job.id).await.ok().filter(|job| job.verified_tiles * 100 >= percent * job.tiles)
    })
    .await;
}

#[tokio::test]
async fn whatever_befalls_its_replicas_a_fleet_settles_every_tile_once() {
    let mut fleet = Fleet::start().await;
    let client = fleet.customer().await.unwrap();
    let job = submit(&fleet, &client, TILES).await.unwrap();
    let (stopped, stop) = watch::channel(false);
    let mut devices = JoinSet::new();
    for n in 0..DEVICES {
        let mut secret = [n.to_le_bytes()[0]; 32];
        getrandom::fill(&mut secret[1..]).unwrap();
        devices.spawn(work(fleet.url(), secret, stop.clone()));
    }

    reaches(&client, &job, 10).await;
    fleet.stack.kill_edge();
    fleet.are_ready(2).await;

    reaches(&client, &job, 25).await;
    fleet.cut_off(1);
    fleet.are_ready(1).await;
    reaches(&client, &job, 35).await;
    fleet.join(1);
    fleet.are_ready(2).await;

    reaches(&client, &job, 50).await;
    fleet.stack.signal_other(1, "-STOP");
    fleet.are_ready(1).await;
    reaches(&client, &job, 60).await;
    fleet.stack.signal_other(1, "-CONT");
    fleet.are_ready(2).await;

    reaches(&client, &job, 75).await;
    fleet.restart_database().await;
    fleet.are_ready(2).await;

    let ended = until("the job ends", WITHIN, async || {
        client.job(job.id).await.ok().filter(|job| job.state != JobState::Running)
    })
    .await;
    stopped.send(true).unwrap();
    devices.join_all().await;
    assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold), "every tile is paid, none twice");
    fleet.stack.check_settled_once(&ended).await;
    fleet.stack.check_ledger().await;
}

#[tokio::test]
async fn a_replica_that_is_asked_to_stop_is_gone_within_ten_seconds_and_loses_nobodys_work() {
    let mut fleet = Fleet::start().await;
    let client = fleet.customer().await.unwrap();
    let job = submit(&fleet, &client, 600).await.unwrap();
    let stopping = fleet.stack.url();
    let mut slow = Scripted::join(&stopping, identity()).await.unwrap();
    let mut quick = Scripted::join(&stopping, identity()).await.unwrap();
    let (of_slow, of_quick) = (slow.lease().await.unwrap(), quick.lease().await.unwrap());

    let begun = Instant::now();
    let (status, ()) = tokio::join!(fleet.stack.stop_edge(), async {
        hand_in(&mut quick, &of_quick).await.unwrap();
        assert!(quick.verdict(&of_quick).await.unwrap(), "it was begun before");
        for device in [&mut quick, &mut slow] {
            let goodbye = until_closed(device).await;
            assert_eq!(goodbye, wire::ErrorCode::Draining);
        }
    });

    assert!(status.success() && begun.elapsed() < Duration::from_secs(10), "{status}, {:?}", begun.elapsed());
    let lost = "select count(*)
        from slice
        where job_id = $1
          and owner <> ''
          and owner not in (select replica_id from replica)";
    assert_eq!(fleet.stack.row::<(i64,)>(lost, job.id).await.0, 0, "others need not wait until it looks dead");
    // What outlasted it is handed in elsewhere, by the lease's token.
    let mut slow = Scripted::join(&fleet.url(), slow.identity).await.unwrap();
    hand_in(&mut slow, &of_slow).await.unwrap();
    assert!(slow.verdict(&of_slow).await.unwrap(), "its work is paid");
    let (stopped, stop) = watch::channel(false);
    let device = tokio::spawn(work(fleet.url(), [3; 32], stop));
    let ended = until("the job ends", WITHIN, async || {
        client.job(job.id).await.ok().filter(|job| job.state != JobState::Running)
    })
    .await;
    stopped.send(true).unwrap();
    device.await.unwrap();
    assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold));
    fleet.stack.check_settled_once(&ended).await;
    fleet.stack.check_ledger().await;
}

async fn until_closed(device: &mut Scripted) -> wire::ErrorCode {
    loop {
        if let ToDevice::Close { code, .. } = device.hear().await.unwrap() {
            return code;
        }
    }
}
