//! `tessera quote`.

use client::Client;
use wire::{CheckedBy, Quote, QuoteRequest};

use super::print::{amount, print_json, print_lines};
use super::submit::ProgramArguments;
use super::{infer, map};
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum QuoteCommand {
    /// Of a model over the rows of arrays.
    Infer(infer::Infer),
    /// Of a WGSL kernel over the records of a file.
    Map(map::Map),
}

impl QuoteCommand {
    pub(crate) async fn run(&self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Infer(arguments) => run(client, arguments, json).await,
            Self::Map(arguments) => run(client, arguments, json).await,
        }
    }
}

async fn run(client: &Client, arguments: &impl ProgramArguments, json: bool) -> Result<(), Failure> {
    let program = arguments.upload(client).await?;
    let quote = client.quote(&QuoteRequest { program, privacy: arguments.options().privacy }).await?;
    if json { print_json(&quote) } else { print_lines(&lines(&quote)) }
}

fn lines(quote: &Quote) -> Vec<String> {
    let checked_by = match quote.checked_by {
        CheckedBy::Edge => "the server",
        CheckedBy::Checker => "the operator's checkers",
        CheckedBy::Quorum => "other devices",
        CheckedBy::Owner => "nobody: it runs on your own devices",
    };
    let time = match quote.seconds {
        Some(seconds) => format!("{seconds} s, by the measured speeds of connected devices"),
        None => "unknown until the first tile".to_owned(),
    };
    let mut lines = vec![
        format!("rows      {} in {} tiles of {}", quote.rows, quote.tiles, quote.tile_rows),
        format!("cost      {} at most, at {} a CU", amount(quote.cost), quote.price),
        format!("work      {} operations", quote.flops),
        format!("checked   by {checked_by}"),
        format!("devices   {} connected can run it, with a buffer of {} bytes", quote.devices, quote.device_bytes),
        format!("time      {time}"),
    ];
    lines.extend(quote.outputs.iter().map(|output| format!("output    {} {}", output.name, output.dtype.name())));
    lines
}
