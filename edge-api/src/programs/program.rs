//! What a program does on this server.

use rules::Job;
use rules::admission::Order;
use rules::verification::Mismatch;

use super::failure::AdmitFailure;
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
