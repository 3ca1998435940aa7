//! `make chaos`: faults of every kind, at random moments, to a network at work.

#![expect(clippy::print_stdout, reason = "a command speaks to whoever started it")]

use clap::Parser;

/// Does one fault after another to a network at work, and holds it to its promises.
#[derive(clap::Parser)]
struct Arguments {
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// What befalls it, and when, derives from it. Left out, another each time.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { rounds, seed } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let tally = e2e::chaos::run(seed, rounds).await?;
    println!("{tally}");
    println!("{} passed, 0 failed", tally.rounds);
    Ok(())
}
