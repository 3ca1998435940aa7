//! `map`: a customer's kernel over records. It has no reference on this server, so its tiles are recomputed
//! by checkers, or by devices with standing that have no part in it.

use std::sync::Arc;

use gate::{AdmittedKernel, Contract, FUEL_MAX, FUEL_UNSTATED, GateError, SOURCE_BYTES_MAX};
use gpu_kernels::customer_kernel::GROUPS_MAX;
use gpu_kernels::records::Column;
use rules::admission::{AdmitError, Order, require_owned};
use rules::program::map::{self as map_rules, KernelFacts};
use rules::scheduling::recheck::group_tiles;
use rules::scheduling::recheck_request::{Answer, Answerer};
use rules::verification::party::{Parties, Party};
use rules::{Job, Source};
use wire::number::to;
use wire::program::map::FUEL_LEFT_BYTES;
use wire::{Blob, BlobHash, Check, CheckedBy, DType, Detail, GatedKernel, KernelReport, MapTask, Place, WordRun};

use super::failure::AdmitFailure;
use super::program::{Checked, Disagreement, Program};
use crate::app::App;
use crate::fleet::judges::{self, Recomputed};
use crate::fleet::lease_output::{LeaseOutput, TilePair};
use crate::fleet::{owner, recheck};

/// More runs of words than a task names: every lease carries it.
const RUNS_MAX: usize = 64;

pub struct Map;

impl Program for Map {
    type Order = wire::Map;
    type Task = MapTask;

    async fn admit(app: &App, order: &Order, wanted: &wire::Map) -> Result<Job, AdmitFailure> {
        let wire::Map { record_bytes, out_bytes, params, .. } = *wanted;
        let contract = contract(record_bytes, out_bytes, wanted.fuel)?;
        let (code, records, found) = find_blobs(app, order, wanted).await?;
        let admitted = through_gate(app, read_text(app, &code).await?, contract).await?;
        let kernel = facts(&admitted);
        map_rules::check_params(&kernel, found.map(|blob| blob.size))?;
        let rows = map_rules::count_records(records.size, record_bytes)?;
        let tiling = map_rules::cut(&kernel, (record_bytes, out_bytes), rows, wanted.tile_records)?;
        let check = map_rules::choose_check(&kernel, wanted.check)?;
        let mut words = runs(&admitted);
        if words.len() > RUNS_MAX {
            words.clear();
        }
        let task = MapTask { kernel: wanted.kernel, record_bytes, out_bytes, fuel: admitted.fuel, params, words };
        Ok(Job {
            id: order.id,
            customer: order.customer,
            privacy: order.privacy,
            task: wire::Task::Map(task),
            sources: vec![Source { blob: wanted.input, offset: 0 }],
            check,
            rows,
            tile_rows: tiling.tile_rows,
            row_flops: tiling.row_flops,
            price: order.price,
            device_bytes: tiling.device_bytes,
            peak_bytes: tiling.peak_bytes,
            code_bytes: code.size,
        })
    }

    async fn check(app: &App, output: &LeaseOutput, task: &MapTask, tiles: &[u32]) -> anyhow::Result<Checked> {
        let (provider, customer) = (owner::party_of(app, output.lease.device).await?, output.job.customer);
        if !app.config.has_checkers() && provider.account == customer {
            // The customer's own device at the customer's own cost: there is nobody to deceive.
            return Ok(Checked::OwnWork);
        }
        let parties = Parties::default().with(provider).with(Party { account: customer, network: None });
        let words = words(app, task, output.job.check).await?;
        let mut checked_by = CheckedBy::Checker;
        let drawn: u64 = to(tiles.len());
        for tiles in group_tiles(&output.job.needs(), tiles) {
            let of_job = output.tiles_of_job(&tiles);
            let flops = output.job.tiles(of_job.clone()).flops();
            let mut done = Recomputed { tile: of_job.start, tiles: of_job.end - of_job.start, flops, drawn };
            let answered = recheck::recompute_elsewhere(app, &output.job, of_job, parties.clone()).await?;
            let by = answered.by;
            if matches!(by, Answerer::Peer { .. }) {
                checked_by = CheckedBy::Quorum;
            }
            let Answer::Output(hash) = answered.answer else {
                return Ok(Checked::Differs(Disagreement { tile: tiles.start, done, by, output: None }));
            };
            let pairs = output.read_beside(app, tiles, hash).await?;
            done.flops = pairs.recomputed_flops();
            for TilePair { tile, signed, recomputed } in pairs.tiles() {
                if !task.tiles_agree(output.job.check, &words, &signed, &recomputed) {
                    return Ok(Checked::Differs(Disagreement { tile, done, by, output: Some(recomputed) }));
                }
            }
            judges::pay_for_check(app, &output.job, &output.lease, by, done).await;
        }
        Ok(Checked::Agreed(checked_by))
    }

    async fn try_tile(app: &App, job: &Arc<Job>, _task: &MapTask, tile: u64) -> anyhow::Result<Option<String>> {
        recheck::try_elsewhere(app, job, tile).await
    }

    async fn agree(
        app: &App,
        job: &Arc<Job>,
        task: &MapTask,
        _tile: u64,
        (one, other): (&[u8], &[u8]),
    ) -> anyhow::Result<bool> {
        Ok(task.tiles_agree(job.check, &words(app, task, job.check).await?, one, other))
    }

    fn result_format(_arrays: usize) -> &'static str {
        "bin"
    }

    /// Where nobody knows how often loops turn, a record seldom spends all that it has.
    fn flops_are_known(task: &MapTask) -> bool {
        task.fuel != FUEL_UNSTATED
    }

    fn tile_note_bytes() -> u64 {
        to(FUEL_LEFT_BYTES)
    }
}

