//! Every page's address.

use wire::JobId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    NewJob,
    Job(JobId),
    Lend,
    ExplorerJob(JobId),
}

impl Page {
    pub fn path(self) -> String {
        match self {
            Self::NewJob => "/jobs/new".to_owned(),
            Self::Job(id) => format!("/jobs/{id}"),
            Self::Lend => "/lend".to_owned(),
            Self::ExplorerJob(id) => format!("/explorer/jobs/{id}"),
        }
    }
}
