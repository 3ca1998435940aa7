//! `make sim`: the real rules in virtual time, and whether cheating pays.

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

mod books;
mod case;
mod cheat;
mod check;
mod link;
mod report;
mod run;
mod settings;
mod tally;
mod work;
mod world;

use std::process::ExitCode;

use clap::Parser;

use self::cheat::Kind;
use self::report::{Promise, earned_by_kind, show, steady};
use self::settings::Settings;
use self::world::World;

#[derive(Parser)]
struct Arguments {
    /// Everything random derives from it.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Runs this network alone, by the beginning of its name.
    #[arg(long)]
    only: Option<String>,
}

fn cheats(share: f64) -> Vec<(Kind, f64)> {
    Kind::CHEATS.iter().map(|kind| (*kind, share)).collect()
}

fn networks(seed: u64) -> Vec<Settings> {
    let base = Settings {
        name: "operator",
        seed,
        gpus: 10_000,
        cheats: cheats(0.005),
        seconds: 3600,
        has_checkers: true,
        established: 0.9,
        checker_errs: 0.0,
        has_ruinous_customer: false,
    };
    let small = Settings { gpus: 300, seconds: 3600, ..base.clone() };
    vec![
        base,
        Settings { name: "many cheats", cheats: cheats(0.02), ..small.clone() },
        Settings { name: "bad checker", checker_errs: 0.001, ..small.clone() },
        Settings { name: "ruinous customer", has_ruinous_customer: true, ..small.clone() },
        Settings { name: "no checkers", has_checkers: false, ..small },
    ]
}

/// How large a group that vouches for itself has to be for its lies to pay, where devices check each other.
fn collusion(seed: u64) -> Vec<Promise> {
    println!("\ncollusion: devices with standing check each other, and a group vouches for its lies");
    let mut threshold = None;
    for percent in [1, 5, 10, 20, 30, 40, 50] {
        let share = f64::from(percent) / 100.0;
        let settings = Settings {
            name: "collusion",
            seed,
            gpus: 400,
            cheats: vec![(Kind::Colluding, share)],
            seconds: 2 * 3600,
            has_checkers: false,
            established: 1.0,
            checker_errs: 0.0,
            has_ruinous_customer: false,
        };
        let mut world = World::new(settings);
        world.run();
        let earned = earned_by_kind(&world).get(&Kind::Colluding).copied().unwrap_or(0.0);
        let harmed = world.tally.honest_harmed;
        println!(
            "  {percent:>3} % of all standing: {earned:.3} of an honest device; {harmed} honest devices suspended"
        );
        if earned >= 1.0 {
            threshold.get_or_insert(percent);
        }
    }
    let text = match threshold {
        Some(percent) => format!("collusion: pays from {percent} % of all standing"),
        None => "collusion: pays at no share that was tried".to_owned(),
    };
    let is_kept = threshold.is_none_or(|percent| percent >= 20);
    vec![Promise { text, is_kept }]
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    let mut promises = Vec::new();
    for settings in networks(arguments.seed) {
        if !is_wanted(settings.name) {
            continue;
        }
        let mut world = World::new(settings.clone());
        world.run();
        promises.extend(show(&world, &settings));
        if settings.name == "operator" {
            promises.extend(steady(&world));
        }
    }
    if is_wanted("collusion") {
        promises.extend(collusion(arguments.seed));
    }
    println!();
    for promise in &promises {
        println!("{} {}", if promise.is_kept { "passed" } else { "FAILED" }, promise.text);
    }
    let failed = promises.iter().filter(|promise| !promise.is_kept).count();
    if failed > 0 {
        println!("played again by --seed {}", arguments.seed);
    }
    println!("{} passed, {failed} failed", promises.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
