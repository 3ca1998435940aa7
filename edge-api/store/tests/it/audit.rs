//! Every way in which the books can contradict themselves, one at a time: the audit counts that, and nothing else.

use rules::billing::bill::Bill;
use rules::billing::judge::payable;
use rules::billing::transfer::{Payment, claim, judge};
use store::DbConnection;
use store::accounts::insert_account;
use store::audit::{Audit, audit};
use store::devices::{add_owed, insert_judge_answer, set_owed, upsert_device};
use store::job_progress::{cancel_job, take_tiles, write_bill};
use store::ledger::{hold, post, release_and_post};
use store::receipts::{end_accepted_receipt, list_accepted_receipts, mature_receipts_of_job, reassign_receipts};
use wire::explorer::ReceiptState;
use wire::{AccountId, AccountKind};

use crate::db_test;
use crate::fixture::{CHARGE, NOW, Work, account_id, credits, hello, job_id, job_with_hold, lease, slice};
use crate::ledger::{FEES, fund};

fn payment(work: &Work, n: u8, provider: AccountId) -> Payment {
    let (lease, job, device, customer) = (lease(n), work.job.id, work.device, work.account);
    Payment { lease, job, device, customer, provider, fees: FEES, charge: CHARGE }
}

/// Ada's job, of which Gus, a guest, did a lease that is mature and one that is not, which Bob has since claimed, one that
/// was taken back, and one that waits for its check. Bob's device has judged, too. A job of Ada's was cancelled, and one
/// has no hold.
async fn keep_books(conn: &mut DbConnection) {
    let work = Work::start(conn).await;
    let (ada, gus, bob) = (work.account, account_id(2), account_id(3));
    fund(conn, ada, 200).await;
    assert!(hold(conn, work.job.id, ada, credits(100)).await.unwrap());
    insert_account(conn, gus, AccountKind::Guest, "Gus", NOW).await.unwrap();
    insert_account(conn, bob, AccountKind::Customer, "Bob", NOW).await.unwrap();

    upsert_device(conn, &hello(1), gus, None, NOW).await.unwrap();
    for n in [1, 2] {
        work.accept(conn, n, (u64::from(n) - 1, 1), 0).await;
        assert!(post(conn, &[payment(&work, n, gus).settle(NOW).unwrap()]).await.unwrap());
        if n == 1 {
            mature_receipts_of_job(conn, work.job.id).await.unwrap();
            post(conn, &[payment(&work, n, gus).mature(NOW).unwrap()]).await.unwrap();
        }
    }
    upsert_device(conn, &hello(1), bob, None, NOW).await.unwrap();
    reassign_receipts(conn, work.device, bob).await.unwrap();
    post(conn, &[claim(gus, bob, work.device, credits(9), credits(9), NOW).unwrap()]).await.unwrap();

    work.accept(conn, 3, (2, 1), 0).await;
    post(conn, &[payment(&work, 3, bob).settle(NOW).unwrap()]).await.unwrap();
    end_accepted_receipt(conn, lease(3), ReceiptState::Rejected).await.unwrap();
    post(conn, &[payment(&work, 3, bob).void(NOW).unwrap()]).await.unwrap();
    work.commit(conn, 4, (3, 1), 0).await;
    assert_eq!(list_accepted_receipts(conn, work.job.id).await.unwrap().len(), 1);

    work.settle_bits(conn, 0..2).await;
    let balance = take_tiles(conn, work.job.id, 2, 2).await.unwrap().unwrap();
    write_bill(conn, work.job.id, Bill { cost: credits(20), fee: credits(2), ..balance.bill }).await.unwrap();

    assert!(insert_judge_answer(conn, (lease(1), 0), work.device, 1_500_000_000_000, NOW).await.unwrap());
    let (_, owed) = add_owed(conn, work.device, 1_500_000_000_000).await.unwrap().unwrap();
    let (paid, rest) = payable(owed).unwrap();
    set_owed(conn, work.device, rest).await.unwrap();
    let paid = judge(FEES, bob, (work.job.id, work.device), paid, "answer".to_owned(), NOW).unwrap();
    post(conn, &[paid]).await.unwrap();

    for n in [2, 3] {
        job_with_hold(conn, n, ada, credits(50), 5).await;
        slice(conn, n, job_id(n), 0, 5).await;
    }
    assert!(hold(conn, job_id(2), ada, credits(50)).await.unwrap());
    cancel_job(conn, job_id(2), NOW).await.unwrap();
    release_and_post(conn, job_id(2), &[]).await.unwrap();
    assert_eq!(audit(conn).await.unwrap(), Audit::default());
}

/// Moves a micro-credit from the faucet to whoever the condition says, under a kind and a reference.
macro_rules! entries {
    ($kind:literal, $reference:literal, $purse:literal, $to:literal) => {
        concat!(
            "insert into ledger_entry
                (kind, reference, account_id, purse, asset, amount, job_id, device_id, bucket, created_at)
            select '",
            $kind,
            "', '",
            $reference,
            "', account_id, '",
            $purse,
            "', 'credit',
                   case when kind = 'faucet' then -1 else 1 end, '', '', 0, 0
            from account
            where kind = 'faucet' or ",
            $to
        )
    };
}

