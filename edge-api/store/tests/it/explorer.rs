use rules::billing::bill::Bill;
use store::explorer::{
    DeviceFilter, find_check, find_public_device, find_public_job, find_receipt, find_statement,
    find_statement_of_tile, list_public_devices, list_public_jobs, list_receipts, list_receipts_of_device, list_uptime,
};
use store::job_progress::{take_tiles, write_bill};
use store::jobs::publish_job;
use store::overview::{count_jobs, list_latest_leases, list_periods, list_supply};
use store::presence::mark_present;
use store::receipts::mature_receipts_of_job;
use store::search::{find_by_id, find_by_name};
use wire::device::DeviceClass;
use wire::explorer::{Hit, ReceiptCheck};
use wire::{CheckedBy, DeviceId, JobState};

use crate::db_test;
use crate::fixture::{CHARGE, NOW, RULE, Work, account, device, job, job_id, lease};

db_test! {
    async fn devices_are_listed_by_work_in_pages_and_by_kind(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for n in 2..=4 {
            device(conn, n, work.account).await;
        }
        work.accept(conn, 1, (0, 1), 0).await;
        mark_present(conn, "one", DeviceId([2; 32]), NOW).await.unwrap();
        let ids = |page: &wire::explorer::Page<wire::explorer::PublicDevice>| {
            page.rows.iter().map(|device| device.id.0[0]).collect::<Vec<_>>()
        };
        let all = DeviceFilter::default();
        let tabs = DeviceFilter { class: Some(DeviceClass::Tab), online: false };
        let online = DeviceFilter { class: None, online: true };

        let first = list_public_devices(conn, all, None, 2, NOW).await.unwrap();
        let last = list_public_devices(conn, all, Some((0, DeviceId([4; 32]))), 9, NOW).await.unwrap();

        assert_eq!((ids(&first), ids(&last)), (vec![1, 4], vec![3, 2]));
        assert_eq!(first.next, Some(format!("0.{}", DeviceId([4; 32]))));
        assert_eq!(last.next, None);
        assert_eq!(ids(&list_public_devices(conn, tabs, None, 9, NOW).await.unwrap()), [4, 2]);
        assert_eq!(ids(&list_public_devices(conn, online, None, 9, NOW).await.unwrap()), [2]);
        let found = find_public_device(conn, work.device, NOW).await.unwrap().unwrap();
        assert_eq!((found.tiles, found.kflop, found.earned.micros()), (1, 500, 9));
        assert!(find_public_device(conn, DeviceId([9; 32]), NOW).await.unwrap().is_none());
    }
}

db_test! {
    async fn a_name_is_listed_as_it_is_but_for_the_character_that_ends_a_row(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for n in 2..=3 {
            device(conn, n, work.account).await;
        }
        let rename = "update device set name = $1 where device_id = $2";
        for (n, name) in [(2, "a\u{1f}b\u{1f}\u{1e}c\n, 'd'"), (3, "")] {
            sqlx::query(rename).bind(name).bind(DeviceId([n; 32]).to_string()).execute(&mut *conn).await.unwrap();
        }

        let listed = list_public_devices(conn, DeviceFilter::default(), None, 9, NOW).await.unwrap();

        for device in listed.rows {
            let found = find_public_device(conn, device.id, NOW).await.unwrap().unwrap();
            let name = found.name.replace('\u{1e}', "");
            assert_eq!(device, wire::explorer::PublicDevice { name, ..found });
        }
        let nobody = list_public_devices(conn, DeviceFilter::default(), Some((0, DeviceId([0; 32]))), 9, NOW).await;
        assert_eq!(nobody.unwrap().rows, []);
    }
}

