//! What a word or the beginning of an id finds, out of `public_*` views and no table.

use wire::explorer::Hit;

use crate::codec::id;
use crate::db::DbConnection;

/// Sorts after every hex digit.
const LAST: &str = "g";
/// Names that a question is held against: those of the newest jobs, and of the devices that did most work.
const NAMES_MAX: i64 = 10_000;

/// Up to `most` published jobs and as many devices whose names hold every word, in capitals or not: jobs newest first,
/// devices by verified work.
pub async fn find_by_name(conn: &mut DbConnection, words: &[&str], most: usize) -> sqlx::Result<Vec<Hit>> {
    let jobs: Vec<(String, String)> =
        sqlx::query_as("select job_id, name from public_job where name <> '' order by job_id desc limit $1")
            .bind(NAMES_MAX)
            .fetch_all(&mut *conn)
            .await?;
    let devices: Vec<(String, String)> =
        sqlx::query_as("select device_id, name from public_device order by kflop desc, device_id desc limit $1")
            .bind(NAMES_MAX)
            .fetch_all(conn)
            .await?;
    // Here and not by the database: engines differ in which letters they know capitals of.
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let fits = |(_, name): &(String, String)| {
        let name = name.to_lowercase();
        words.iter().all(|word| name.contains(word.as_str()))
    };
    let jobs = jobs.into_iter().filter(fits).take(most).map(|(job, name)| Hit::Job { id: id(&job), name });
    let devices = devices.into_iter().filter(fits).take(most);
    Ok(jobs.chain(devices.map(|(device, name)| Hit::Device { id: id(&device), name })).collect())
}

/// Up to `most` of each kind whose id begins with `prefix`, which holds hex digits and hyphens alone.
pub async fn find_by_id(conn: &mut DbConnection, prefix: &str, most: i64) -> sqlx::Result<Vec<Hit>> {
    // What begins with the prefix sorts between it and the prefix with a 'g' behind.
    let end = format!("{prefix}{LAST}");
    let devices: Vec<(String, String)> = sqlx::query_as(
        "select device_id, name from public_device where device_id >= $1 and device_id < $2 order by device_id limit $3",
    )
    .bind(prefix)
    .bind(&end)
    .bind(most)
    .fetch_all(&mut *conn)
    .await?;
    let jobs: Vec<(String, String)> = sqlx::query_as(
        "select job_id, name from public_job where job_id >= $1 and job_id < $2 order by job_id limit $3",
    )
    .bind(prefix)
    .bind(&end)
    .bind(most)
    .fetch_all(&mut *conn)
    .await?;
    let receipts: Vec<(String,)> = sqlx::query_as(
        "select lease_id from public_receipt where lease_id >= $1 and lease_id < $2 order by lease_id limit $3",
    )
    .bind(prefix)
    .bind(&end)
    .bind(most)
    .fetch_all(conn)
    .await?;
    let devices = devices.into_iter().map(|(device, name)| Hit::Device { id: id(&device), name });
    let jobs = jobs.into_iter().map(|(job, name)| Hit::Job { id: id(&job), name });
    let receipts = receipts.iter().map(|(receipt,)| Hit::Receipt { id: id(receipt) });
    Ok(devices.chain(jobs).chain(receipts).collect())
}
