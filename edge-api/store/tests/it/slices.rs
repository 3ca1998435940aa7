use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::Settlement;
use store::slices::{
    ClaimedSlice, claim_slices, claim_unchecked_slices, count_unclaimed_tiles, list_lost_owners, list_settled_slices,
    lock_fence, lock_slices, release_slice, seize_slice, settle_slice, unsettle_slice, write_seized_slice,
};

use crate::db_test;
use crate::fixture::{Work, account, job, slice};

const NOBODY: [String; 1] = [String::new()];
const MINUTE: i64 = 60_000_000;

fn settlement(slice: &ClaimedSlice) -> Settlement {
    let mut settled = Bitmap::from_bytes(slice.tiles, &slice.settled).unwrap();
    settled.set(0, 2);
    Settlement {
        slice: slice.slice,
        first_tile: slice.first_tile,
        fence: slice.fence,
        version: slice.version,
        settled,
        tiles: 2,
    }
}

db_test! {
    async fn a_slice_is_claimed_for_a_job_that_is_wanted(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let (first, second) = (job(conn, 1, ada).await, job(conn, 2, ada).await);
        slice(conn, 1, first.id, 0, 5).await;
        let of_second = slice(conn, 2, second.id, 0, 5).await;

        let none = claim_slices(conn, "one", &NOBODY, &[], 9).await.unwrap();
        let claimed = claim_slices(conn, "one", &NOBODY, &[second.id], 9).await.unwrap();
        let again = claim_slices(conn, "two", &NOBODY, &[second.id], 9).await.unwrap();

        assert_eq!((none.len(), again.len()), (0, 0));
        let [only] = claimed.as_slice() else { panic!("{claimed:?}") };
        assert_eq!((only.slice, only.job, only.fence, only.version), (of_second, second.id, 1, 0));
        assert_eq!((only.first_tile, only.tiles, only.settled.clone()), (0, 5, Bitmap::new(5).to_bytes()));
        let mut lost = list_lost_owners(conn, "two", MINUTE).await.unwrap();
        lost.sort();
        assert_eq!(lost, ["", "one"]);
    }
}

db_test! {
    async fn one_slice_of_each_job_is_claimed_before_a_second_of_any(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let (first, second) = (job(conn, 1, ada).await, job(conn, 2, ada).await);
        for n in 1..=3 {
            slice(conn, n, first.id, n, 1).await;
        }
        slice(conn, 4, second.id, 0, 5).await;
        let both = [first.id, second.id];

        let one = claim_slices(conn, "one", &NOBODY, &both, 2).await.unwrap();
        let two = claim_slices(conn, "two", &NOBODY, &both, 1).await.unwrap();

        let jobs_of = |claimed: &[ClaimedSlice]| {
            let mut jobs: Vec<_> = claimed.iter().map(|slice| slice.job).collect();
            jobs.sort();
            jobs
        };
        assert_eq!((jobs_of(&one), jobs_of(&two)), (both.to_vec(), vec![first.id]));
    }
}

db_test! {
    async fn what_nobody_has_claimed_of_a_job_is_counted_in_tiles(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let (first, second, third) = (job(conn, 1, ada).await, job(conn, 2, ada).await, job(conn, 3, ada).await);
        slice(conn, 1, first.id, 0, 3).await;
        slice(conn, 2, first.id, 3, 4).await;
        slice(conn, 3, second.id, 0, 5).await;
        let all = [first.id, second.id, third.id];
        assert_eq!(
            count_unclaimed_tiles(conn, &NOBODY, &all).await.unwrap(),
            [(first.id, 7), (second.id, 5)].into(),
            "a job without slices has none"
        );

        claim_slices(conn, "one", &NOBODY, &[first.id], 1).await.unwrap();

        assert_eq!(count_unclaimed_tiles(conn, &NOBODY, &[first.id]).await.unwrap(), [(first.id, 4)].into());
        let lost = [String::new(), "one".to_owned()];
        assert_eq!(count_unclaimed_tiles(conn, &lost, &[first.id]).await.unwrap(), [(first.id, 7)].into());
        assert_eq!(count_unclaimed_tiles(conn, &[], &all).await.unwrap(), [].into());
    }
}

