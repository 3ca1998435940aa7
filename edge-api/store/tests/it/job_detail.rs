use store::job_detail::{insert_event, list_events, list_latest_receipts, list_outputs, list_throughput};
use store::jobs::find_job;
use store::receipts::{list_tiles_in_check, mature_receipts_of_job};
use store::shares::list_shares;
use wire::{BlobHash, JobEventKind};

use crate::db_test;
use crate::fixture::{NOW, Work, lease};

db_test! {
    async fn a_jobs_story_is_told_in_order_and_once(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let job = work.job.id;
        for (kind, device, at) in [
            (JobEventKind::Started, None, NOW + 1),
            (JobEventKind::Submitted, None, NOW),
            (JobEventKind::CheckFailed, Some(work.device), NOW + 2),
            (JobEventKind::CheckFailed, Some(work.device), NOW + 2),
        ] {
            insert_event(conn, job, kind, device, at).await.unwrap();
        }

        let events = list_events(conn, job, 9).await.unwrap();

        let told: Vec<_> = events.iter().map(|event| (event.kind, event.device, event.at)).collect();
        let submitted = (JobEventKind::Submitted, None, NOW);
        let expected =
            [submitted, (JobEventKind::Started, None, NOW + 1), (JobEventKind::CheckFailed, Some(work.device), NOW + 2)];
        assert_eq!(told, expected);
        assert_eq!(list_events(conn, job, 1).await.unwrap().len(), 1);
    }
}

db_test! {
    async fn tiles_are_plotted_when_they_were_settled(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        // It came in at once, and waited for its check.
        work.accept(conn, 1, (0, 2), 0).await;
        sqlx::query("update receipt set settled_at = $1").bind(NOW + 40_000_000).execute(&mut *conn).await.unwrap();
        work.accept(conn, 2, (2, 1), 10).await;
        // From before this was kept.
        sqlx::query("update receipt set settled_at = 0 where lease_id = $1")
            .bind(lease(2).to_string())
            .execute(&mut *conn)
            .await
            .unwrap();

        let throughput = list_throughput(conn, work.job.id, NOW, NOW + 60_000_000).await.unwrap();

        let settled = throughput.tiles.iter().enumerate().filter(|(_, tiles)| **tiles > 0);
        assert_eq!(settled.collect::<Vec<_>>(), [(9, &1), (39, &2)]);
    }
}

db_test! {
    async fn an_owner_sees_who_did_what_of_a_job_and_how_fast(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let job = work.job.id;
        work.accept(conn, 1, (3, 2), 0).await;
        work.accept(conn, 2, (0, 3), 30).await;
        work.commit(conn, 3, (0, 1), 31).await;

        let shares = list_shares(conn, job).await.unwrap();
        let throughput = list_throughput(conn, job, NOW, NOW + 60_000_000).await.unwrap();
        let latest = list_latest_receipts(conn, job, 2).await.unwrap();
        let before = list_outputs(conn, job).await.unwrap();
        mature_receipts_of_job(conn, job).await.unwrap();

        assert_eq!(shares.len(), 1);
        assert_eq!((shares[0].device, shares[0].tiles, shares[0].receipts, shares[0].recomputed_tiles), (work.device, 5, 2, 2));
        assert!(!shares[0].name.is_empty(), "a device is known by its name");
        assert_eq!((throughput.step, throughput.tiles.len()), (1_000_001, 60));
        assert_eq!((throughput.tiles[0], throughput.tiles[29], throughput.tiles.iter().sum::<u64>()), (2, 3, 5));
        assert_eq!(latest.iter().map(|receipt| receipt.lease).collect::<Vec<_>>(), [lease(3), lease(2)]);
        assert_eq!((latest[0].job, latest[0].tiles), (Some(job), 1));
        assert_eq!(before.len(), 2, "what is verified can be had before it is mature");
        assert_eq!(list_tiles_in_check(conn, job).await.unwrap(), [(0, 1)]);
        let outputs = list_outputs(conn, job).await.unwrap();
        assert_eq!(outputs.iter().map(|part| part.blob).collect::<Vec<_>>(), [BlobHash([2; 32]), BlobHash([1; 32])]);
        assert_eq!(find_job(conn, work.account, job).await.unwrap().unwrap().devices, 1);
    }
}
