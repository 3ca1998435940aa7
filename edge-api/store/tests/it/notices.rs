use std::time::Duration;

use store::notices::{Heard, Notice, Notices, notify};

use crate::db_test;
use crate::fixture::{job_id, postgres_url};

/// Sooner than anybody looks for what it missed.
const AT_ONCE: Duration = Duration::from_secs(4);

db_test! {
    async fn a_change_is_told_within_its_transaction_on_either_engine(conn: &mut DbConnection) {
        notify(conn, "one", Notice::Work).await.unwrap();
        notify(conn, "one", Notice::JobEnded(job_id(1))).await.unwrap();
    }
}

#[tokio::test]
async fn others_hear_what_was_committed_and_nobody_what_was_rolled_back() {
    let url = postgres_url().await;
    let db = store::Db::connect(&url).await.unwrap();
    let mut notices = Notices::listen(&url, "two").await.unwrap();
    let say = async |replica: &str, notice, is_kept| {
        let mut tx = db.begin_write().await.unwrap();
        notify(&mut tx, replica, notice).await.unwrap();
        if is_kept { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    };

    say("one", Notice::JobEnded(job_id(1)), false).await;
    say("two", Notice::Published, true).await;
    say("one", Notice::JobChanged(job_id(2)), true).await;
    say("one", Notice::Work, true).await;

    for expected in [Notice::JobChanged(job_id(2)), Notice::Work] {
        let heard = tokio::time::timeout(AT_ONCE, notices.next()).await.unwrap();
        assert_eq!(heard.unwrap(), Heard::Notice(expected), "nothing of its own, nothing that did not happen");
    }
}

#[tokio::test]
async fn a_listener_whose_connection_is_cut_says_that_it_missed_something_and_hears_again() {
    let url = postgres_url().await;
    let db = store::Db::connect(&url).await.unwrap();
    let mut notices = Notices::listen(&url, "two").await.unwrap();

    let mut tx = db.begin_write().await.unwrap();
    let cut = "select count(*) from pg_stat_activity
        where datname = current_database() and query like 'LISTEN%' and pg_terminate_backend(pid)";
    let (ended,): (i64,) = sqlx::query_as(cut).fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ended, 1);
    // The server says goodbye before it closes: either is enough to begin anew.
    let mut notices = match notices.next().await {
        Ok(Heard::Missed) => notices,
        Err(_) => Notices::listen(&url, "two").await.unwrap(),
        Ok(heard) => panic!("{heard:?}"),
    };
    let mut tx = db.begin_write().await.unwrap();
    notify(&mut tx, "one", Notice::Work).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(notices.next().await.unwrap(), Heard::Notice(Notice::Work));
}
