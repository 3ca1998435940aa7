use rules::billing::transfer::{Payment, claim, faucet};
use store::accounts::{PlatformAccount, ensure_platform_account, find_account};
use store::job_progress::take_tiles;
use store::ledger::{Audit, EntryCursor, audit, draw_hold, hold, list_entries, post, refill_hold, release};
use store::receipts::mature_receipts_of_job;
use wire::{AccountId, DeviceId};

use crate::db_test;
use crate::fixture::{NOW, Work, account, account_id, credits, job_id};

const FAUCET: AccountId = AccountId::platform(1);
const FEES: AccountId = AccountId::platform(2);

/// Play money for an account.
async fn fund(conn: &mut store::DbConnection, to: AccountId, micros: i64) {
    ensure_platform_account(conn, FAUCET, PlatformAccount::Faucet, NOW).await.unwrap();
    ensure_platform_account(conn, FEES, PlatformAccount::Fees, NOW).await.unwrap();
    post(conn, &faucet(FAUCET, to, credits(micros), NOW).unwrap()).await.unwrap();
}

/// What is free to spend, set aside, and not yet mature.
async fn purses(conn: &mut store::DbConnection, account: AccountId) -> [i64; 3] {
    let account = find_account(conn, account, true).await.unwrap().unwrap();
    [account.available.micros(), account.held.micros(), account.pending.micros()]
}

db_test! {
    async fn a_hold_sets_aside_what_the_account_covers_and_ends_once(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        fund(conn, ada, 100).await;

        assert!(!hold(conn, job_id(1), ada, credits(101)).await.unwrap());
        assert!(hold(conn, job_id(1), ada, credits(60)).await.unwrap());
        assert!(!hold(conn, job_id(2), ada, credits(41)).await.unwrap());
        assert_eq!(purses(conn, ada).await, [40, 60, 0]);
        assert!(!draw_hold(conn, job_id(1), credits(61)).await.unwrap());
        assert!(draw_hold(conn, job_id(1), credits(20)).await.unwrap());
        assert_eq!(purses(conn, ada).await, [60, 40, 0], "what is drawn is to be paid by a transfer");
        refill_hold(conn, job_id(1), credits(5)).await.unwrap();
        assert_eq!(purses(conn, ada).await, [55, 45, 0]);
        assert!(release(conn, job_id(1)).await.unwrap());
        assert!(!release(conn, job_id(1)).await.unwrap());
        refill_hold(conn, job_id(1), credits(5)).await.unwrap();
        assert_eq!(purses(conn, ada).await, [100, 0, 0]);
        assert_eq!(audit(conn).await.unwrap(), Audit::CLEAN);
    }
}

db_test! {
    async fn money_moves_as_its_transfers_say_and_the_audit_is_clean(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let guest = account(conn, 2).await;
        fund(conn, work.account, 100).await;
        hold(conn, work.job.id, work.account, credits(100)).await.unwrap();
        work.accept(conn, 1, (0, 1), 0).await;
        take_tiles(conn, work.job.id, 1, 1, credits(10)).await.unwrap();
        let payment = Payment {
            job: work.job.id,
            device: work.device,
            customer: work.account,
            provider: guest,
            fees: FEES,
            cost: credits(10),
            fee: credits(1),
        };

        draw_hold(conn, work.job.id, credits(10)).await.unwrap();
        post(conn, &payment.settle(NOW).unwrap()).await.unwrap();
        assert_eq!((purses(conn, work.account).await, purses(conn, guest).await), ([0, 90, 0], [0, 0, 9]));
        mature_receipts_of_job(conn, work.job.id).await.unwrap();
        post(conn, &payment.mature(NOW).unwrap()).await.unwrap();
        assert_eq!(purses(conn, guest).await, [9, 0, 0]);
        post(conn, &claim(guest, work.account, work.device, credits(9), credits(0), NOW).unwrap()).await.unwrap();
        assert_eq!((purses(conn, work.account).await, purses(conn, guest).await), ([9, 90, 0], [0, 0, 0]));
        assert_eq!(audit(conn).await.unwrap(), Audit::CLEAN);
    }
}

db_test! {
    async fn the_audit_tells_what_is_off(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        fund(conn, work.account, 100).await;
        work.accept(conn, 1, (0, 1), 0).await;
        for statement in [
            "update account set posted = posted + 1, held = 3 where kind = 'customer'",
            "update ledger_entry set amount = amount + 5 where account_id = '00000000-0000-0000-0000-000000000001'",
        ] {
            sqlx::query(statement).execute(&mut *conn).await.unwrap();
        }

        assert_eq!(audit(conn).await.unwrap(), Audit { sum: 5, accounts_off: 2, holds_off: 1, jobs_off: 1 });
    }
}

db_test! {
    async fn entries_of_ten_seconds_are_one_and_lists_go_on_where_they_ended(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        fund(conn, ada, 30).await;
        fund(conn, ada, 12).await;
        for secs in [10, 20] {
            let later = faucet(FAUCET, ada, credits(secs), NOW + secs * 1_000_000).unwrap();
            post(conn, &later).await.unwrap();
        }
        let device = DeviceId([1; 32]);
        let bob = account(conn, 2).await;
        post(conn, &claim(ada, bob, device, credits(2), credits(0), NOW).unwrap()).await.unwrap();

        let whole = list_entries(conn, ada, None, 9).await.unwrap();
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = list_entries(conn, ada, after, 1).await.unwrap();
            rows.extend(page.rows);
            match page.next {
                Some(next) => after = Some(EntryCursor::parse(&next).unwrap()),
                None => break,
            }
        }

        let shown: Vec<_> = whole.rows.iter().map(|entry| (entry.kind.as_str(), entry.amount.micros())).collect();
        assert_eq!(shown, [("faucet", 20), ("faucet", 10), ("claim", -2), ("faucet", 42)]);
        assert_eq!((whole.rows[2].device, whole.rows[2].job), (Some(device), None));
        assert_eq!(rows, whole.rows);
        assert_eq!(EntryCursor::parse("x.y"), None);
        assert_eq!(list_entries(conn, account_id(9), None, 9).await.unwrap().rows, []);
    }
}
