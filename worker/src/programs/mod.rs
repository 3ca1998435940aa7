//! The programs that a device runs: rows in, rows out.
//!
//! A program is a folder here that implements [`Program`], and a line in the table at the end of this
//! file; nothing else in this crate asks which program a task is. To add one:
//!
//! 1. It has its file in `wire::program`, with a variant of [`Task`] that holds what a device does.
//! 2. Make a folder with a type for it. [`Program::missing`] says what of a task has to be fetched,
//!    [`Program::fetch`] fetches it while other leases may hold the device, [`Program::prepare`] compiles
//!    it and keeps it in a [`cache::PreparedCache`], and [`Program::run`] computes rows.
//! 3. Errors that only it can have become a [`RunFailure`] by [`RunFailure::program`]; a GPU's own stay
//!    [`RunFailure::Gpu`], which is how a lost device is known.
//! 4. Add a line to the table: a field, the variant of [`Task`], the type.

mod cache;
mod infer;
mod map;
pub(crate) mod program;

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::challenge::Prover;
use gpu_kernels::device::{Device, DeviceInfo};
use wire::{Check, Task};

#[cfg(test)]
pub(crate) use self::map::Code;
use self::program::{OutputFormat, Program, Work};
use crate::failure::RunFailure;
use crate::transfer::{BlobPaths, Transfer};

/// Writes down, for each program of the table, what is done with its variant of [`Task`].
macro_rules! programs {
    ($($field:ident: $variant:ident => $program:ty,)+) => {
        /// A device with the programs that are prepared on it.
        pub(crate) struct Executor {
            pub device: Device,
            /// It computes nothing before it is opened anew.
            pub is_broken: bool,
            /// Made when it is first challenged.
            pub prover: Option<Prover>,
            $($field: $program,)+
        }

        /// What has to be fetched before a task's rows can run.
        pub(crate) enum MissingAssets {
            $($variant(<$program as Program>::Missing),)+
        }

        /// And what was fetched.
        pub(crate) enum FetchedAssets {
            $($variant(<$program as Program>::Fetched),)+
        }

        impl Executor {
            pub(crate) fn new(device: Device) -> Self {
                Self { device, is_broken: false, prover: None, $($field: <$program>::default(),)+ }
            }

            /// Takes it out, so that it is at hand while a program holds the device.
            pub(crate) fn take_prover(&mut self) -> Prover {
                self.prover.take().unwrap_or_else(|| Prover::new(&self.device))
            }

            pub(crate) fn missing(&self, work: &Work) -> Option<MissingAssets> {
                match &work.task {
                    $(Task::$variant(task) => {
                        self.$field.missing(&self.device, task, &work.input).map(MissingAssets::$variant)
                    })+
                }
            }

            /// Compiles what was fetched, and keeps it.
            pub(crate) async fn prepare(&mut self, work: &Work, fetched: FetchedAssets) -> Result<(), RunFailure> {
                match (&work.task, fetched) {
                    $((Task::$variant(task), FetchedAssets::$variant(fetched)) => {
                        self.$field.prepare(&mut self.device, task, &work.input, fetched).await
                    })+
                    // It was fetched for another task, and what is missing shows when this one runs.
                    _ => Ok(()),
                }
            }

            /// Computes rows. `rest` is awaited after each submission.
            pub(crate) async fn run(
                &mut self,
                work: &Work,
                rest: impl AsyncFn(Duration) -> ControlFlow<()>,
            ) -> Result<Vec<u8>, RunFailure> {
                match &work.task {
                    $(Task::$variant(task) => {
                        self.$field.run(&mut self.device, task, &work.input, rest).await
                    })+
                }
            }
        }

        impl MissingAssets {
            pub(crate) async fn fetch(
                self,
                http: &impl Transfer,
                paths: &BlobPaths,
            ) -> Result<FetchedAssets, RunFailure> {
                match self {
                    $(Self::$variant(missing) => {
                        <$program>::fetch(http, paths, missing).await.map(FetchedAssets::$variant)
                    })+
                }
            }
        }

        /// The device broke down over a task.
        pub(crate) fn broken(task: &Task, reason: String) -> RunFailure {
            match task {
                $(Task::$variant(_) => <$program>::broken(reason),)+
            }
        }

        /// What computes a task on such a device, as receipts name it.
        pub(crate) fn backend(task: &Task, info: &DeviceInfo) -> &'static str {
            match task {
                $(Task::$variant(_) => <$program>::backend(info),)+
            }
        }

        /// How a task's output is read and compared.
        pub(crate) fn output_format(task: &Task, check: Check) -> OutputFormat {
            match task {
                $(Task::$variant(task) => <$program>::output_format(task, check),)+
            }
        }
    };
}

programs! {
    infer: Infer => infer::Infer,
    map: Map => map::Map,
}
