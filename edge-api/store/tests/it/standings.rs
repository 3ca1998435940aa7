use std::collections::BTreeMap;

use store::DbConnection;
use store::devices::count_failed;
use store::standings::{WorkClass, add_verified, find_standings, list_standings};
use wire::DeviceId;

use crate::db_test;
use crate::fixture::{NOW, account, device};

fn class(device: DeviceId, program: &str) -> WorkClass {
    WorkClass { device, program: program.to_owned() }
}

async fn add(conn: &mut DbConnection, device: DeviceId, program: &str, kflop: u64) -> u64 {
    let class = class(device, program);
    add_verified(conn, &[(class.clone(), kflop)].into()).await.unwrap()[&class]
}

db_test! {
    async fn what_others_verified_counts_by_program_and_since_the_last_failed_check(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let known = device(conn, 1, ada).await;

        assert_eq!(find_standings(conn, known).await.unwrap().of("infer", NOW).verified_kflop, 0);
        assert_eq!(add(conn, known, "infer", 70).await, 70);
        assert_eq!(add(conn, known, "infer", 30).await, 100);
        assert_eq!(add(conn, known, "map", 5).await, 5);
        let before = find_standings(conn, known).await.unwrap();
        count_failed(conn, known).await.unwrap();
        assert_eq!(add(conn, known, "infer", 1).await, 101, "what matures goes by all of it");
        let after = find_standings(conn, known).await.unwrap();

        assert_eq!((before.of("infer", NOW + 9).verified_kflop, before.of("infer", NOW + 9).age), (100, 9));
        assert_eq!(before.of("map", NOW).verified_kflop, 5);
        assert_eq!((after.of("infer", NOW).verified_kflop, after.of("map", NOW).verified_kflop), (1, 0));
    }
}

db_test! {
    async fn what_others_verified_of_several_is_added_at_once(conn: &mut DbConnection) {
        let ada = account(conn, 1).await;
        let (first, second, idle) = (device(conn, 1, ada).await, device(conn, 2, ada).await, device(conn, 3, ada).await);
        add(conn, first, "infer", 5).await;
        let added: BTreeMap<WorkClass, u64> =
            [(class(first, "infer"), 2), (class(first, "map"), 3), (class(second, "infer"), 4)].into();

        let ever = add_verified(conn, &added).await.unwrap();
        let standings = list_standings(conn, &[first, second, idle].into()).await.unwrap();

        assert_eq!(ever, [(class(first, "infer"), 7), (class(first, "map"), 3), (class(second, "infer"), 4)].into());
        assert_eq!(standings[&first].of("infer", NOW).verified_kflop, 7);
        assert_eq!(standings[&second].of("infer", NOW).verified_kflop, 4);
        assert!(!standings.contains_key(&idle), "nobody has verified anything of it");
        assert_eq!(add_verified(conn, &BTreeMap::new()).await.unwrap(), BTreeMap::new());
    }
}
