use store::explorer::{find_public_device, list_uptime};
use store::overview::list_periods;
use store::presence::{
    Supply, add_online, add_supply, count_present, delete_stale_presence, has_devices_elsewhere, mark_absent,
    mark_present, roll_up_work,
};

use crate::db_test;
use crate::fixture::{NOW, Work, account, device};

const LENGTH: i64 = 600_000_000;

db_test! {
    async fn a_device_is_here_while_its_replica_says_so(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let known = device(conn, 1, ada).await;
        let online = async |conn: &mut store::DbConnection| {
            find_public_device(conn, known, NOW + 1).await.unwrap().unwrap().online
        };

        mark_present(conn, "one", known, NOW).await.unwrap();
        assert!(online(conn).await);
        mark_present(conn, "two", known, NOW).await.unwrap();
        mark_absent(conn, "one", known, NOW).await.unwrap();
        assert!(online(conn).await, "it has come to another replica since");
        assert!(has_devices_elsewhere(conn, "one", NOW - 1).await.unwrap());
        assert_eq!(count_present(conn, NOW - 1).await.unwrap(), 1);
        assert_eq!(count_present(conn, NOW).await.unwrap(), 0, "that is too long ago");
        assert!(!has_devices_elsewhere(conn, "one", NOW).await.unwrap(), "that was too long ago");
        assert!(!has_devices_elsewhere(conn, "two", NOW - 1).await.unwrap(), "it is this one's");
        mark_absent(conn, "two", known, NOW + 9).await.unwrap();
        assert!(!online(conn).await);
        assert_eq!(find_public_device(conn, known, NOW).await.unwrap().unwrap().seen_at, NOW + 9);
        mark_present(conn, "two", known, NOW).await.unwrap();
        delete_stale_presence(conn, NOW).await.unwrap();
        assert!(online(conn).await);
        delete_stale_presence(conn, NOW + 1).await.unwrap();
        assert!(!online(conn).await);
    }
}

db_test! {
    async fn time_online_is_summed_by_day(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let known = device(conn, 1, ada).await;
        for (day, micros) in [(99, 1), (100, 20), (100, 3), (102, 7)] {
            add_online(conn, known, day, micros).await.unwrap();
        }

        assert_eq!(list_uptime(conn, known, 100, 3).await.unwrap(), [23, 0, 7]);
    }
}

db_test! {
    async fn supply_and_settled_work_are_summed_by_period(conn: &mut DbConnection) {
        let work = Work::start(conn).await;
        let period = NOW - NOW % LENGTH;
        for (replica, micros) in [("one", 5), ("one", 6), ("two", 7)] {
            let supply = Supply {
                device_micros: micros,
                offered_micros: micros - 1,
                busy_micros: micros - 2,
                capacity_kflop: 10 * micros,
            };
            add_supply(conn, replica, period, supply).await.unwrap();
        }
        work.accept(conn, 1, (0, 2), 0).await;
        work.commit(conn, 2, (2, 1), 0).await;
        roll_up_work(conn, period, LENGTH).await.unwrap();
        work.accept(conn, 3, (3, 1), 0).await;
        roll_up_work(conn, period, LENGTH).await.unwrap();

        let periods = list_periods(conn, period).await.unwrap();

        let [only] = periods.as_slice() else { panic!("{periods:?}") };
        assert_eq!((only.start, only.device_micros, only.capacity_kflop), (period, 18, 180));
        assert_eq!((only.offered_micros, only.busy_micros), (15, 12));
        assert_eq!((only.work.receipts, only.work.tiles, only.work.kflop, only.work.cost.micros()), (2, 3, 1000, 20));
        assert_eq!(list_periods(conn, period + 1).await.unwrap(), []);
    }
}
