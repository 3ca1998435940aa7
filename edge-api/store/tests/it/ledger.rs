use rules::billing::bill::Charge;
use rules::billing::transfer::{Payment, claim, faucet};
use store::accounts::{PlatformAccount, ensure_platform_account, find_account};
use store::audit::{Audit, audit};
use store::job_progress::{take_tiles, write_bill};
use store::jobs::publish_job;
use store::ledger::{Entries, EntryCursor, find_platform_balance, hold, list_entries, post, release_and_post};
use store::movements::list_job_movements;
use store::receipts::mature_receipts_of_job;
use wire::{AccountId, DeviceId};

use crate::db_test;
use crate::fixture::{CHARGE, NOW, Work, account, account_id, credits, job_id, lease};

pub(crate) const FAUCET: AccountId = AccountId::platform(1);
pub(crate) const FEES: AccountId = AccountId::platform(2);

/// Play money for an account, once.
pub(crate) async fn fund(conn: &mut store::DbConnection, to: AccountId, micros: i64) {
    ensure_platform_account(conn, FAUCET, PlatformAccount::Faucet, NOW).await.unwrap();
    ensure_platform_account(conn, FEES, PlatformAccount::Fees, NOW).await.unwrap();
    assert!(post(conn, &[faucet(FAUCET, to, credits(micros), NOW).unwrap()]).await.unwrap());
}

/// What is free to spend, set aside, and not yet mature.
pub(crate) async fn purses(conn: &mut store::DbConnection, account: AccountId) -> [i64; 3] {
    let account = find_account(conn, account, true).await.unwrap().unwrap();
    [account.available.micros(), account.held.micros(), account.pending.micros()]
}

/// A lease's payment from Ada to a provider.
fn payment(work: &Work, n: u8, provider: AccountId, charge: Charge) -> Payment {
    Payment {
        lease: lease(n),
        job: work.job.id,
        device: work.device,
        customer: work.account,
        provider,
        fees: FEES,
        charge,
    }
}

db_test! {
    async fn a_hold_sets_aside_what_the_account_covers_and_ends_once(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        fund(conn, ada, 100).await;

        assert!(!hold(conn, job_id(1), ada, credits(101)).await.unwrap());
        assert!(hold(conn, job_id(1), ada, credits(60)).await.unwrap());
        assert!(!hold(conn, job_id(2), ada, credits(41)).await.unwrap());
        assert_eq!(purses(conn, ada).await, [40, 60, 0]);
        for _ in 0..2 {
            assert!(release_and_post(conn, job_id(1), &[]).await.unwrap());
            assert_eq!(purses(conn, ada).await, [100, 0, 0]);
        }
        assert_eq!(audit(conn).await.unwrap(), Audit::default());
    }
}

db_test! {
    async fn what_is_drawn_from_a_hold_is_paid_and_what_comes_back_is_set_aside_again(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let (ada, bob) = (work.account, account(conn, 2).await);
        fund(conn, ada, 100).await;
        hold(conn, work.job.id, ada, credits(30)).await.unwrap();
        let settle = |n, micros| {
            let charge = Charge { cost: credits(micros), fee: credits(1) };
            payment(&work, n, bob, charge).settle(NOW).unwrap()
        };

        assert!(!post(conn, &[settle(1, 20), settle(2, 11)]).await.unwrap(), "the hold has 30");
        assert_eq!(purses(conn, ada).await, [70, 30, 0]);
        assert!(post(conn, &[settle(1, 20)]).await.unwrap());
        assert_eq!((purses(conn, ada).await, purses(conn, bob).await), ([70, 10, 0], [0, 0, 19]));
        let void = payment(&work, 1, bob, Charge { cost: credits(20), fee: credits(1) }).void(NOW).unwrap();
        assert!(post(conn, &[void]).await.unwrap());
        assert_eq!((purses(conn, ada).await, purses(conn, bob).await), ([70, 30, 0], [0, 0, 0]));
        assert!(post(conn, &[settle(3, 30)]).await.unwrap());
        release_and_post(conn, work.job.id, &[]).await.unwrap();
        let void = payment(&work, 3, bob, Charge { cost: credits(30), fee: credits(1) }).void(NOW).unwrap();
        assert!(post(conn, &[void]).await.unwrap());
        assert_eq!(purses(conn, ada).await, [100, 0, 0], "the hold has ended, so it is free to spend");
        assert!(!post(conn, &[settle(4, 1)]).await.unwrap(), "nothing is paid out of a hold that has ended");
    }
}

