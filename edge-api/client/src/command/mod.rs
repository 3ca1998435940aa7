//! The command's subcommands, a file each.
//!
//! A program is a file here, whose arguments implement [`submit::ProgramArguments`], and a line in the
//! table at the end of this file.

pub(crate) mod account;
pub(crate) mod device;
mod follow;
mod infer;
mod input_kind;
mod inputs;
pub(crate) mod job;
pub(crate) mod key;
mod map;
pub(crate) mod model;
pub(crate) mod obstacle;
pub(crate) mod output;
mod overwriting;
mod pack;
pub(crate) mod print;
pub(crate) mod quote;
mod submit;
mod written;

use crate::context::Context;
use crate::failure::Failure;

macro_rules! programs {
    ($($(#[$help:meta])* $name:ident($arguments:ty),)+) => {
        /// A subcommand for each program: it submits a job and waits for the result.
        #[derive(clap::Subcommand)]
        pub(crate) enum ProgramCommand {
            $($(#[$help])* $name($arguments),)+
        }

        impl ProgramCommand {
            pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
                match self {
                    $(Self::$name(arguments) => submit::run(context, arguments).await,)+
                }
            }
        }
    };
}

programs! {
    /// Run a model over the rows of arrays and wait for the result.
    Infer(infer::Infer),
    /// Run a WGSL kernel of your own over the records of a file and wait for the result.
    Map(map::Map),
}
