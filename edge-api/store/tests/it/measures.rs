use rules::verification::dispute::Outcome;
use rules::verification::party::Party;
use store::audit::{Audit, audit_sums};
use store::measures::{
    Backlog, Purses, find_oldest_pending, has_running_job, list_ledger_sums, read_backlog, read_purses,
};
use store::verdicts::{Cause, DisputedTile, NewVerdict, decide_dispute, open_dispute, open_verdicts};

use rules::scheduling::recheck_request::Answerer;
use store::ledger::hold;
use wire::BlobHash;

use crate::db_test;
use crate::fixture::{NOW, Work, credits, lease};
use crate::ledger::fund;

db_test! {
    async fn what_waits_is_counted(conn: &mut DbConnection) {
        assert_eq!(read_backlog(conn).await.unwrap(), Backlog::default());
        assert_eq!(find_oldest_pending(conn).await.unwrap(), None);
        assert!(!has_running_job(conn).await.unwrap());
        let work = Work::start(conn).await;
        work.commit(conn, 1, (0, 1), 2).await;
        work.commit(conn, 2, (1, 1), 1).await;
        work.accept(conn, 3, (2, 1), 0).await;
        let drawn = NewVerdict { lease: lease(1), seed: [1; 32], tiles: vec![0] };
        open_verdicts(conn, Cause::Commit, &[drawn], NOW).await.unwrap();
        let dispute = DisputedTile {
            lease: lease(1),
            tile: 0,
            job: work.job.id,
            device: work.device,
            accused: Party { account: work.account, network: None },
            finder: Answerer::Checker,
            signed_output: BlobHash([1; 32]),
            finder_output: None,
            outcome: None,
            created_at: NOW,
        };
        open_dispute(conn, &dispute).await.unwrap();

        assert_eq!(find_oldest_pending(conn).await.unwrap(), Some(NOW + 1_000_000));
        assert!(has_running_job(conn).await.unwrap());
        let waiting = Backlog { jobs_running: 1, receipts_pending: 2, verdicts_open: 1, disputes_open: 1 };
        assert_eq!(read_backlog(conn).await.unwrap(), waiting);
        assert!(decide_dispute(conn, lease(1), 0, Outcome::CheckerWrong, NOW).await.unwrap());
        assert_eq!(read_backlog(conn).await.unwrap(), Backlog { disputes_open: 0, ..waiting });
    }
}

db_test! {
    async fn purses_and_sums_are_read(conn: &mut DbConnection) {
        assert_eq!(read_purses(conn).await.unwrap(), Purses::default());
        assert_eq!(list_ledger_sums(conn).await.unwrap(), []);
        let work = Work::start(conn).await;
        fund(conn, work.account, 200).await;
        assert!(hold(conn, work.job.id, work.account, credits(100)).await.unwrap());

        let purses = Purses { posted: 200, held: 100, pending: 0, holds_open: 1 };
        assert_eq!(read_purses(conn).await.unwrap(), purses);
        assert_eq!(list_ledger_sums(conn).await.unwrap(), [("credit".to_owned(), 0)]);
        assert_eq!(audit_sums(conn).await.unwrap(), Audit::default());

        let change = "update ledger_entry set amount = amount + 1 where amount > 0";
        sqlx::query(change).execute(&mut *conn).await.unwrap();
        assert_eq!(list_ledger_sums(conn).await.unwrap(), [("credit".to_owned(), 1)]);
        let found = audit_sums(conn).await.unwrap();
        assert_eq!(found, Audit { assets_off: 1, accounts_off: 1, ..Audit::default() });
        assert_eq!(found.rules().map(|(_, rows)| rows).iter().sum::<i64>(), 2);
    }
}
