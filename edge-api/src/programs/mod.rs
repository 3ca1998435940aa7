//! What this server does for each program: it turns an order into a job, and holds a lease's output against
//! what others compute. What is decided on the way without I/O (which tiles, at which cost, whose word
//! counts) stands in `rules::program`.
//!
//! To add a program: a folder here that implements [`Program`], and its name in the table below.

pub mod failure;
pub mod infer;
pub mod map;

use rules::Job;
use rules::admission::Order;
use rules::verification::Mismatch;

use self::failure::AdmitFailure;
use self::infer::Infer;
use self::map::Map;
use crate::app::App;
use crate::fleet::lease_output::LeaseOutput;

pub(crate) trait Program {
    /// What a customer asks for.
    type Order;
    /// What a device does with a lease's rows.
    type Task;

    /// Reads the code and the inputs that an order names, and cuts and prices the job.
    async fn admit(app: &App, order: &Order, wanted: &Self::Order) -> Result<Job, AdmitFailure>;

    /// Holds the drawn tiles of a lease's output against what others compute. `tiles` count from the
    /// lease's first.
    async fn check(
        app: &App,
        output: &LeaseOutput,
        task: &Self::Task,
        tiles: &[u32],
    ) -> anyhow::Result<Result<(), Mismatch>>;

    /// How a result of so many arrays is downloaded where nobody says how.
    fn result_format(arrays: usize) -> &'static str;
}

/// The table: each program by its name on the wire.
macro_rules! programs {
    ($($name:ident),*) => {
        pub async fn admit(app: &App, order: &Order) -> Result<Job, AdmitFailure> {
            match &order.program {
                $(wire::Program::$name(wanted) => $name::admit(app, order, wanted).await,)*
            }
        }

        pub async fn check(app: &App, output: &LeaseOutput, tiles: &[u32]) -> anyhow::Result<Result<(), Mismatch>> {
            match &output.job.task {
                $(wire::Task::$name(task) => $name::check(app, output, task, tiles).await,)*
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