db_test! {
    async fn a_settlement_can_be_taken_back_when_all_that_the_customer_has_is_held(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let (ada, bob) = (work.account, account(conn, 2).await);
        fund(conn, ada, 30).await;
        hold(conn, work.job.id, ada, credits(30)).await.unwrap();
        let payment = payment(&work, 1, bob, CHARGE);

        assert!(post(conn, &[payment.settle(NOW).unwrap()]).await.unwrap());
        assert_eq!(purses(conn, ada).await, [0, 20, 0]);
        assert!(post(conn, &[payment.void(NOW).unwrap()]).await.unwrap());

        assert_eq!((purses(conn, ada).await, purses(conn, bob).await), ([0, 30, 0], [0, 0, 0]));
    }
}

db_test! {
    async fn a_lease_is_paid_once(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        fund(conn, work.account, 100).await;
        hold(conn, work.job.id, work.account, credits(100)).await.unwrap();
        let transfer = payment(&work, 1, work.account, CHARGE).settle(NOW).unwrap();
        let later = payment(&work, 1, work.account, CHARGE).settle(NOW + 60_000_000).unwrap();

        assert!(post(conn, &[transfer]).await.unwrap());
        let again = post(conn, &[later]).await.unwrap_err();

        assert!(again.as_database_error().unwrap().is_unique_violation(), "{again}");
    }
}

db_test! {
    async fn money_moves_as_its_transfers_say_and_the_audit_is_clean(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let guest = account(conn, 2).await;
        fund(conn, work.account, 100).await;
        hold(conn, work.job.id, work.account, credits(100)).await.unwrap();
        store::devices::upsert_device(conn, &crate::fixture::hello(1), guest, None, NOW).await.unwrap();
        work.accept(conn, 1, (0, 1), 0).await;
        work.settle_bits(conn, 0..1).await;
        let balance = take_tiles(conn, work.job.id, 1, 1).await.unwrap().unwrap();
        write_bill(conn, work.job.id, rules::billing::bill::Bill { cost: CHARGE.cost, fee: CHARGE.fee, ..balance.bill }).await.unwrap();
        let payment = payment(&work, 1, guest, CHARGE);

        post(conn, &[payment.settle(NOW).unwrap()]).await.unwrap();
        assert_eq!((purses(conn, work.account).await, purses(conn, guest).await), ([0, 90, 0], [0, 0, 9]));
        assert_eq!(find_platform_balance(conn, FEES).await.unwrap(), (credits(0), credits(1)));
        assert_eq!(audit(conn).await.unwrap(), Audit::default());
        mature_receipts_of_job(conn, work.job.id).await.unwrap();
        post(conn, &[payment.mature(NOW).unwrap()]).await.unwrap();
        assert_eq!(purses(conn, guest).await, [9, 0, 0]);
        assert_eq!(find_platform_balance(conn, FEES).await.unwrap(), (credits(1), credits(0)));
        post(conn, &[claim(guest, work.account, work.device, credits(9), credits(0), NOW).unwrap()]).await.unwrap();
        assert_eq!((purses(conn, work.account).await, purses(conn, guest).await), ([9, 90, 0], [0, 0, 0]));
        assert_eq!(audit(conn).await.unwrap(), Audit::default());
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
            "update slice set remaining = 4",
            "update device set owed_attos = 7",
            "update job set devices = 7",
        ] {
            sqlx::query(statement).execute(&mut *conn).await.unwrap();
        }

        let found = audit(conn).await.unwrap();

        let expected = Audit {
            assets_off: 1,
            accounts_off: 1,
            holds_off: 1,
            jobs_off: 1,
            receipts_off: 1,
            pending_off: 2,
            tiles_off: 1,
            judges_off: 1,
            shares_off: 1,
            bits_off: 1,
        };
        assert_eq!(found, expected);
    }
}

