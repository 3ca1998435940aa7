use store::job_progress::cancel_job;
use store::jobs::{
    JobFilter, Submission, find_job, find_job_by_idempotency_key, insert_job, list_jobs, list_unclaimed_jobs, load_job,
    load_jobs, load_published_job, publish_job,
};
use store::slices::claim_slices;
use wire::{JobState, Privacy, TileHash};

use crate::db_test;
use crate::fixture::{NOW, Work, account, credits, job, job_id, order, slice};

db_test! {
    async fn a_job_is_its_customers_and_as_it_was_ordered(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        let ordered = job(conn, 1, ada).await;

        let found = find_job(conn, ada, ordered.id).await.unwrap().unwrap();

        assert_eq!((found.id, found.name.as_str(), found.state, found.privacy), (ordered.id, "Job 1", JobState::Running, Privacy::Known));
        assert_eq!((found.rows, found.tile_rows, found.tiles, found.verified_tiles, found.flops), (10, 2, 5, 0, 10_000_000));
        assert_eq!((found.hold.micros(), found.cost.micros(), found.price.0, found.devices), (100, 0, 20_000_000, 0));
        assert_eq!((found.created_at, found.ended_at, found.published, found.fault), (NOW, None, false, None));
        assert_eq!((found.inputs, found.outputs), (ordered.task.inputs(), ordered.task.outputs()));
        assert_eq!(find_job(conn, bob, ordered.id).await.unwrap(), None);
        assert_eq!(load_job(conn, ordered.id).await.unwrap(), Some(ordered));
        assert_eq!(load_job(conn, job_id(9)).await.unwrap(), None);
    }
}

db_test! {
    async fn a_key_orders_one_job_of_its_account(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        let first = job(conn, 1, ada).await;
        let program = find_job(conn, ada, first.id).await.unwrap().unwrap().program;
        let second = order(2, ada);
        let submission = Submission {
            program: &program,
            name: "",
            idempotency_key: "1",
            request_hash: TileHash([0; 32]),
            hold: credits(1),
            deadline: Some(NOW + 60),
            file_names: &[("model".to_owned(), "a.onnx".to_owned())].into(),
            now: NOW,
        };

        assert!(!insert_job(conn, &second, &submission).await.unwrap());
        assert!(insert_job(conn, &order(3, bob), &submission).await.unwrap());
        let found = find_job_by_idempotency_key(conn, ada, "1").await.unwrap();
        assert_eq!(found, Some((first.id, TileHash([1; 32]))));
        assert_eq!(find_job_by_idempotency_key(conn, ada, "2").await.unwrap(), None);
        let written = find_job(conn, bob, job_id(3)).await.unwrap().unwrap();
        assert_eq!((written.deadline, written.file_names["model"].as_str()), (Some(NOW + 60), "a.onnx"));
        assert_eq!(find_job(conn, ada, first.id).await.unwrap().unwrap().deadline, None);
    }
}

db_test! {
    async fn an_accounts_jobs_are_found_by_state_name_and_beginning_of_id(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        for (n, owner) in [(1, ada), (2, ada), (3, bob), (10, ada)] {
            job(conn, n, owner).await;
        }
        cancel_job(conn, job_id(2), NOW + 1).await.unwrap();
        let second = job_id(2).to_string();

        for (state, search, before, expected) in [
            (None, None, None, vec![10, 2, 1]),
            (None, None, Some(10), vec![2, 1]),
            (Some(JobState::Cancelled), None, None, vec![2]),
            (Some(JobState::Running), Some("JOB 1"), None, vec![10, 1]),
            (None, Some("%"), None, vec![]),
            (None, Some("_"), None, vec![]),
            (None, Some(second.as_str()), None, vec![2]),
        ] {
            let filter = JobFilter { state, search };
            let listed = list_jobs(conn, ada, filter, before.map(job_id), 9).await.unwrap();
            let expected: Vec<_> = expected.into_iter().map(job_id).collect();
            assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), expected, "{filter:?} {before:?}");
        }
        assert_eq!(list_jobs(conn, ada, JobFilter::default(), None, 2).await.unwrap().len(), 2);
    }
}

db_test! {
    async fn a_job_is_public_while_its_owner_says_so(conn: &mut DbConnection) {
        let (ada, bob) = (account(conn, 1).await, account(conn, 2).await);
        let ordered = job(conn, 1, ada).await;

        assert_eq!(load_published_job(conn, ordered.id).await.unwrap(), None);
        assert!(!publish_job(conn, bob, ordered.id, true).await.unwrap());
        assert!(publish_job(conn, ada, ordered.id, true).await.unwrap());
        assert!(!publish_job(conn, ada, ordered.id, true).await.unwrap(), "it is published already");
        assert_eq!(load_published_job(conn, ordered.id).await.unwrap(), Some(ordered.clone()));
        assert!(publish_job(conn, ada, ordered.id, false).await.unwrap());
        assert_eq!(load_published_job(conn, ordered.id).await.unwrap(), None);
    }
}

db_test! {
    async fn running_jobs_with_slices_of_lost_owners_are_listed_in_order(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let nobody = [String::new()];
        for n in 2..=4 {
            job(conn, n, work.account).await;
        }
        slice(conn, 2, job_id(2), 0, 5).await;
        slice(conn, 3, job_id(3), 0, 5).await;
        cancel_job(conn, job_id(2), NOW + 1).await.unwrap();

        let first = list_unclaimed_jobs(conn, &nobody, None, 1).await.unwrap();
        let rest = list_unclaimed_jobs(conn, &nobody, Some(job_id(1)), 9).await.unwrap();
        claim_slices(conn, "one", &nobody, &[job_id(3)], 9).await.unwrap();
        let of_one = list_unclaimed_jobs(conn, &["one".to_owned()], None, 9).await.unwrap();

        assert_eq!(first, [work.job]);
        assert_eq!(rest.iter().map(|job| job.id).collect::<Vec<_>>(), [job_id(3)]);
        assert_eq!(of_one.iter().map(|job| job.id).collect::<Vec<_>>(), [job_id(3)]);
        let both = load_jobs(conn, &[job_id(4), job_id(2), job_id(9)]).await.unwrap();
        assert_eq!(both.iter().map(|job| job.id).collect::<Vec<_>>(), [job_id(2), job_id(4)]);
    }
}
