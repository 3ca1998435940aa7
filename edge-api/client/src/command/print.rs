//! Answers on standard output.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use client::Client;
use wire::{Credits, Job, Micros};

use crate::failure::Failure;

/// Writes text, and fails quietly where nobody reads any more.
pub(crate) fn print_text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::of_output)
}

pub(crate) fn print_lines(lines: &[String]) -> Result<(), Failure> {
    print_text(&lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>())
}

pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).expect("an answer should serialise");
    print_lines(&[text])
}

/// A job with where its pages are, and where its result is.
#[derive(serde::Serialize)]
pub(crate) struct JobAnswer<'a> {
    #[serde(flatten)]
    job: &'a Job,
    page: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_page: Option<String>,
    /// The file that its result was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl<'a> JobAnswer<'a> {
    pub(crate) fn new(client: &Client, job: &'a Job) -> Self {
        let public_page = job.published.then(|| client.public_page(job.id));
        Self { job, page: client.page(job.id), public_page, path: None, bytes: None }
    }

    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        if json { print_json(self) } else { print_lines(&self.lines()) }
    }

    fn lines(&self) -> Vec<String> {
        let Self { job, page, public_page, .. } = self;
        let fault = job.fault.as_ref().map(|fault| format!("fault     {}", crate::failure::fault_text(fault)));
        let mut lines = vec![format!("job       {}  {}", job.id, job.name), format!("page      {page}")];
        lines.extend(public_page.as_ref().map(|page| format!("public    {page}")));
        lines.push(format!("state     {}", job.state.name()));
        lines.extend(fault);
        lines.extend(job.deadline.map(|deadline| format!("deadline  {}", date(deadline))));
        lines.extend([
            format!("tiles     {} of {} verified, {} recomputed", job.verified_tiles, job.tiles, job.recomputed_tiles),
            format!("devices   {}", job.devices),
            format!("cost      {} of {} held", amount(job.cost), amount(job.hold)),
            format!("privacy   {}{}", job.privacy.name(), if job.published { ", published" } else { "" }),
        ]);
        lines
    }
}

pub(crate) fn print_job(client: &Client, job: &Job, json: bool) -> Result<(), Failure> {
    JobAnswer::new(client, job).print(json)
}

/// As HTTP writes dates, in UTC.
fn date(at: Micros) -> String {
    let since = Duration::from_micros(at.try_into().unwrap_or_default());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}

/// In the one unit of all that people read.
pub(crate) fn amount(credits: Credits) -> String {
    format!("{credits} credits")
}
