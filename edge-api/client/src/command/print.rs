//! Answers on standard output.

use wire::Job;

pub(crate) fn print_job(job: &Job, json: bool) {
    if json {
        return print_json(job);
    }
    println!("job       {}  {}", job.id, job.name);
    println!("state     {}", job.state.name());
    println!("tiles     {} of {} verified, {} recomputed", job.verified_tiles, job.tiles, job.recomputed_tiles);
    println!("devices   {}", job.devices);
    println!("cost      {} of {} credits held", job.cost, job.hold);
    println!("privacy   {}{}", job.privacy.name(), if job.published { ", published" } else { "" });
}

pub(crate) fn print_json(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string(value).expect("an answer should serialise"));
}
