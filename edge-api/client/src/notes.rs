//! What the command says on standard error while it works: lines for people, JSON for programs, bars for terminals.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use client::{Downloaded, Patience, Wait};
use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::Instant;
use wire::JobProgress;

use crate::command::obstacle::obstacle_text;
use crate::command::print::amount;
use crate::failure::reason;

/// Between two lines where there is no terminal for a bar.
pub(crate) const LINE_EACH: Duration = Duration::from_secs(10);

/// Where lines go past the bars.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    json: bool,
    bars: MultiProgress,
}

impl Notes {
    pub(crate) fn new(json: bool) -> Self {
        let shown = !json && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { json, bars: MultiProgress::with_draw_target(target) }
    }

    /// A line for people; for programs an object with `event` and `message`, and with `fields`.
    pub(crate) fn say(&self, event: &str, message: &str, fields: Value) {
        if !self.json {
            return self.bars.suspend(|| crate::say!("{message}"));
        }
        let mut line = json!({ "event": event, "message": message });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        crate::say!("{line}");
    }

    /// The same in the command's own name, which a line for people begins with.
    pub(crate) fn tell(&self, event: &str, message: &str, fields: Value) {
        let message = if self.json { message.to_owned() } else { format!("tessera: {message}") };
        self.say(event, &message, fields);
    }

    /// A line for people, who have nothing else on the screen to go by.
    pub(crate) fn remark(&self, message: &str) {
        if !self.json {
            self.say("note", message, Value::Null);
        }
    }

    /// Something went on in a way that was not asked for.
    pub(crate) fn warn(&self, message: &str) {
        self.tell("warning", message, Value::Null);
    }

    pub(crate) fn progress(&self, progress: &JobProgress) {
        let JobProgress { job, devices_at_work, .. } = progress;
        let devices = if *devices_at_work == 1 { "device" } else { "devices" };
        let (verified, tiles, cost) = (job.verified_tiles, job.tiles, amount(job.cost));
        let waits =
            progress.obstacle.map_or_else(String::new, |obstacle| format!("; it waits: {}", obstacle_text(&obstacle)));
        let message = format!("{verified} of {tiles} tiles, {devices_at_work} {devices} at work, {cost}{waits}");
        let fields = json!({
            "job": job.id, "verified_tiles": verified, "tiles": tiles, "devices_at_work": devices_at_work, "cost": job.cost,
            "obstacle": progress.obstacle,
        });
        self.say("progress", &message, fields);
    }

    /// A bar for a job's tiles; hidden where there is no terminal.
    pub(crate) fn tiles_bar(&self, tiles: u64) -> ProgressBar {
        self.bar(ProgressBar::new(tiles), "{bar:40.green} {pos}/{len} tiles  {elapsed_precise}  {msg}")
    }

    fn bar(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_malformed| ProgressStyle::default_bar());
        let bar = self.bars.add(bar.with_style(style));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Tells how far a download is: by a bar, or by a line now and then.
    pub(crate) fn downloading(&self) -> (ProgressBar, impl FnMut(Downloaded)) {
        let bar = self.bar(ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed_precise}");
        bar.set_message("the result is on its way");
        let (notes, mut said, shown) = (self.clone(), Instant::now(), bar.clone());
        let tell = move |Downloaded { bytes, of }: Downloaded| {
            let all = of.map_or_else(String::new, |of| format!(" of {}", DecimalBytes(of)));
            shown.set_message(format!("{}{all} of the result", DecimalBytes(bytes)));
            if shown.is_hidden() && said.elapsed() >= LINE_EACH {
                said = Instant::now();
                let message = format!("{}{all} of the result are here", DecimalBytes(bytes));
                notes.say("downloading", &message, json!({ "bytes": bytes, "of": of }));
            }
        };
        (bar, tell)
    }

    /// What is waited for is said. `meanwhile` is how things stand then.
    pub(crate) fn patience(&self, within: Duration, meanwhile: &'static str) -> Patience {
        let notes = self.clone();
        let meanwhile = if meanwhile.is_empty() { String::new() } else { format!(" ({meanwhile})") };
        let on_wait = move |wait: Wait<'_>| match wait {
            Wait::Again { error, after } => {
                let seconds = after.as_secs_f64();
                let reason = reason(error);
                let message = format!("{reason}; trying again in {seconds:.1} s{meanwhile}");
                notes.tell("waiting", &message, json!({ "seconds": seconds }));
            }
            Wait::Answer { request, sent, elapsed } => {
                let seconds = elapsed.as_secs();
                let sent_text = if sent > 0 { format!(", {} sent", DecimalBytes(sent)) } else { String::new() };
                let message =
                    format!("waiting for the server's answer to {request}, {seconds} s{sent_text}{meanwhile}");
                notes.tell("waiting", &message, json!({ "request": request, "seconds": seconds, "sent": sent }));
            }
            Wait::Pipe { path, elapsed } => {
                let (seconds, path) = (elapsed.as_secs(), path.display().to_string());
                let message = format!("waiting for the end of what is written to '{path}', {seconds} s{meanwhile}");
                notes.tell("waiting", &message, json!({ "path": path, "seconds": seconds }));
            }
        };
        Patience { within, on_wait: Arc::new(on_wait), ..Patience::default() }
    }
}
