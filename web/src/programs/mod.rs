//! What the portal knows of each program: the form that orders a job of it, and how a done job's result is
//! shown. Nothing else in this crate matches on a program.
//!
//! Adding one takes a file here that implements [`Program`] and [`ProgramForm`], its words in a file of
//! `text/`, and its line in the table below.

pub mod draft;
mod file_field;
pub mod file_slot;
mod infer_form;
mod input_reading;
mod made_inputs;
mod map_form;
pub mod order_file;
mod program;
pub mod repeat;
mod result_link;
mod typed;

pub use self::program::{Program, ProgramForm};

/// A program of the contract without a line here does not compile.
macro_rules! programs {
    ($($contract:ident => $program:path;)*) => {
        /// In the order that the form offers them.
        pub static PROGRAMS: &[&dyn Program] = &[$(&$program),*];

        pub fn program_of(program: &wire::Program) -> &'static dyn Program {
            match program {
                $(wire::Program::$contract { .. } => &$program,)*
            }
        }
    };
}

programs! {
    Infer => infer_form::Infer;
    Map => map_form::Map;
}
