//! What the browser wakes up: parts of pages that change without a reload.

mod account;
mod calculator;
mod dialog;
mod here;
mod job_table;
mod lend;
mod live_job;
mod live_overview;
mod new_job;
mod rerun;
mod schedule;
mod tab;
mod toast;
mod watch;
mod worker;

pub use account::{KeysIsland, KeysIslandProps, SignInIsland, SignOutIsland};
pub use calculator::{CalculatorIsland, CalculatorIslandProps};
pub use job_table::{JobTableIsland, JobTableIslandProps};
pub use lend::{LendIsland, LendIslandProps};
pub use live_job::{LiveJobIsland, LiveJobIslandProps};
pub use live_overview::{LiveOverviewIsland, LiveOverviewIslandProps};
pub use new_job::{NewJobIsland, NewJobIslandProps};
pub use rerun::{RerunIsland, RerunIslandProps};
