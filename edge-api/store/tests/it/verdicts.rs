use std::collections::BTreeSet;

use rules::scheduling::recheck_request::Answerer;
use rules::verification::dispute::{Comparison, Outcome};
use rules::verification::party::Party;
use store::DbConnection;
use store::verdicts::{
    Cause, DisputeRun, DisputedTile, NewVerdict, Verdict, VerdictState, count_unreproducible, decide_dispute,
    decide_verdict, has_redraws, insert_dispute_run, list_dispute_runs, list_disputes, list_redraws, open_dispute,
    open_verdicts, pass_verdicts, withdraw_dispute,
};
use wire::{AccountId, AccountKind, BlobHash, LeaseId, Micros};

use crate::db_test;
use crate::fixture::{NOW, Work, account, account_id, device, job_id, lease};

db_test! {
    async fn what_was_drawn_first_counts_until_it_is_decided(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.commit(conn, 1, (0, 3), 0).await;
        let drawn = Verdict { tiles: vec![0, 2], state: VerdictState::Open };

        assert_eq!(draw(conn, lease(1), Cause::Commit, [1; 32], &[0, 2], NOW).await, drawn);
        let again = draw(conn, lease(1), Cause::Commit, [2; 32], &[1], NOW + 1).await;
        assert_eq!(again, drawn, "a crash does not draw anew");
        let other = draw(conn, lease(1), Cause::Final, [2; 32], &[1], NOW + 1).await;
        assert_eq!(other.tiles, [1], "another cause draws its own");
        assert!(decide_verdict(conn, lease(1), Cause::Commit, VerdictState::Passed, NOW + 2).await.unwrap());
        assert!(!decide_verdict(conn, lease(1), Cause::Commit, VerdictState::Rejected, NOW + 3).await.unwrap());
        let decided = draw(conn, lease(1), Cause::Commit, [3; 32], &[], NOW + 4).await;
        assert_eq!(decided, Verdict { state: VerdictState::Passed, ..drawn });
    }
}

db_test! {
    async fn a_job_waits_for_the_redraws_of_its_settled_receipts(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.accept(conn, 1, (0, 1), 0).await;
        work.accept(conn, 2, (1, 1), 0).await;
        work.commit(conn, 3, (2, 1), 0).await;
        let caught = Cause::After(lease(9));
        for n in [1, 3] {
            draw(conn, lease(n), caught, [1; 32], &[0], NOW).await;
        }
        draw(conn, lease(2), Cause::Final, [1; 32], &[0], NOW).await;

        assert_eq!(list_redraws(conn, &BTreeSet::new(), 9).await.unwrap(), [(lease(1), caught)], "the third is not settled");
        assert_eq!(list_redraws(conn, &[lease(1)].into(), 9).await.unwrap(), [], "it is under way");
        assert!(has_redraws(conn, work.job.id).await.unwrap());
        assert!(!has_redraws(conn, job_id(9)).await.unwrap());
        let matured = crate::fixture::mature(conn, work.device, "infer", 1).await;
        assert_eq!(matured.len(), 0, "the first is looked at before it matures");
        decide_verdict(conn, lease(1), caught, VerdictState::Passed, NOW + 1).await.unwrap();
        assert!(!has_redraws(conn, work.job.id).await.unwrap());
        assert_eq!(list_redraws(conn, &BTreeSet::new(), 9).await.unwrap(), []);
    }
}

async fn draw(
    conn: &mut DbConnection,
    lease: LeaseId,
    cause: Cause,
    seed: [u8; 32],
    tiles: &[u32],
    at: Micros,
) -> Verdict {
    let new = NewVerdict { lease, seed, tiles: tiles.to_vec() };
    open_verdicts(conn, cause, &[new], at).await.unwrap().remove(&lease).unwrap()
}

