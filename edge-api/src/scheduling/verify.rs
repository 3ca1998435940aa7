//! A lease's output held against its receipt and against what others compute.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use gpu_kernels::wgsl::gate::{self, Contract};
use wire::{AccountId, BlobHash, Check, CheckedBy, DeviceId, InferTask, MapTask, Receipt, Task};

use super::JobFacts;
use super::core::Lease;
use super::settle::work_of;
use crate::app::App;
use crate::devices;
use crate::verification::checkers::{self, Answer, Nobody};
use crate::verification::recompute::{Mismatch, Work, check_root, redo_tile, same_records, same_values};
use crate::verification::{EDGE_FLOPS_MAX, checked_by};

/// The output against the receipt, and the drawn tiles against what they should be.
pub async fn verify(
    app: &App,
    facts: &Arc<JobFacts>,
    lease: &Lease,
    receipt: &Receipt,
    tiles: &[u32],
) -> anyhow::Result<Result<(), Mismatch>> {
    let output = app.blobs.read(receipt.output).await?;
    let work = Arc::new(work_of(facts, lease));
    let (rooted, whole) = (Arc::clone(&work), output.clone());
    let root = receipt.root;
    if let Err(mismatch) = tokio::task::spawn_blocking(move || check_root(&rooted, &whole, root)).await? {
        return Ok(Err(mismatch));
    }
    let by = checked_by(&facts.task, facts.needs().tile_flops, !app.config.checkers.is_empty());
    match facts.task {
        Task::Infer(InferTask { model, .. }) if by == CheckedBy::Edge => {
            verify_model(app, facts, lease, &work, model, &output, tiles).await
        }
        Task::Infer(InferTask { model, .. }) => {
            match verify_heavy_model(app, facts, lease, &work, &output, tiles).await? {
                Err(Nobody) => verify_model(app, facts, lease, &work, model, &output, tiles).await,
                Ok(verdict) => Ok(verdict),
            }
        }
        Task::Map(_) => verify_kernel(app, facts, lease, &work, &output, tiles).await,
    }
}

/// By the operator's checkers: it would hold this server's processor up. Where none that is connected
/// can, and this server could, it says so.
async fn verify_heavy_model(
    app: &App,
    facts: &Arc<JobFacts>,
    lease: &Lease,
    work: &Work,
    output: &Bytes,
    tiles: &[u32],
) -> anyhow::Result<Result<Result<(), Mismatch>, Nobody>> {
    let needs = facts.needs();
    for tiles in checkers::questions(&needs, tiles) {
        let asked = of_job(lease, &tiles);
        let answered = if needs.tile_flops > EDGE_FLOPS_MAX {
            checkers::ask(app, facts, asked, BTreeSet::new()).await?
        } else {
            match checkers::ask_checkers(app, facts, asked).await? {
                Ok(answered) => answered,
                Err(nobody) => return Ok(Err(nobody)),
            }
        };
        let Answer::Output(hash) = answered.answer else { anyhow::bail!("a model has no fuel to run out of") };
        let answer = app.blobs.read(hash).await?;
        let first = work.output_range(tiles.clone()).start;
        // Tile by tile, since the tolerance goes by what is largest in one.
        for tile in tiles {
            let range = work.output_range(tile..tile + 1);
            let verdict =
                same_values(&facts.task, &output[range.clone()], &answer[range.start - first..range.end - first]);
            if verdict.is_err() {
                return Ok(Ok(verdict));
            }
        }
    }
    Ok(Ok(Ok(())))
}

/// By the references, on this server's processor.
async fn verify_model(
    app: &App,
    facts: &JobFacts,
    lease: &Lease,
    work: &Arc<Work>,
    model: BlobHash,
    output: &Bytes,
    tiles: &[u32],
) -> anyhow::Result<Result<(), Mismatch>> {
    let _turn = app.checks.acquire().await.context("the server is stopping")?;
    let graph = app.models.load(&app.blobs, model).await??;
    for &tile in tiles {
        let mut input = Vec::new();
        for (blob, range) in facts.input_parts(lease.first_tile + u64::from(tile), 1) {
            input.extend_from_slice(&app.blobs.read_range(blob, range).await?);
        }
        let (graph, work, output) = (Arc::clone(&graph), Arc::clone(work), output.clone());
        let verdict = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let expected = redo_tile(&graph, &work, tile, &input)?;
            Ok(same_values(&work.task, &output[work.output_range(tile..tile + 1)], &expected))
        })
        .await??;
        if verdict.is_err() {
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}

/// A lease's tiles, counted over the job.
fn of_job(lease: &Lease, tiles: &Range<u32>) -> Range<u64> {
    lease.first_tile + u64::from(tiles.start)..lease.first_tile + u64::from(tiles.end)
}

/// By other devices: a customer's kernel has no reference.
async fn verify_kernel(
    app: &App,
    facts: &Arc<JobFacts>,
    lease: &Lease,
    work: &Work,
    output: &Bytes,
    tiles: &[u32],
) -> anyhow::Result<Result<(), Mismatch>> {
    let provider = account_of(app, lease.device).await?;
    if app.config.checkers.is_empty() && provider == facts.customer {
        // The customer's own device at the customer's own cost: there is nobody to deceive.
        return Ok(Ok(()));
    }
    let float_words = float_words(app, facts).await?;
    for tiles in checkers::questions(&facts.needs(), tiles) {
        let found = &output[work.output_range(tiles.clone())];
        let mut party = BTreeSet::from([provider]);
        let mut against = 0;
        loop {
            let answered = checkers::ask(app, facts, of_job(lease, &tiles), party.clone()).await?;
            let same = match answered.answer {
                Answer::Output(hash) => same_records(facts.check, &float_words, found, &app.blobs.read(hash).await?),
                Answer::Fault(_) => false,
            };
            if same {
                break;
            }
            against += 1;
            // A checker's word counts at once; of peers it takes two against one.
            if !app.config.checkers.is_empty() || against == 2 {
                return Ok(Err(Mismatch::Values));
            }
            party.insert(answered.account);
        }
    }
    Ok(Ok(()))
}

pub async fn account_of(app: &App, device: DeviceId) -> anyhow::Result<AccountId> {
    let record = devices::store::find_device(&mut *app.db.read().await?, device).await?;
    Ok(record.context("a device with a lease should be on record")?.account)
}

/// Which words of a kernel's output record are floats.
async fn float_words(app: &App, facts: &JobFacts) -> anyhow::Result<Vec<bool>> {
    let Task::Map(MapTask { kernel, record_bytes, out_bytes, fuel, .. }) = facts.task else { return Ok(Vec::new()) };
    if facts.check == Check::Exact {
        return Ok(Vec::new());
    }
    let text = String::from_utf8(app.blobs.read(kernel).await?.to_vec())?;
    let contract = Contract { record_bytes, out_bytes, fuel };
    let passed = tokio::task::spawn_blocking(move || gate::pass(&text, contract)).await??;
    Ok(passed.float_words)
}
