use store::job_progress::cancel_job;
use store::jobs::find_job;
use store::receipts::{end_accepted_receipt, mature_receipts_of_job};
use store::shares::list_shares;
use wire::explorer::ReceiptState;

use crate::db_test;
use crate::fixture::{NOW, Work, lease};

db_test! {
    async fn a_devices_share_of_a_job_grows_with_what_is_settled_and_shrinks_with_what_falls(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let job = work.job.id;
        work.commit(conn, 9, (4, 1), 0).await;
        assert_eq!(list_shares(conn, job).await.unwrap(), [], "nothing is settled");
        work.accept(conn, 1, (0, 2), 0).await;
        work.accept(conn, 2, (2, 1), 1).await;

        let [share] = list_shares(conn, job).await.unwrap().try_into().unwrap();
        assert_eq!((share.device, share.tiles, share.receipts), (work.device, 3, 2));
        assert_eq!((share.recomputed_tiles, share.kflop, share.backend.as_str()), (2, 1000, "vulkan"));
        assert_eq!(find_job(conn, work.account, job).await.unwrap().unwrap().devices, 1, "whatever it did");

        let fallen = end_accepted_receipt(conn, lease(1), ReceiptState::Rejected).await.unwrap();
        assert_eq!(fallen.unwrap().receipt.tiles, 2);
        assert_eq!(end_accepted_receipt(conn, lease(1), ReceiptState::Rejected).await.unwrap().map(|_| ()), None);
        let [share] = list_shares(conn, job).await.unwrap().try_into().unwrap();
        assert_eq!((share.tiles, share.receipts, share.recomputed_tiles, share.kflop), (1, 1, 1, 500));

        end_accepted_receipt(conn, lease(2), ReceiptState::Void).await.unwrap();
        assert_eq!(list_shares(conn, job).await.unwrap(), []);
        assert_eq!(find_job(conn, work.account, job).await.unwrap().unwrap().devices, 0);
    }
}

db_test! {
    async fn what_is_mature_stays_in_a_share(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        work.accept(conn, 1, (0, 2), 0).await;
        cancel_job(conn, work.job.id, NOW).await.unwrap();

        mature_receipts_of_job(conn, work.job.id).await.unwrap();

        assert_eq!(list_shares(conn, work.job.id).await.unwrap()[0].tiles, 2);
    }
}