db_test! {
    async fn several_are_drawn_and_pass_at_once(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for n in 1..=3 {
            work.commit(conn, n, (u64::from(n), 1), 0).await;
        }
        draw(conn, lease(1), Cause::Commit, [1; 32], &[0], NOW).await;
        let new = |n| NewVerdict { lease: lease(n), seed: [2; 32], tiles: vec![] };

        let opened = open_verdicts(conn, Cause::Commit, &[new(1), new(2), new(3)], NOW).await.unwrap();
        pass_verdicts(conn, Cause::Commit, &[lease(1), lease(2)], NOW + 1).await.unwrap();
        let later = open_verdicts(conn, Cause::Commit, &[new(1), new(3)], NOW + 2).await.unwrap();

        assert_eq!(opened.values().map(|verdict| verdict.tiles.len()).collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!((later[&lease(1)].state, later[&lease(3)].state), (VerdictState::Passed, VerdictState::Open));
    }
}

fn party(account: AccountId) -> Party {
    Party { account, network: None }
}

fn dispute(work: &Work, n: u8, tile: u64, finder: Answerer) -> DisputedTile {
    DisputedTile {
        lease: lease(n),
        tile,
        job: work.job.id,
        device: work.device,
        accused: party(work.account),
        finder,
        signed_output: BlobHash([1; 32]),
        finder_output: Some(BlobHash([2; 32])),
        outcome: None,
        created_at: NOW,
    }
}

db_test! {
    async fn a_dispute_goes_on_with_what_is_known_of_it(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.commit(conn, 1, (0, 3), 0).await;
        let bob = account(conn, 2).await;
        let witness = device(conn, 2, bob).await;
        let found = dispute(&work, 1, 2, Answerer::Peer { party: party(bob), device: witness });
        let run = DisputeRun {
            device: witness,
            by: party(bob),
            comparison: Comparison { with_device: false, with_checker: true },
        };

        assert_eq!(open_dispute(conn, &found).await.unwrap(), found);
        let again = DisputedTile { finder: Answerer::Checker, finder_output: None, ..found.clone() };
        assert_eq!(open_dispute(conn, &again).await.unwrap(), found, "it is the same one");
        for _ in 0..2 {
            insert_dispute_run(conn, lease(1), 2, run, NOW + 1).await.unwrap();
        }
        assert_eq!(list_dispute_runs(conn, lease(1), 2).await.unwrap(), [run]);
        assert_eq!(list_dispute_runs(conn, lease(1), 1).await.unwrap(), []);
        assert!(decide_dispute(conn, lease(1), 2, Outcome::CheckerWrong, NOW + 2).await.unwrap());
        assert!(!decide_dispute(conn, lease(1), 2, Outcome::DeviceWrong, NOW + 3).await.unwrap());
        let decided = DisputedTile { outcome: Some(Outcome::CheckerWrong), ..found };
        assert_eq!(list_disputes(conn, work.job.id, 9).await.unwrap(), [decided]);
    }
}

db_test! {
    async fn a_dispute_that_is_withdrawn_leaves_nothing_and_a_decided_one_stays(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.commit(conn, 1, (0, 3), 0).await;
        let run = DisputeRun {
            device: work.device,
            by: party(work.account),
            comparison: Comparison { with_device: true, with_checker: false },
        };
        for tile in [0, 1] {
            open_dispute(conn, &dispute(&work, 1, tile, Answerer::Checker)).await.unwrap();
            insert_dispute_run(conn, lease(1), tile, run, NOW).await.unwrap();
        }
        decide_dispute(conn, lease(1), 1, Outcome::CheckerWrong, NOW + 1).await.unwrap();

        for tile in [0, 1] {
            withdraw_dispute(conn, lease(1), tile).await.unwrap();
        }

        let left: Vec<u64> = list_disputes(conn, work.job.id, 9).await.unwrap().iter().map(|left| left.tile).collect();
        assert_eq!(left, [1]);
        assert_eq!(list_dispute_runs(conn, lease(1), 0).await.unwrap(), []);
        assert_eq!(list_dispute_runs(conn, lease(1), 1).await.unwrap(), [run]);
    }
}

db_test! {
    async fn tiles_that_cannot_be_reproduced_count_by_account_and_guests_have_no_vote(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        store::accounts::insert_account(conn, account_id(7), AccountKind::Guest, "Guest", NOW).await.unwrap();
        for (n, tile, account) in [(1, 0, work.account), (2, 1, work.account), (3, 2, account_id(7))] {
            work.commit(conn, n, (tile, 1), 0).await;
            let found = DisputedTile { accused: party(account), ..dispute(&work, n, tile, Answerer::Checker) };
            open_dispute(conn, &found).await.unwrap();
            assert!(decide_dispute(conn, lease(n), tile, Outcome::NotReproducible, NOW).await.unwrap());
        }

        assert_eq!(count_unreproducible(conn, work.job.id).await.unwrap(), (2, 1));
        assert_eq!(count_unreproducible(conn, job_id(9)).await.unwrap(), (0, 0));
    }
}
