//! What this server does for each program: it turns an order into a job, and holds a lease's output against
//! what others compute. What is decided on the way without I/O (which tiles, at which cost, whose word
//! counts) stands in `rules::program`.
//!
//! To add a program: a folder here that implements [`program::Program`], and its name in the table below.

pub mod failure;
pub mod infer;
pub mod map;
mod program;

use std::sync::Arc;

use rules::Job;
use rules::admission::Order;

use self::failure::AdmitFailure;
use self::infer::Infer;
use self::map::Map;
use self::program::Program;
pub use self::program::{Checked, Disagreement};
use crate::app::App;
use crate::fleet::lease_output::LeaseOutput;

/// The table: each program by its name on the wire.
macro_rules! programs {
    ($($name:ident),*) => {
        pub async fn admit(app: &App, order: &Order) -> Result<Job, AdmitFailure> {
            match &order.program {
                $(wire::Program::$name(wanted) => $name::admit(app, order, wanted).await,)*
            }
        }

        pub async fn check(app: &App, output: &LeaseOutput, tiles: &[u32]) -> anyhow::Result<Checked> {
            match &output.job.task {
                $(wire::Task::$name(task) => $name::check(app, output, task, tiles).await,)*
            }
        }

        pub async fn try_tile(app: &App, job: &Arc<Job>, tile: u64) -> anyhow::Result<Option<String>> {
            match &job.task {
                $(wire::Task::$name(task) => $name::try_tile(app, job, task, tile).await,)*
            }
        }

        pub async fn agree(app: &App, job: &Arc<Job>, tile: u64, outputs: (&[u8], &[u8])) -> anyhow::Result<bool> {
            match &job.task {
                $(wire::Task::$name(task) => $name::agree(app, job, task, tile, outputs).await,)*
            }
        }

        pub fn rule(job: &Job) -> wire::CheckRule {
            match &job.task {
                $(wire::Task::$name(_) => $name::rule(job),)*
            }
        }

        pub fn flops_are_known(task: &wire::Task) -> bool {
            match task {
                $(wire::Task::$name(task) => $name::flops_are_known(task),)*
            }
        }

        pub fn tile_note_bytes(program: &wire::Program) -> u64 {
            match program {
                $(wire::Program::$name(_) => $name::tile_note_bytes(),)*
            }
        }

        pub fn result_format(program: &wire::Program, arrays: usize) -> &'static str {
            match program {
                $(wire::Program::$name(_) => $name::result_format(arrays),)*
            }
        }
    };
}

programs!(Infer, Map);
