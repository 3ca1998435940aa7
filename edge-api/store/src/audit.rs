//! What the books must say of themselves at any moment.

use std::collections::BTreeMap;

use rules::scheduling::bitmap::Bitmap;
use sqlx::FromRow;

use crate::codec::{count, uncount};
use crate::db::DbConnection;

/// How many rows contradict others, by what they contradict. All are 0 between any two transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Audit {
    /// Assets whose entries do not sum to zero.
    pub assets_off: i64,
    /// Accounts whose purses are not the sums of their entries.
    pub accounts_off: i64,
    /// Accounts whose `held` is not the rest of their open holds, and jobs whose hold says another cost.
    pub holds_off: i64,
    /// Jobs whose cost or fee is not the sum of their accepted receipts.
    pub jobs_off: i64,
    /// Receipts that moved other money than they say, or to another provider.
    pub receipts_off: i64,
    /// Accounts whose pending purse is not what their accepted receipts earned, the platform's own among them.
    pub pending_off: i64,
    /// Slices and jobs whose remaining tiles are not those without an accepted receipt.
    pub tiles_off: i64,
    /// Devices that were paid, and are owed, other than what they computed again of others' leases is worth.
    pub judges_off: i64,
    /// What devices did of jobs, other than the sums of their settled receipts, and jobs with another count of devices.
    pub shares_off: i64,
    /// Slices whose bits are not the tiles of their accepted receipts, each once.
    #[sqlx(default)]
    pub bits_off: i64,
}

impl Audit {
    /// Each count with its name.
    pub fn rules(&self) -> [(&'static str, i64); 10] {
        [
            ("assets", self.assets_off),
            ("accounts", self.accounts_off),
            ("holds", self.holds_off),
            ("jobs", self.jobs_off),
            ("receipts", self.receipts_off),
            ("pending", self.pending_off),
            ("tiles", self.tiles_off),
            ("judges", self.judges_off),
            ("shares", self.shares_off),
            ("bits", self.bits_off),
        ]
    }
}

/// Reads all that there is: for tests, and for an operator at rest.
pub async fn audit(conn: &mut DbConnection) -> sqlx::Result<Audit> {
    let found = audit_sums(conn).await?;
    Ok(Audit { bits_off: count_bits_off(conn).await?, ..found })
}

/// Without the slices' bits: one statement, which sees one moment and holds no rows in memory, also while servers work.
pub async fn audit_sums(conn: &mut DbConnection) -> sqlx::Result<Audit> {
    sqlx::query_as(include_str!("audit.sql")).fetch_one(conn).await
}

async fn count_bits_off(conn: &mut DbConnection) -> sqlx::Result<i64> {
    let receipts: Vec<(String, i64, i64)> =
        sqlx::query_as("select slice_id, first_tile, tiles from receipt where state in ('accepted', 'matured')")
            .fetch_all(&mut *conn)
            .await?;
    let mut by_slice: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for (slice, first, tiles) in receipts {
        by_slice.entry(slice).or_default().push((uncount(first), uncount(tiles)));
    }
    let slices: Vec<(String, i64, i64, Vec<u8>)> =
        sqlx::query_as("select slice_id, first_tile, tiles, settled from slice").fetch_all(conn).await?;
    let is_off = |(slice, first_tile, tiles, settled): &(String, i64, i64, Vec<u8>)| {
        let mut of_receipts = Bitmap::new(uncount(*tiles));
        for (first, tiles) in by_slice.get(slice).into_iter().flatten() {
            let first = first - uncount(*first_tile);
            if !of_receipts.is_clear(first, *tiles) {
                return true;
            }
            of_receipts.set(first, *tiles);
        }
        of_receipts.to_bytes() != *settled
    };
    Ok(count(slices.iter().filter(|slice| is_off(slice)).count()))
}
