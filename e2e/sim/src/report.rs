//! What a run comes to, and whether that is what is promised.

use std::collections::BTreeMap;

use wire::Micros;

use crate::cheat::Kind;
use crate::settings::Settings;
use crate::world::World;

/// The platform's part, which who buys its own work pays for nothing.
const FEE: f64 = 0.1;

/// A promise, and whether it was kept.
pub(crate) struct Promise {
    pub text: String,
    pub is_kept: bool,
}

fn promise(is_kept: bool, text: String) -> Promise {
    Promise { text, is_kept }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a duration")]
fn secs(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// What a key earned of others, as a share of all that its GPU could have computed while it was online.
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn earned(world: &World, index: usize) -> (f64, f64) {
    let gpu = &world.gpus[index];
    let own = gpu.record.own_kflop as f64;
    let from_others = gpu.record.matured_kflop as f64 - own * (1.0 + FEE);
    (from_others * 1000.0, secs(gpu.online) * gpu.speed)
}

/// By kind: what it earned of what an honest device with the same GPU and the same hours earned.
pub(crate) fn earned_by_kind(world: &World) -> BTreeMap<Kind, f64> {
    let mut sums: BTreeMap<Kind, (f64, f64)> = BTreeMap::new();
    for index in 0..world.gpus.len() {
        let (earned, capable) = earned(world, index);
        let sum = sums.entry(world.gpus[index].kind).or_default();
        *sum = (sum.0 + earned, sum.1 + capable);
    }
    let share = |(earned, capable): (f64, f64)| earned / capable.max(1.0);
    let honest = share(sums.get(&Kind::Honest).copied().unwrap_or_default());
    sums.into_iter().map(|(kind, sum)| (kind, share(sum) / honest)).collect()
}

struct Figures {
    wrong_paid: f64,
    overhead: f64,
    utilisation: f64,
    fairness: f64,
}

fn figures(world: &World) -> Figures {
    let honest = || (0..world.gpus.len()).filter(|index| world.gpus[*index].kind == Kind::Honest);
    let (mut busy, mut online) = (0.0, 0.0);
    for index in honest() {
        busy += secs(world.gpus[index].busy);
        online += secs(world.gpus[index].online);
    }
    // Jain, Chiu, Hawe 1984: 1 where all earn the same for the same.
    let shares: Vec<f64> = honest()
        .filter(|index| world.gpus[*index].was_established && secs(world.gpus[*index].online) > 1800.0)
        .map(|index| earned(world, index))
        .map(|(earned, capable)| earned / capable)
        .collect();
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    let count = f64::from(u32::try_from(shares.len()).unwrap_or(u32::MAX));
    let tally = &world.tally;
    Figures {
        wrong_paid: tally.paid_wrong / f64::from(u32::try_from(tally.paid_tiles).unwrap_or(u32::MAX)).max(1.0),
        overhead: ratio(tally.recomputed_flops, tally.settled_flops),
        utilisation: busy / online.max(1.0),
        fairness: sum * sum / (count * squares).max(1e-12),
    }
}

/// Prints a run's settings and figures; returns what was promised of it.
pub(crate) fn show(world: &World, settings: &Settings) -> Vec<Promise> {
    let found = figures(world);
    let tally = &world.tally;
    println!("\n{} (seed {})", settings.name, settings.seed);
    let by = if settings.has_checkers { "the operator's checkers" } else { "devices with standing" };
    println!(
        "  {} GPUs for {} h, {:.0} % of them new, checked by {by}, {:.2} % of a checker's answers wrong{}",
        settings.gpus,
        settings.seconds / 3600,
        100.0 * (1.0 - settings.established),
        100.0 * settings.checker_errs,
        if settings.has_ruinous_customer { ", one customer's program answers by chance" } else { "" },
    );
    println!(
        "  paid {} tiles, {:.4} % of them wrong; recomputed {:.2} %; GPUs at work {:.1} % of their time; fairness {:.3}",
        tally.paid_tiles,
        100.0 * found.wrong_paid,
        100.0 * found.overhead,
        100.0 * found.utilisation,
        found.fairness,
    );
    println!(
        "  {} disputes: {} leases rejected, {} times the checker was wrong, {} tiles not reproducible; {} honest devices suspended; {} jobs done, {:.0} min each",
        tally.disputes,
        tally.rejected,
        tally.checkers_wrong,
        tally.not_reproducible,
        tally.honest_harmed,
        tally.jobs,
        secs(tally.job_time) / 60.0 / f64::from(u32::try_from(tally.jobs).unwrap_or(1)).max(1.0),
    );
    let by_kind = earned_by_kind(world);
    for (kind, share) in &by_kind {
        println!("  {:>22}  {:>6.3} of an honest device", kind.name(), share);
    }
    let mut promises = Vec::new();
    let name = settings.name;
    for kind in Kind::CHEATS {
        if let Some(share) = by_kind.get(&kind) {
            // Many keys and low ids are no lie: they earn no more.
            let most = if matches!(kind, Kind::ManyKeys | Kind::GrindingIds) { 1.05 } else { 1.0 };
            promises.push(promise(*share < most, format!("{name}: {} does not pay ({share:.3})", kind.name())));
        }
    }
    let harmed = tally.honest_harmed;
    promises.push(promise(harmed == 0, format!("{name}: no honest device is harmed ({harmed})")));
    promises
}

/// What holds of the large network besides.
pub(crate) fn steady(world: &World) -> Vec<Promise> {
    let found = figures(world);
    vec![
        promise(found.wrong_paid < 0.001, format!("steady: wrong tiles paid {:.4} %", 100.0 * found.wrong_paid)),
        promise(found.overhead <= 0.05, format!("steady: verification costs {:.2} %", 100.0 * found.overhead)),
        promise(found.utilisation >= 0.95, format!("steady: GPUs are at work {:.1} %", 100.0 * found.utilisation)),
        promise(found.fairness >= 0.9, format!("steady: fairness {:.3}", found.fairness)),
    ]
}