db_test! {
    async fn supply_is_grouped_by_kind_of_device(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.accept(conn, 1, (0, 1), 0).await;
        for n in 2..=4 {
            let known = device(conn, n, work.account).await;
            mark_present(conn, "one", known, NOW).await.unwrap();
        }
        mark_present(conn, "one", work.device, NOW).await.unwrap();

        let supply = list_supply(conn, NOW + 1).await.unwrap();

        let groups: Vec<_> = supply.iter().map(|group| (group.class, group.devices, group.flops_per_sec)).collect();
        assert_eq!(groups, [(DeviceClass::Native, 2, 1_000_000), (DeviceClass::Tab, 2, 0)]);
        assert_eq!(list_supply(conn, NOW + 60_000_000).await.unwrap(), []);
        assert_eq!(list_periods(conn, 0).await.unwrap(), []);
        assert_eq!(list_uptime(conn, work.device, 0, 2).await.unwrap(), [0, 0]);
    }
}

db_test! {
    async fn receipts_are_listed_newest_first_in_pages(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        for n in 1..=3 {
            work.accept(conn, n, (u64::from(n), 1), n.into()).await;
        }
        work.commit(conn, 4, (4, 1), 0).await;
        let leases = |page: &wire::explorer::Page<wire::explorer::PublicReceipt>| {
            page.rows.iter().map(|receipt| receipt.lease).collect::<Vec<_>>()
        };
        let second = Some((NOW + 2_000_000, lease(2)));

        let first = list_receipts(conn, None, 2).await.unwrap();
        let rest = list_receipts(conn, second, 2).await.unwrap();
        let of_device = list_receipts_of_device(conn, work.device, second, 1).await.unwrap();
        let of_another = list_receipts_of_device(conn, DeviceId([9; 32]), None, 9).await.unwrap();

        assert_eq!(leases(&first), [lease(3), lease(2)]);
        for receipt in &first.rows {
            assert_eq!(find_receipt(conn, receipt.lease).await.unwrap().as_ref(), Some(receipt));
        }
        assert_eq!(first.next, Some(format!("{}.{}", NOW + 2_000_000, lease(2))));
        assert_eq!((leases(&rest), rest.next), (vec![lease(1), lease(4)], None));
        assert_eq!((leases(&of_device), of_device.next.is_some()), (vec![lease(1)], true));
        assert_eq!(of_another.rows, []);
        assert_eq!(list_latest_leases(conn, NOW + 2_000_000, 9).await.unwrap(), [1, 1]);
    }
}

db_test! {
    async fn a_private_job_shows_in_sums_alone_and_a_published_one_whole(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let job = work.job.id;
        work.accept(conn, 1, (1, 2), 0).await;
        let balance = take_tiles(conn, job, 2, 1).await.unwrap().unwrap();
        write_bill(conn, job, Bill { cost: CHARGE.cost, fee: CHARGE.fee, ..balance.bill }).await.unwrap();
        mature_receipts_of_job(conn, job).await.unwrap();

        assert_eq!(find_public_job(conn, job).await.unwrap(), None);
        assert_eq!(find_receipt(conn, lease(1)).await.unwrap().unwrap().job, None);
        assert_eq!(find_statement(conn, lease(1)).await.unwrap(), None);
        assert_eq!(find_statement_of_tile(conn, job, 1).await.unwrap(), None);
        assert_eq!(list_public_jobs(conn, None, 9).await.unwrap().rows, []);
        assert_eq!(count_jobs(conn, JobState::Running).await.unwrap(), 1);
        assert_eq!(count_jobs(conn, JobState::Done).await.unwrap(), 0);

        publish_job(conn, work.account, job, true).await.unwrap();
        let shown = find_public_job(conn, job).await.unwrap().unwrap();
        let signed = find_statement(conn, lease(1)).await.unwrap().unwrap();
        assert_eq!((shown.id, shown.state, shown.code), (job, JobState::Running, work.job.task.code()));
        assert_eq!((shown.rows, shown.tiles, shown.verified_tiles, shown.flops), (10, 5, 2, 10_000_000));
        assert_eq!((shown.devices.len(), shown.devices[0].recomputed_tiles, shown.has_sample), (1, 1, true));
        assert_eq!(shown.mosaic, "00000", "no slice of it is settled in this test");
        assert_eq!(find_receipt(conn, lease(1)).await.unwrap().unwrap().job, Some(job));
        assert_eq!((signed.receipt.clone(), signed.cost.micros()), (work.receipt(1, 1, 2), 10));
        assert_eq!(find_statement_of_tile(conn, job, 2).await.unwrap(), Some(signed));
        assert_eq!(find_statement_of_tile(conn, job, 3).await.unwrap(), None);
        let listed = list_public_jobs(conn, None, 9).await.unwrap();
        assert_eq!((listed.rows[0].id, listed.rows[0].verified_tiles, listed.next), (job, 2, None));
    }
}

