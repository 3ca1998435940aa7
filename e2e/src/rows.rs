//! A network with tables of two hundred rows: as many devices, each with a part of one published job, and the first
//! of them with as many receipts.

use wire::{DeviceId, JobId};

use crate::stack::Stack;

pub const ROWS: i64 = 200;

/// What has a table.
pub struct Tables {
    pub device: DeviceId,
    pub job: JobId,
}

fn device(i: i64) -> DeviceId {
    format!("{i:064x}").parse().expect("an id should be hex")
}

/// Writes the rows past the edge, which a network takes days to fill.
pub async fn fill(stack: &Stack) -> anyhow::Result<Tables> {
    let (client, _) = stack.customer().await?;
    let job = stack.submit_digits(&client, 1, Some(1)).await?;
    client.publish(job.id).await?;
    let database = stack.database().await;
    let (account, slice): (String, String) = sqlx::query_as(
        "select job.account_id, slice.slice_id from job join slice on slice.job_id = job.job_id limit 1",
    )
    .fetch_one(&database)
    .await?;
    let mut tx = database.begin().await?;
    for i in 0..ROWS {
        sqlx::query(
            "insert into device (device_id, account_id, class, name, backend, software, passed, failed,
                                suspended_until, created_at, seen_at, tiles, kflop, earned, flops_per_sec, network)
            values ($1, $2, 'native', 'NVIDIA GeForce RTX 4090', 'vulkan', 0, $3, 0, 0, 1, 1, $3, $3, $3, 5000000000, '')",
        )
        .bind(device(i).to_string())
        .bind(&account)
        .bind(i)
        .execute(&mut *tx)
        .await?;
    }
    for i in 0..2 * ROWS {
        // The first device has as many receipts as the job has devices.
        let whose = if i < ROWS { 0 } else { i - ROWS };
        sqlx::query(
            "insert into receipt (lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash,
                                  program, backend, device_time, signature, state, cost, fee, recomputed, matures_at,
                                  created_at, kflop)
            values ($1, $2, $3, $4, $5, $6, 1, $7, $7, 'infer/1', 'vulkan', 1, $8, 'matured', 0, 0, 1, 1, $6, 151)",
        )
        .bind(format!("{i:032x}"))
        .bind(job.id.to_string())
        .bind(&slice)
        .bind(device(whose).to_string())
        .bind(&account)
        .bind(i)
        .bind("0".repeat(64))
        .bind("0".repeat(128))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(Tables { device: device(0), job: job.id })
}