/// Makes changes, holds the audit against what it should find, and takes them back.
async fn check(conn: &mut DbConnection, what: &str, changes: &[&'static str], expected: Audit) {
    sqlx::query("savepoint books").execute(&mut *conn).await.unwrap();
    for change in changes {
        let changed = sqlx::query(*change).execute(&mut *conn).await.unwrap().rows_affected();
        assert!(changed > 0, "{what}: nothing is changed by {change}");
    }

    assert_eq!(audit(conn).await.unwrap(), expected, "{what}");
    sqlx::query("rollback to savepoint books").execute(conn).await.unwrap();
}

db_test! {
    async fn money_that_comes_from_nowhere_is_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let assets = |assets_off| Audit { assets_off, ..Audit::default() };
        let accounts = |accounts_off| Audit { accounts_off, ..Audit::default() };

        check(conn, "an entry without another side", &[
            "update ledger_entry set amount = amount + 1 where kind = 'faucet' and amount < 0",
        ], assets(1)).await;
        check(conn, "two assets, whose entries are one transfer", &[
            "update ledger_entry set asset = 'other' where kind = 'faucet' and amount < 0",
        ], assets(2)).await;
        check(conn, "a balance that no entry explains", &[
            "update account set posted = posted + 1 where name = 'Ada'",
        ], accounts(1)).await;
        check(conn, "an account that owns something without any entry", &[
            "insert into account (account_id, kind, name, verified, posted, held, pending, created_at)
            values ('z', 'customer', 'Zoe', 0, 1, 0, 0, 0)",
        ], accounts(1)).await;
        check(conn, "an entry that is in no balance", &[
            entries!("claim", "x", "posted", "kind = 'guest'"),
        ], accounts(1)).await;
        check(conn, "one of what is not mature", &[
            entries!("claim", "x", "pending", "kind = 'guest'"),
        ], accounts(1)).await;
    }
}

db_test! {
    async fn a_hold_that_is_not_its_jobs_is_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let holds = |holds_off| Audit { holds_off, ..Audit::default() };
        let jobs = |jobs_off| Audit { jobs_off, ..Audit::default() };

        check(conn, "more set aside than holds say", &[
            "update account set held = held + 1 where name = 'Ada'",
        ], holds(1)).await;
        check(conn, "set aside without a hold", &[
            "update account set held = held + 1 where name = 'Bob'",
        ], holds(1)).await;
        check(conn, "another cost", &["update hold set settled = 1 where state = 'released'"], holds(1)).await;
        check(conn, "another amount", &["update hold set amount = 51 where state = 'released'"], holds(1)).await;
        check(conn, "another customer", &[
            "update hold set account_id = (select account_id from account where name = 'Bob') where state = 'released'",
        ], holds(1)).await;
        check(conn, "a job that cost what no receipt says", &[
            "update job set cost = 1 where not exists (select 1 from hold where hold_id = job_id)",
        ], jobs(1)).await;
        check(conn, "a fee that no receipt has", &["update job set fee = fee + 1 where state = 'running'"], jobs(2)).await;
    }
}

db_test! {
    async fn a_receipt_that_moved_other_money_is_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let receipts = |receipts_off| Audit { receipts_off, ..Audit::default() };

        // Of the lease that was taken back, so that what is wrong in both its settlement and the return shows in no sum.
        check(conn, "the provider was promised more", &[
            "update ledger_entry set amount = amount + case kind when 'settle' then 1 else -1 end
            where reference like '03%' and purse = 'pending' and account_id in (select account_id from account where name = 'Bob')",
        ], receipts(1)).await;
        check(conn, "the platform was promised more", &[
            "update ledger_entry set amount = amount + case kind when 'settle' then 1 else -1 end
            where reference like '03%' and account_id in (select account_id from account where kind = 'fees')",
        ], receipts(1)).await;
        for (what, change) in [
            ("the customer paid more", "update ledger_entry set amount = amount - 1 where kind = 'settle' and reference like '03%' and purse = 'posted'"),
            ("the customer got less back", "update ledger_entry set amount = amount - 1 where kind = 'void' and reference like '03%' and purse = 'posted'"),
        ] {
            check(conn, what, &[
                change,
                "update ledger_entry set amount = amount + 1 where kind = 'faucet' and amount > 0",
            ], receipts(1)).await;
        }
        check(conn, "a settlement that stands was given back", &[
            entries!("void", "02020202020202020202020202020202", "posted", "kind = 'fees'"),
            "delete from ledger_entry where kind = 'void' and reference like '02%' and amount < 0",
            "update ledger_entry set amount = amount - 1 where kind = 'faucet' and amount < 0",
        ], receipts(1)).await;
        check(conn, "what is mature was not all paid", &[
            "update ledger_entry set amount = amount - 1
            where kind = 'mature' and purse = 'posted' and account_id in (select account_id from account where kind = 'fees')",
            "update ledger_entry set amount = amount + 1 where kind = 'faucet' and amount < 0",
        ], receipts(1)).await;
        check(conn, "a movement of no receipt", &[
            entries!("settle", "nobody", "posted", "kind = 'fees'"),
        ], receipts(1)).await;
    }
}

