//! Which networks are simulated, and what is promised of each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cheat::Kind;
use crate::report::{Promise, describe, earned_by_kind, promise, promises, steady};
use crate::settings::Settings;
use crate::world::World;

/// Of all standing, the group's share.
const GROUPS: [f64; 7] = [0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5];
/// A group with less of all standing has to lose.
const LEAST_COLLUSION: f64 = 0.2;
const COLLUSION: &str = "collusion";
/// Networks run beside each other.
const THREADS: usize = 2;

/// What came of a network.
pub(crate) struct Report {
    pub text: String,
    pub promises: Vec<Promise>,
    /// A colluding group's share of all standing, and what it earned of what honest devices did.
    collusion: Option<(f64, f64)>,
}

fn cheats(share: f64) -> Vec<(Kind, f64)> {
    Kind::CHEATS.iter().map(|kind| (*kind, share)).collect()
}

/// The largest first.
pub(crate) fn networks(seed: u64) -> Vec<Settings> {
    let base = Settings {
        name: "operator",
        seed,
        gpus: 10_000,
        cheats: cheats(0.005),
        jobs_at_once: 128,
        job_tiles: 30..104,
        seconds: 2400,
        warm_up: 900,
        has_checkers: true,
        established: 0.9,
        checker_errs: 0.0,
        has_ruinous_customer: false,
    };
    let small = Settings { gpus: 300, seconds: 3600, ..base.clone() };
    let colluding = |share| Settings {
        name: COLLUSION,
        gpus: 400,
        cheats: vec![(Kind::Colluding, share)],
        seconds: 2400,
        has_checkers: false,
        established: 1.0,
        ..base.clone()
    };
    let mut networks = vec![
        base.clone(),
        Settings { name: "many cheats", cheats: cheats(0.02), ..small.clone() },
        Settings { name: "bad checker", checker_errs: 0.001, ..small.clone() },
        Settings { name: "ruinous customer", has_ruinous_customer: true, ..small.clone() },
        Settings { name: "no checkers", has_checkers: false, ..small.clone() },
        Settings { name: "one job", cheats: Vec::new(), jobs_at_once: 1, job_tiles: 3000..3400, ..small },
    ];
    networks.extend(GROUPS.map(colluding));
    networks
}

/// Runs them beside each other; their reports come in order.
pub(crate) fn simulate(networks: &[Settings]) -> Vec<Report> {
    let (next, reports) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(networks.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(settings) = networks.get(number) else { return };
                    let report = simulate_one(settings.clone());
                    reports.lock().unwrap_or_else(PoisonError::into_inner).push((number, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(number, _)| *number);
    reports.into_iter().map(|(_, report)| report).collect()
}

fn simulate_one(settings: Settings) -> Report {
    let name = settings.name;
    let mut world = World::new(settings);
    let violation = world.run().err();
    let text = describe(&world);
    let invariants = match &violation {
        None => format!("{name}: every invariant holds"),
        Some(violation) => format!("{name}: an invariant is broken: {violation}"),
    };
    let mut promised = vec![promise(violation.is_none(), invariants)];
    if name == COLLUSION {
        let earned = earned_by_kind(&world).get(&Kind::Colluding).copied().unwrap_or(0.0);
        let share = world.settings.cheats.iter().map(|(_, share)| share).sum();
        return Report { text, promises: promised, collusion: Some((share, earned)) };
    }
    promised.extend(promises(&world));
    match name {
        "operator" => promised.extend(steady(&world)),
        "ruinous customer" => {
            let ended = world.tally.nondeterministic;
            promised.push(promise(ended > 0, format!("{name}: its jobs end as not deterministic ({ended})")));
        }
        _ => {}
    }
    Report { text, promises: promised, collusion: None }
}

/// How large a group that vouches for itself has to be for its lies to pay, where devices check each other.
pub(crate) fn collusion_threshold(reports: &[Report]) -> Option<Promise> {
    let tried: Vec<(f64, f64)> = reports.iter().filter_map(|report| report.collusion).collect();
    let largest = tried.last()?.0;
    let threshold = tried.iter().find(|(_, earned)| *earned >= 1.0).map(|(share, _)| *share);
    let text = match threshold {
        Some(share) => {
            let below = tried.iter().map(|(below, _)| *below).filter(|below| below < &share).fold(0.0, f64::max);
            format!("collusion: pays with {:.0} % of all standing, not with {:.0} %", 100.0 * share, 100.0 * below)
        }
        None => format!("collusion: does not pay up to {:.0} % of all standing", 100.0 * largest),
    };
    Some(promise(threshold.is_none_or(|share| share >= LEAST_COLLUSION), text))
}
