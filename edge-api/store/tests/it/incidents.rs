use store::incidents::{
    Finding, FoundPart, add_part_time, claim_look, delete_old_status, end_incident, find_last_look, insert_incident,
    list_found_parts, list_incidents, list_part_days, upsert_found_part,
};
use wire::Micros;
use wire::status::{Incident, PartDay, StatusPart, Trouble};

use crate::db_test;
use crate::fixture::NOW;

const DAY: Micros = 86_400_000_000;

fn incident(part: StatusPart, began_at: Micros, ended_at: Option<Micros>) -> Incident {
    Incident { part, trouble: Trouble::Unreachable, began_at, ended_at }
}

db_test! {
    async fn one_replica_looks_at_a_time(conn: &mut DbConnection) {
        let fresh = find_last_look(conn).await.unwrap();
        assert_eq!(fresh.looked_at, None);
        assert!(fresh.now > 1_700_000_000_000_000, "the database's own time, in microseconds");

        assert!(claim_look(conn, None, NOW).await.unwrap());
        assert!(!claim_look(conn, None, NOW + 1).await.unwrap(), "another has looked since");
        assert!(claim_look(conn, Some(NOW), NOW + 15).await.unwrap());

        assert_eq!(find_last_look(conn).await.unwrap().looked_at, Some(NOW + 15));
    }
}

db_test! {
    async fn what_was_found_of_a_part_takes_the_place_of_what_was_found_before(conn: &mut DbConnection) {
        let devices = FoundPart {
            part: StatusPart::Devices,
            finding: Finding::Fails(Trouble::NoDevices),
            failing_since: Some(NOW),
            latency: None,
            present: Some(0),
        };
        let blobs = FoundPart {
            part: StatusPart::Blobs,
            finding: Finding::Works,
            failing_since: None,
            latency: Some(0),
            present: None,
        };
        for found in [devices, blobs] {
            upsert_found_part(conn, found).await.unwrap();
        }
        assert_eq!(list_found_parts(conn).await.unwrap(), [blobs, devices]);

        let idle = FoundPart { finding: Finding::Idle, failing_since: None, ..devices };
        upsert_found_part(conn, idle).await.unwrap();

        assert_eq!(list_found_parts(conn).await.unwrap(), [blobs, idle]);
    }
}

db_test! {
    async fn times_of_a_day_add_up(conn: &mut DbConnection) {
        let (part, other) = (StatusPart::Checks, StatusPart::Edge);
        let time = |day, up_micros, down_micros| PartDay { day, up_micros, down_micros };

        for (part, time) in [(part, time(DAY, 3, 0)), (part, time(DAY, 1, 2)), (other, time(2 * DAY, 5, 0))] {
            add_part_time(conn, part, time).await.unwrap();
        }

        let all = [(part, time(DAY, 4, 2)), (other, time(2 * DAY, 5, 0))];
        assert_eq!(list_part_days(conn, DAY).await.unwrap(), all);
        assert_eq!(list_part_days(conn, DAY + 1).await.unwrap(), all[1..]);
    }
}

db_test! {
    async fn of_each_part_one_incident_goes_on_until_it_ends(conn: &mut DbConnection) {
        let (blobs, database) = (StatusPart::Blobs, StatusPart::Database);

        insert_incident(conn, incident(blobs, NOW, None)).await.unwrap();
        insert_incident(conn, incident(blobs, NOW + 1, None)).await.unwrap();
        insert_incident(conn, incident(database, NOW + 2, None)).await.unwrap();
        let open = [incident(database, NOW + 2, None), incident(blobs, NOW, None)];
        assert_eq!(list_incidents(conn, NOW + 9, 9).await.unwrap(), open, "one that goes on is never too old");
        end_incident(conn, blobs, NOW + 5).await.unwrap();
        end_incident(conn, blobs, NOW + 6).await.unwrap();

        let ended = incident(blobs, NOW, Some(NOW + 5));
        assert_eq!(list_incidents(conn, NOW + 5, 9).await.unwrap(), [open[0], ended]);
        assert_eq!(list_incidents(conn, NOW + 6, 9).await.unwrap(), [open[0]]);
        assert_eq!(list_incidents(conn, NOW, 1).await.unwrap(), [open[0]]);
    }
}

db_test! {
    async fn what_is_old_or_too_much_is_forgotten_and_what_goes_on_is_not(conn: &mut DbConnection) {
        let part = StatusPart::Blobs;
        let old = [incident(part, NOW, Some(NOW + 1)), incident(part, NOW + 2, Some(NOW + 10))];
        let recent = [20, 30, 40].map(|began| incident(part, NOW + began, Some(NOW + began + 5)));
        let open = incident(StatusPart::Database, NOW, None);
        for incident in old.iter().chain(&recent).chain([&open]) {
            insert_incident(conn, *incident).await.unwrap();
        }
        for day in [NOW - 1, NOW + 10] {
            add_part_time(conn, part, PartDay { day, up_micros: 1, down_micros: 0 }).await.unwrap();
        }

        delete_old_status(conn, NOW + 10, 100).await.unwrap();
        assert_eq!(list_incidents(conn, 0, 9).await.unwrap(), [recent[2], recent[1], recent[0], old[1], open]);
        assert_eq!(list_part_days(conn, 0).await.unwrap().len(), 1);
        delete_old_status(conn, NOW + 10, 2).await.unwrap();

        assert_eq!(list_incidents(conn, 0, 9).await.unwrap(), [recent[2], recent[1], open]);
    }
}