db_test! {
    async fn money_that_went_to_another_than_the_provider_is_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let receipts = |receipts_off| Audit { receipts_off, ..Audit::default() };

        check(conn, "settled with another", &[
            "update receipt set account_id = (select account_id from account where kind = 'guest') where lease_id like '03%'",
        ], receipts(1)).await;
        check(conn, "paid to another, in both purses, after it was settled with another", &[
            "update receipt set account_id = (select account_id from account where name = 'Ada') where lease_id like '01%'",
        ], receipts(2)).await;
        check(conn, "a guest's, whose claim is of another device", &[
            "update ledger_entry set device_id = 'another' where kind = 'claim'",
        ], receipts(1)).await;
    }
}

db_test! {
    async fn what_is_pending_without_a_receipt_is_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let pending = |pending_off| Audit { pending_off, ..Audit::default() };

        check(conn, "an account's", &[
            entries!("claim", "x", "pending", "name = 'Bob'"),
            "update account set pending = pending + 1 where name = 'Bob'",
        ], pending(1)).await;
        check(conn, "an account's that no receipt is about", &[
            entries!("claim", "x", "pending", "name = 'Ada'"),
            "update account set pending = pending + 1 where name = 'Ada'",
        ], pending(1)).await;
        check(conn, "the platform's", &[entries!("claim", "x", "pending", "kind = 'fees'")], pending(1)).await;
    }
}

db_test! {
    async fn tiles_without_a_receipt_or_with_two_are_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let tiles = |tiles_off| Audit { tiles_off, ..Audit::default() };
        let bits = |bits_off| Audit { bits_off, ..Audit::default() };

        check(conn, "a slice that counts one more as done", &[
            "update slice set remaining = remaining - 1 where tiles - remaining = 2",
            "update job set remaining_tiles = remaining_tiles - 1 where tiles - remaining_tiles = 2",
        ], tiles(1)).await;
        check(conn, "a job that does", &[
            "update job set remaining_tiles = remaining_tiles - 1 where tiles - remaining_tiles = 2",
        ], tiles(1)).await;
        check(conn, "a job without slices", &[
            "delete from slice where not exists (select 1 from hold where hold_id = job_id)",
        ], tiles(1)).await;
        check(conn, "a bit without a receipt", &[
            "update slice set settled = (select settled from slice where tiles - remaining = 2) where tiles = remaining",
        ], bits(2)).await;
        check(conn, "a tile with two receipts", &[
            "update receipt set first_tile = 0 where lease_id like '02%'",
        ], bits(1)).await;
    }
}

db_test! {
    async fn judges_that_are_paid_or_owed_something_else_are_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let judges = |judges_off| Audit { judges_off, ..Audit::default() };
        let paid_one_more = "update account set posted = posted + 1 where name = 'Bob'";
        let entry = "update ledger_entry set amount = amount + case when amount > 0 then 1 else -1 end where kind = 'judge'";

        check(conn, "owed more", &["update device set owed_attos = owed_attos + 1"], judges(1)).await;
        check(conn, "worth more", &["update judge_answer set attos = attos + 1"], judges(1)).await;
        check(conn, "paid more", &[paid_one_more, entry], judges(1)).await;
        check(conn, "paid in advance", &[
            paid_one_more,
            entry,
            "update device set owed_attos = owed_attos - 1000000000000",
        ], judges(1)).await;
    }
}

db_test! {
    async fn counts_of_what_devices_did_that_are_other_than_their_receipts_are_found(conn: &mut DbConnection) {
        keep_books(conn).await;
        let shares = |shares_off| Audit { shares_off, ..Audit::default() };

        for more in [
            "update job_share set tiles = tiles + 1",
            "update job_share set receipts = receipts + 1",
            "update job_share set recomputed = recomputed + 1",
            "update job_share set kflop = kflop + 1",
        ] {
            check(conn, more, &[more], shares(1)).await;
        }
        check(conn, "another count of devices", &["update job set devices = devices + 1 where devices = 1"], shares(1)).await;
        check(conn, "a device's that did nothing", &[
            "insert into job_share (job_id, device_id, backend, tiles, receipts, recomputed, kflop)
            select job_id, device_id, 'cpu', 1, 1, 1, 1
            from job, device
            where not exists (
                select 1 from job_share where job_share.job_id = job.job_id and job_share.device_id = device.device_id
              )
            order by job_id, device_id
            limit 1",
        ], shares(2)).await;
        check(conn, "one that is missing", &["delete from job_share"], shares(2)).await;
    }
}