db_test! {
    async fn a_slice_with_a_receipt_that_waits_is_claimed_whatever_is_wanted(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.commit(conn, 1, (0, 1), 0).await;

        let claimed = claim_unchecked_slices(conn, "one", &NOBODY, 9).await.unwrap();

        assert_eq!(claimed.iter().map(|slice| slice.slice).collect::<Vec<_>>(), [work.slice]);
    }
}

db_test! {
    async fn a_slice_is_let_go_by_its_owner_alone(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        claim_slices(conn, "one", &NOBODY, &[work.job.id], 9).await.unwrap();

        release_slice(conn, "two", work.slice).await.unwrap();
        assert_eq!(list_lost_owners(conn, "three", MINUTE).await.unwrap(), ["one"]);
        release_slice(conn, "one", work.slice).await.unwrap();
        assert_eq!(list_lost_owners(conn, "three", MINUTE).await.unwrap(), [""]);
    }
}

db_test! {
    async fn a_settlement_counts_under_the_fence_and_version_that_it_saw(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let slept = claim_slices(conn, "one", &NOBODY, &[work.job.id], 9).await.unwrap();
        let seized = seize_slice(conn, work.slice).await.unwrap();

        assert!(!settle_slice(conn, &settlement(&slept[0])).await.unwrap(), "the fence has moved on");
        assert!(settle_slice(conn, &settlement(&seized)).await.unwrap());
        assert!(!settle_slice(conn, &settlement(&seized)).await.unwrap(), "the version has moved on");
        let parts = list_settled_slices(conn, work.job.id).await.unwrap();
        assert_eq!((parts.len(), parts[0].first_tile), (1, 0));
        assert_eq!(parts[0].settled.ones().collect::<Vec<_>>(), [0, 1]);
    }
}

db_test! {
    async fn tiles_of_a_seized_slice_are_owed_again(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let slice = seize_slice(conn, work.slice).await.unwrap();
        settle_slice(conn, &settlement(&slice)).await.unwrap();

        let seized = seize_slice(conn, work.slice).await.unwrap();
        write_seized_slice(conn, work.slice, Bitmap::new(5).to_bytes(), 2).await.unwrap();
        let claimed = claim_slices(conn, "one", &NOBODY, &[work.job.id], 9).await.unwrap();

        assert_eq!(claimed[0].settled, Bitmap::new(5).to_bytes());
        assert_eq!((claimed[0].fence, claimed[0].version), (seized.fence + 1, seized.version + 1));
    }
}

db_test! {
    async fn settled_tiles_are_taken_back_under_the_fence_that_settled_them(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let claimed = claim_slices(conn, "one", &NOBODY, &[work.job.id], 9).await.unwrap().remove(0);
        let settled = settlement(&claimed);
        assert!(settle_slice(conn, &settled).await.unwrap());
        let cleared = Settlement { version: settled.version + 1, settled: Bitmap::new(claimed.tiles), ..settled.clone() };

        assert!(lock_fence(conn, work.slice, claimed.fence).await.unwrap());
        let locked = lock_slices(conn, &[work.slice].into()).await.unwrap();
        assert_eq!(locked[&work.slice].0, claimed.fence);
        assert!(!unsettle_slice(conn, &Settlement { version: settled.version, ..cleared.clone() }).await.unwrap());
        assert!(unsettle_slice(conn, &cleared).await.unwrap());
        let slice = list_settled_slices(conn, work.job.id).await.unwrap().remove(0);
        assert_eq!(slice.settled.count_ones(), 0);
        seize_slice(conn, work.slice).await.unwrap();
        assert!(!lock_fence(conn, work.slice, claimed.fence).await.unwrap(), "it is another's by now");
    }
}
