use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::stack::Stack;

const SOON: Duration = Duration::from_mins(3);

async fn lend(stack: &Stack) -> Browser {
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.lend(&stack.url(), "software").await;
    browser.text_where("[data-testid=phase]", SOON, |phase| phase == "Waiting for work" || phase == "Computing").await;
    browser
}

#[tokio::test]
async fn two_tabs_and_a_native_device_work_at_once_and_every_tile_is_settled_once() {
    let mut stack = Stack::start().await;
    let (first, second) = tokio::join!(lend(&stack), lend(&stack));
    let worker = stack.worker_id("worker");
    stack.start_worker("worker", &[]);
    // The tabs alone could be done with all of the job while it starts.
    stack.is_here(worker).await;
    let (client, _) = stack.customer().await.unwrap();

    let job = stack.submit_digits(&client, 1, Some(2)).await.unwrap();
    let mut most_at_once = 0;
    let ended =
        client.watch(job.id, |progress| most_at_once = most_at_once.max(progress.devices_at_work)).await.unwrap();

    assert_eq!((ended.state, ended.devices, ended.verified_tiles), (wire::JobState::Done, 3, 899));
    assert_eq!(most_at_once, 3, "all three should work at once");
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn when_the_tab_is_closed_in_mid_job_another_device_finishes_and_the_ledger_sums_to_zero() {
    let mut stack = Stack::start().await;
    let tab = lend(&stack).await;
    let (client, _) = stack.customer().await.unwrap();
    let job = stack.submit_digits(&client, 1, Some(4)).await.unwrap();
    tab.text_where("[data-testid=tiles-verified]", SOON, |tiles| tiles.parse().is_ok_and(|tiles: u32| tiles >= 8))
        .await;

    // However long a browser takes to close its tab, the rest of the job waits.
    stack.pause_edge();
    tab.close().await;
    stack.wake_edge();
    let halfway = client.job(job.id).await.unwrap();
    stack.start_worker("worker", &[]);
    let ended = client.watch(job.id, |_| {}).await.unwrap();

    assert_eq!(halfway.state, wire::JobState::Running, "the tab was closed in mid-job");
    assert_eq!((ended.state, ended.devices), (wire::JobState::Done, 2));
    let (leases,): (i64,) = sqlx::query_as("select count(*) from receipt where job_id = $1")
        .bind(job.id.to_string())
        .fetch_one(&stack.database().await)
        .await
        .unwrap();
    assert!(leases >= 50, "the job should have at least 50 leases, not {leases}");
    stack.check_settled_once(&ended).await;
    stack.check_ledger().await;
}