db_test! {
    async fn entries_of_ten_seconds_are_one_and_lists_go_on_where_they_ended(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let ada = work.account;
        fund(conn, ada, 100).await;
        hold(conn, work.job.id, ada, credits(50)).await.unwrap();
        for (n, secs) in [(1, 0), (2, 0), (3, 10), (4, 20)] {
            let transfer = payment(&work, n, ada, CHARGE).settle(NOW + secs * 1_000_000).unwrap();
            post(conn, &[transfer]).await.unwrap();
        }
        let device = DeviceId([1; 32]);
        let bob = account(conn, 2).await;
        post(conn, &[claim(ada, bob, device, credits(2), credits(0), NOW).unwrap()]).await.unwrap();

        let whole = list_entries(conn, ada, Entries::All, None, 99).await.unwrap();
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = list_entries(conn, ada, Entries::All, after, 1).await.unwrap();
            rows.extend(page.rows);
            match page.next {
                Some(next) => after = Some(EntryCursor::parse(&next).unwrap()),
                None => break,
            }
        }

        let shown: Vec<_> =
            whole.rows.iter().map(|entry| (entry.kind.as_str(), entry.purse.as_str(), entry.amount.micros())).collect();
        assert_eq!(shown, [
            ("settle", "posted", -10), ("settle", "pending", 9),
            ("settle", "posted", -10), ("settle", "pending", 9),
            ("settle", "posted", -20), ("settle", "pending", 18),
            ("faucet", "posted", 100), ("claim", "posted", -2),
        ]);
        assert_eq!((whole.rows[7].device, whole.rows[7].job), (Some(device), None));
        assert_eq!(rows, whole.rows);
        let others = list_entries(conn, ada, Entries::WithoutJob, None, 99).await.unwrap();
        assert_eq!(others.rows, whole.rows[6..]);
        assert_eq!(EntryCursor::parse("x.y"), None);
        assert_eq!(list_entries(conn, account_id(9), Entries::All, None, 9).await.unwrap().rows, []);
    }
}

db_test! {
    async fn what_a_job_moved_is_one_row_for_each_whose_money_it_was(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let ada = work.account;
        fund(conn, ada, 100).await;
        hold(conn, work.job.id, ada, credits(50)).await.unwrap();
        let bob = account(conn, 2).await;
        let (first, second) = (payment(&work, 1, bob, CHARGE), payment(&work, 2, bob, CHARGE));
        let legs = [first.settle(NOW), second.settle(NOW + 20_000_000), first.mature(NOW + 30_000_000)];
        post(conn, &legs.map(Result::unwrap)).await.unwrap();
        let shown = async |conn: &mut store::DbConnection, account| {
            let page = list_job_movements(conn, account, None, 9).await.unwrap();
            assert_eq!((page.rows.len(), page.next), (1, None));
            let row = &page.rows[0];
            (row.name.clone(), row.own, row.available.micros(), row.pending.micros(), row.at - NOW)
        };

        assert_eq!(shown(conn, ada).await, ("Job 1".to_owned(), true, -20, 0, 20_000_000));
        assert_eq!(shown(conn, bob).await, (String::new(), false, 9, 9, 30_000_000), "the job is Ada's, and private");
        publish_job(conn, ada, work.job.id, true).await.unwrap();
        assert_eq!(shown(conn, bob).await.0, "Job 1");
        assert_eq!(list_job_movements(conn, ada, Some(work.job.id), 9).await.unwrap().rows, []);
    }
}
