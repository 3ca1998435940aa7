//! Answers on standard output.

use std::io::{self, Write};

use wire::{Credits, Job};

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

/// A job with where its page is.
#[derive(serde::Serialize)]
struct WithPage<'a> {
    #[serde(flatten)]
    job: &'a Job,
    page: &'a str,
}

pub(crate) fn print_job(job: &Job, page: &str, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&WithPage { job, page });
    }
    let fault = job.fault.as_ref().map(|fault| format!("fault     {}", crate::failure::fault_text(fault)));
    let mut lines = vec![
        format!("job       {}  {}", job.id, job.name),
        format!("page      {page}"),
        format!("state     {}", job.state.name()),
    ];
    lines.extend(fault);
    lines.extend([
        format!("tiles     {} of {} verified, {} recomputed", job.verified_tiles, job.tiles, job.recomputed_tiles),
        format!("devices   {}", job.devices),
        format!("cost      {} of {} held", amount(job.cost), amount(job.hold)),
        format!("privacy   {}{}", job.privacy.name(), if job.published { ", published" } else { "" }),
    ]);
    print_lines(&lines)
}

/// In the one unit of all that people read.
pub(crate) fn amount(credits: Credits) -> String {
    format!("{credits} credits")
}
