//! What the browser wakes up: parts of pages that change without a reload.

mod calculator;
mod compute_here;
mod dialog;
mod fresh_key;
mod job_events;
mod job_table;
mod keys;
mod lend;
mod live_job;
mod live_overview;
mod new_job;
mod rerun;
mod sign_in;
mod toast;
mod unlink;

pub use calculator::{CalculatorIsland, CalculatorIslandProps};
pub use fresh_key::FirstKeyIsland;
pub use job_table::{JobTableIsland, JobTableIslandProps};
pub use keys::{KeysIsland, KeysIslandProps};
pub use lend::{LendIsland, LendIslandProps};
pub use live_job::{LiveJobIsland, LiveJobIslandProps};
pub use live_overview::{LiveOverviewIsland, LiveOverviewIslandProps};
pub use new_job::{NewJobIsland, NewJobIslandProps};
pub use rerun::{RerunIsland, RerunIslandProps};
pub use sign_in::{SignInIsland, SignOutIsland};
pub use unlink::{UnlinkIsland, UnlinkIslandProps};
