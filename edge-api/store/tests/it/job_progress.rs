use std::collections::BTreeSet;

use rules::billing::bill::Bill;
use store::job_progress::{
    JobBalance, cancel_job, end_disputed_job, end_overdue_job, fail_job, find_job_state, finish_job,
    list_jobs_to_close, list_overdue_jobs, lock_jobs, mark_closed, return_tiles, take_tiles, write_bill,
};
use store::jobs::{JobFilter, find_job, list_jobs};
use store::overview::count_jobs;
use wire::{JobFault, JobState};

use crate::db_test;
use crate::fixture::{NOW, Work, account, credits, job, job_id};

const FAULT: JobFault = JobFault::OutOfFuel { line: 7, turns: true, tile: 3 };

db_test! {
    async fn tiles_are_taken_off_a_running_job_and_put_back(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let ordered = job(conn, 1, ada).await;
        let bill = Bill { cost: credits(4), fee: credits(1), rest: -7 };
        let left = |remaining, bill| JobBalance { remaining, bill };

        let running = lock_jobs(conn, &[ordered.id, job_id(9)].into()).await.unwrap();
        assert_eq!(running, [ordered.id].into(), "there is no other");
        assert_eq!(take_tiles(conn, ordered.id, 2, 1).await.unwrap(), Some(left(3, Bill::default())));
        write_bill(conn, ordered.id, bill).await.unwrap();
        assert_eq!(take_tiles(conn, ordered.id, 3, 1).await.unwrap(), Some(left(0, bill)));
        assert_eq!(return_tiles(conn, ordered.id, 3).await.unwrap(), left(3, bill));
        let found = find_job(conn, ada, ordered.id).await.unwrap().unwrap();
        assert_eq!((found.verified_tiles, found.recomputed_tiles, found.cost.micros()), (2, 2, 4));
        assert!(cancel_job(conn, ordered.id, NOW + 1).await.unwrap());
        assert_eq!(take_tiles(conn, ordered.id, 1, 1).await.unwrap(), None);
    }
}

db_test! {
    async fn a_job_is_done_when_nothing_remains(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let ordered = job(conn, 1, ada).await;

        assert!(!finish_job(conn, ordered.id, NOW + 1).await.unwrap());
        take_tiles(conn, ordered.id, 5, 1).await.unwrap();
        assert_eq!(list_jobs_to_close(conn, &BTreeSet::new(), 9).await.unwrap(), [ordered.id]);
        assert_eq!(list_jobs_to_close(conn, &[ordered.id].into(), 9).await.unwrap(), [], "it is being closed");
        assert!(finish_job(conn, ordered.id, NOW + 1).await.unwrap());
        assert!(!finish_job(conn, ordered.id, NOW + 2).await.unwrap());
        let found = find_job(conn, ada, ordered.id).await.unwrap().unwrap();
        assert_eq!((found.state, found.ended_at), (JobState::Done, Some(NOW + 1)));
        mark_closed(conn, ordered.id).await.unwrap();
        assert_eq!(list_jobs_to_close(conn, &BTreeSet::new(), 9).await.unwrap(), []);
    }
}

db_test! {
    async fn a_job_ends_once_and_says_how(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        for n in 1..=4 {
            job(conn, n, ada).await;
        }

        assert!(cancel_job(conn, job_id(1), NOW + 1).await.unwrap());
        assert!(end_disputed_job(conn, job_id(2), NOW + 1).await.unwrap());
        assert!(fail_job(conn, job_id(3), &FAULT, NOW + 1).await.unwrap());
        for n in 1..=3 {
            assert!(!cancel_job(conn, job_id(n), NOW + 2).await.unwrap());
            assert!(!end_disputed_job(conn, job_id(n), NOW + 2).await.unwrap());
            assert!(!fail_job(conn, job_id(n), &FAULT, NOW + 2).await.unwrap());
        }

        let states = [JobState::Cancelled, JobState::Nondeterministic, JobState::Failed, JobState::Running];
        for (n, state) in (1..).zip(states) {
            let filter = JobFilter { state: Some(state), search: None };
            let listed = list_jobs(conn, ada, filter, None, 9).await.unwrap();
            assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [job_id(n)], "{state:?}");
            assert_eq!(listed[0].fault, (state == JobState::Failed).then_some(FAULT));
            assert_eq!(find_job_state(conn, job_id(n)).await.unwrap(), Some(state));
            assert_eq!(count_jobs(conn, state).await.unwrap(), 1);
        }
        assert_eq!(find_job_state(conn, job_id(9)).await.unwrap(), None);
    }
}

db_test! {
    async fn a_job_ends_at_its_deadline_unless_nothing_of_it_is_left(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        for n in 1..=4 {
            job(conn, n, ada).await;
        }
        for (n, deadline) in [(1, NOW + 5), (2, NOW + 9), (3, NOW + 4)] {
            let text = "update job set deadline = $2 where job_id = $1";
            sqlx::query(text).bind(job_id(n).to_string()).bind(deadline).execute(&mut *conn).await.unwrap();
        }
        take_tiles(conn, job_id(3), 5, 1).await.unwrap();

        assert_eq!(list_overdue_jobs(conn, NOW + 4, 9).await.unwrap(), []);
        assert!(!end_overdue_job(conn, job_id(1), NOW + 4).await.unwrap(), "it has time left");
        assert_eq!(list_overdue_jobs(conn, NOW + 9, 9).await.unwrap(), [job_id(1), job_id(2)]);
        assert_eq!(list_overdue_jobs(conn, NOW + 9, 1).await.unwrap(), [job_id(1)]);
        assert!(end_overdue_job(conn, job_id(1), NOW + 5).await.unwrap());
        assert!(!end_overdue_job(conn, job_id(1), NOW + 6).await.unwrap(), "it ended before");
        assert!(!end_overdue_job(conn, job_id(3), NOW + 6).await.unwrap(), "all of it is verified");
        assert!(!end_overdue_job(conn, job_id(4), NOW + 6).await.unwrap(), "it has none");
        assert!(!end_overdue_job(conn, job_id(9), NOW + 6).await.unwrap());

        let ended = find_job(conn, ada, job_id(1)).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.ended_at), (JobState::Failed, Some(NOW + 5)));
        assert_eq!(ended.fault, Some(JobFault::DeadlinePassed { deadline: NOW + 5 }));
    }
}

db_test! {
    async fn a_job_that_ended_is_closed_once_and_again_where_a_receipt_comes_late(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.accept(conn, 1, (0, 1), 0).await;
        assert_eq!(list_jobs_to_close(conn, &BTreeSet::new(), 9).await.unwrap(), []);

        cancel_job(conn, work.job.id, NOW + 1).await.unwrap();

        assert_eq!(list_jobs_to_close(conn, &BTreeSet::new(), 9).await.unwrap(), [work.job.id]);
        store::receipts::mature_receipts_of_job(conn, work.job.id).await.unwrap();
        mark_closed(conn, work.job.id).await.unwrap();
        assert_eq!(list_jobs_to_close(conn, &BTreeSet::new(), 9).await.unwrap(), []);

        work.commit(conn, 2, (1, 1), 1).await;
        assert_eq!(list_jobs_to_close(conn, &BTreeSet::new(), 9).await.unwrap(), [work.job.id], "a receipt came late");
    }
}