db_test! {
    async fn what_was_signed_of_a_published_job_is_public_once_it_was_checked(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let job = work.job.id;
        publish_job(conn, work.account, job, true).await.unwrap();

        work.commit(conn, 1, (1, 2), 0).await;
        assert_eq!(find_receipt(conn, lease(1)).await.unwrap().unwrap().job, Some(job));
        work.accept(conn, 2, (3, 1), 0).await;

        let settled = find_statement(conn, lease(2)).await.unwrap().unwrap();
        assert_eq!(settled.receipt, work.receipt(2, 3, 1));
        assert_eq!(find_receipt(conn, lease(1)).await.unwrap().unwrap().job, Some(job));
        assert_eq!(find_statement(conn, lease(1)).await.unwrap(), None, "it names an output that nobody has checked");
        assert_eq!(find_check(conn, lease(1)).await.unwrap(), None);
        let check = |rule| Some(ReceiptCheck { by: CheckedBy::Checker, rule });
        assert_eq!(find_check(conn, lease(2)).await.unwrap(), check(Some(RULE)));
        publish_job(conn, work.account, job, false).await.unwrap();
        assert_eq!(find_check(conn, lease(2)).await.unwrap(), check(None), "its rule is the customer's");
    }
}

db_test! {
    async fn ids_are_found_by_their_beginning(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let other = account(conn, 2).await;
        job(conn, 2, other).await;
        publish_job(conn, work.account, work.job.id, true).await.unwrap();
        work.commit(conn, 1, (0, 1), 0).await;

        let jobs = find_by_id(conn, &job_id(1).to_string()[..8], 9).await.unwrap();
        assert_eq!(jobs, [Hit::Job { id: work.job.id, name: "Job 1".to_owned() }]);
        let both = find_by_id(conn, "0101", 9).await.unwrap();
        let name = "GPU 1".to_owned();
        assert_eq!(both, [Hit::Device { id: work.device, name }, Hit::Receipt { id: lease(1) }]);
        assert_eq!(find_by_id(conn, "ffff", 9).await.unwrap(), []);
    }
}

db_test! {
    async fn published_jobs_and_hardware_are_found_by_the_words_of_their_names(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let other = account(conn, 2).await;
        job(conn, 2, other).await;
        publish_job(conn, work.account, work.job.id, true).await.unwrap();
        let found_job = Hit::Job { id: work.job.id, name: "Job 1".to_owned() };
        let found_device = Hit::Device { id: work.device, name: "GPU 1".to_owned() };

        assert_eq!(find_by_name(conn, &["jOb"], 9).await.unwrap(), std::slice::from_ref(&found_job), "the other is private");
        assert_eq!(find_by_name(conn, &["1"], 9).await.unwrap(), [found_job, found_device.clone()]);
        assert_eq!(find_by_name(conn, &["1", "gpu"], 9).await.unwrap(), [found_device]);
        for no_name in ["%", "_", "!", "Job 2", "'"] {
            assert_eq!(find_by_name(conn, &[no_name], 9).await.unwrap(), [], "{no_name}");
        }
    }
}
