mod explorer_job;
mod job;
mod lend;
mod new_job;
mod not_found;

pub use explorer_job::ExplorerJob;
pub use job::JobPage;
pub use lend::LendPage;
pub use new_job::NewJob;
pub use not_found::NotFound;
