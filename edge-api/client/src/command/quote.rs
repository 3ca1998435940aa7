//! `tessera quote`.

use wire::{CheckedBy, Quote, QuoteRequest};

use super::obstacle::obstacle_text;
use super::print::{amount, print_json, print_lines};
use super::submit::{OF_SUBMISSION, ProgramArguments};
use super::{infer, map};
use crate::context::Context;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum QuoteCommand {
    /// Of a model over the rows of arrays.
    #[command(mut_args(hide_submission))]
    Infer(infer::Infer),
    /// Of a WGSL kernel over the records of a file.
    #[command(mut_args(hide_submission))]
    Map(map::Map),
}

fn hide_submission(argument: clap::Arg) -> clap::Arg {
    let is_hidden = OF_SUBMISSION.iter().any(|id| argument.get_id() == id);
    if is_hidden { argument.hide(true) } else { argument }
}

impl QuoteCommand {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Infer(arguments) => run(context, arguments).await,
            Self::Map(arguments) => run(context, arguments).await,
        }
    }
}

async fn run(context: &Context, arguments: &impl ProgramArguments) -> Result<(), Failure> {
    let of_submission = arguments.output().map(|_| "--output").or(arguments.options().of_submission());
    if let Some(option) = of_submission {
        return Err(Failure::Usage { message: format!("a quote submits nothing: leave out {option}") });
    }
    arguments.check_files()?;
    let client = context.ordering();
    let program = arguments.upload(&client, &context.notes).await?.program;
    let quote = client.quote(&QuoteRequest { program, privacy: arguments.options().privacy }).await?;
    if context.json { print_json(&quote) } else { print_lines(&lines(&quote)) }
}

fn lines(quote: &Quote) -> Vec<String> {
    let checked_by = match quote.checked_by {
        CheckedBy::Edge => "the server",
        CheckedBy::Checker => "the operator's checkers",
        CheckedBy::Quorum => "other devices",
        CheckedBy::Owner => "nobody: it runs on your own devices",
    };
    let time = match quote.seconds {
        Some(0) => "less than a second, by the measured speeds of connected devices".to_owned(),
        Some(seconds) => format!("{seconds} s, by the measured speeds of connected devices"),
        None => "unknown until the first tile".to_owned(),
    };
    let mut lines = vec![
        format!("rows      {} in {} tiles of {}", quote.rows, quote.tiles, quote.tile_rows),
        format!("cost      {} at most, at {} credits a CU", amount(quote.cost), quote.price),
        format!("work      {} operations", quote.flops),
        format!("checked   by {checked_by}"),
        format!("devices   {} connected can run it, with a buffer of {} bytes", quote.devices, quote.device_bytes),
        format!("time      {time}"),
    ];
    lines.extend(quote.obstacle.iter().map(|obstacle| format!("waits     {}", obstacle_text(obstacle))));
    lines.extend(quote.outputs.iter().map(|output| format!("output    {} {}", output.name, output.dtype.name())));
    lines
}