/// What a customer says of a kernel; a number that no kernel could keep to is refused by its own field, not by the
/// kernel's.
pub fn contract(record_bytes: u32, out_bytes: u32, fuel: Option<u32>) -> Result<Contract, AdmitError> {
    map_rules::check_record_bytes("record_bytes", record_bytes)?;
    map_rules::check_record_bytes("out_bytes", out_bytes)?;
    if fuel.is_some_and(|fuel| fuel > FUEL_MAX) {
        return Err(AdmitError::TooMuchFuel { most: FUEL_MAX });
    }
    Ok(Contract { record_bytes, out_bytes, fuel })
}

/// The kernel, its records, and its parameters where it has some.
async fn find_blobs(app: &App, order: &Order, wanted: &wire::Map) -> Result<(Blob, Blob, Option<Blob>), AdmitFailure> {
    let mut conn = app.db.read().await?;
    let mut find = async |hash: BlobHash, field: &str| -> Result<Blob, AdmitFailure> {
        Ok(require_owned(store::blobs::find_owned_blob(&mut conn, order.customer, hash).await?, field)?)
    };
    let params = match wanted.params {
        Some(hash) => Some(find(hash, "params").await?),
        None => None,
    };
    Ok((find(wanted.kernel, "kernel").await?, find(wanted.input, "input").await?, params))
}

async fn read_text(app: &App, blob: &Blob) -> Result<String, AdmitFailure> {
    let most = to(SOURCE_BYTES_MAX);
    if blob.size > most {
        return Err(AdmitError::KernelTooLong { bytes: blob.size, most }.into());
    }
    let bytes = match app.blobs.read(blob.hash).await {
        // It was owned a moment ago, and is collected by now.
        Err(object_store::Error::NotFound { .. }) => {
            return Err(AdmitError::UnknownBlob { field: "kernel".to_owned() }.into());
        }
        read => read?,
    };
    Ok(String::from_utf8(bytes.to_vec()).map_err(|_binary| AdmitError::KernelNotText)?)
}

/// The gate, in a process apart.
async fn through_gate(app: &App, source: String, contract: Contract) -> Result<AdmittedKernel, AdmitFailure> {
    let passed = app.compilers.gate(source, contract).await;
    let passed = passed.map_err(|error| AdmitFailure::of_compiler(error, "kernel"))?;
    Ok(passed.map_err(|error| refuse(&error))?)
}

fn refuse(error: &GateError) -> AdmitError {
    let place = Place { line: error.line, column: error.column };
    let gate::Reason { code, arguments } = error.reason();
    let arguments = arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let detail = Some(Detail { reason: code.to_owned(), arguments });
    AdmitError::InvalidKernel { place, reason: error.to_string(), detail }
}

fn facts(passed: &AdmittedKernel) -> KernelFacts {
    KernelFacts {
        ops: passed.kernel.ops,
        workgroup_size: passed.kernel.workgroup_size,
        groups_max: GROUPS_MAX,
        params_bytes: passed.kernel.params_bytes.map(u64::from),
        floats: passed.floats,
        answers_floats: passed.words.iter().any(|run| run.dtype.is_float()),
        answers_integers: passed.words.iter().any(|run| !run.dtype.is_float()),
    }
}

/// What the gate says of a text that nobody has ordered yet.
pub async fn report(app: &App, source: String, contract: Contract) -> Result<KernelReport, AdmitFailure> {
    let passed = through_gate(app, source, contract).await?;
    let KernelFacts { answers_floats, answers_integers, .. } = facts(&passed);
    Ok(KernelReport {
        workgroup_size: passed.kernel.workgroup_size,
        params_bytes: passed.kernel.params_bytes,
        ops: passed.kernel.ops,
        fuel: passed.fuel,
        fuel_needed: passed.fuel_needed,
        loops: passed.kernel.loop_lines,
        floats: passed.floats,
        answers_floats,
        answers_integers,
    })
}

/// A stored task's kernel, which has been through the gate before.
async fn stored_kernel(app: &App, task: &MapTask) -> anyhow::Result<AdmittedKernel> {
    let MapTask { kernel, record_bytes, out_bytes, fuel, .. } = *task;
    let source = String::from_utf8(app.blobs.read(kernel).await?.to_vec())?;
    let contract = Contract { record_bytes, out_bytes, fuel: Some(fuel) };
    Ok(app.compilers.gate(source, contract).await??)
}

/// A task's kernel as the gate emits it.
pub async fn gated_kernel(app: &App, task: &MapTask) -> anyhow::Result<GatedKernel> {
    let kernel = stored_kernel(app, task).await?.kernel;
    Ok(GatedKernel {
        wgsl: kernel.wgsl,
        workgroup_size: kernel.workgroup_size,
        params_bytes: kernel.params_bytes,
        loop_lines: kernel.loop_lines,
        ops: kernel.ops,
    })
}

/// What an output record's words are: by the task, or by its kernel where that would be long.
async fn words(app: &App, task: &MapTask, check: Check) -> anyhow::Result<Vec<WordRun>> {
    match check {
        Check::Exact => Ok(Vec::new()),
        Check::Tolerance { .. } if task.words.is_empty() => Ok(runs(&stored_kernel(app, task).await?)),
        Check::Tolerance { .. } => Ok(task.words.clone()),
    }
}

fn runs(kernel: &AdmittedKernel) -> Vec<WordRun> {
    let dtype = |run: &Column| match run.dtype {
        gpu_kernels::dtype::DType::F32 => DType::Float32,
        gpu_kernels::dtype::DType::I32 => DType::Int32,
        _ => DType::Uint32,
    };
    kernel.words.iter().map(|run| WordRun { dtype: dtype(run), words: to(run.len) }).collect()
}
