//! What a run comes to, and whether that is what is promised.

use std::collections::BTreeMap;
use std::fmt::Write;

use wire::Micros;

use crate::cheat::Kind;
use crate::settings::Settings;
use crate::tally::Recomputed;
use crate::world::World;

/// Who earns less than this of an honest device has lost money: the electricity alone takes more of that.
const PAYS_NOTHING: f64 = 0.1;

/// The platform's part, which who buys its own work pays for nothing.
const FEE: f64 = 0.1;

/// A promise, and whether it was kept.
pub(crate) struct Promise {
    pub text: String,
    pub is_kept: bool,
}

pub(crate) fn promise(is_kept: bool, text: String) -> Promise {
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
    let from_others = gpu.record.matured_kflop as f64 + gpu.record.judged_kflop as f64 - own * (1.0 + FEE);
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

/// What a network comes to once it has warmed up, and what was paid at all.
pub(crate) struct Figures {
    /// Of all tiles that were paid, the wrong ones.
    pub wrong_paid: f64,
    /// Of settled work, what was computed again: all, and by why.
    pub overhead: f64,
    overhead_parts: [(&'static str, f64); 4],
    /// Of the time that honest GPUs were online, what they computed for.
    pub utilisation: f64,
    pub fairness: f64,
    /// The time of a job over what its work takes all GPUs together.
    pub over_ideal: f64,
}

pub(crate) fn figures(world: &World) -> Figures {
    // Jain, Chiu, Hawe 1984: 1 where all earn the same for the same.
    let shares: Vec<f64> = (0..world.gpus.len())
        .filter(|index| world.gpus[*index].kind == Kind::Honest && world.gpus[*index].was_established)
        .filter(|index| secs(world.gpus[*index].online) > 1800.0)
        .map(|index| earned(world, index))
        .map(|(earned, capable)| earned / capable)
        .collect();
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    let (tally, warm) = (&world.tally, &world.tally_warm);
    let settled = tally.settled_kflop.saturating_sub(warm.settled_kflop);
    let part = |of: fn(&Recomputed) -> u64| ratio(of(&tally.recomputed_kflop) - of(&warm.recomputed_kflop), settled);
    Figures {
        wrong_paid: tally.paid_wrong / f64::from(u32::try_from(tally.paid_tiles).unwrap_or(u32::MAX)).max(1.0),
        overhead: part(|recomputed| recomputed.sum()),
        overhead_parts: [
            ("newcomers", part(|recomputed| recomputed.newcomers)),
            ("commits", part(|recomputed| recomputed.commits)),
            ("final draws", part(|recomputed| recomputed.finals)),
            ("disputes", part(|recomputed| recomputed.disputes)),
        ],
        utilisation: secs(tally.busy - warm.busy) / secs(tally.online - warm.online).max(1.0),
        fairness: sum * sum / (count(&shares) * squares).max(1e-12),
        over_ideal: secs(tally.job_time) / tally.job_time_ideal.max(1e-9),
    }
}

/// The time of a job, of which so many run at once, over what all GPUs together need for the work of all of those.
fn over_ideal(world: &World, found: &Figures) -> f64 {
    found.over_ideal / f64::from(u32::try_from(world.settings.jobs_at_once).unwrap_or(u32::MAX))
}

/// A run's settings and figures.
pub(crate) fn describe(world: &World) -> String {
    let (found, tally, settings) = (figures(world), &world.tally, &world.settings);
    let mut text = String::new();
    describe_settings(&mut text, settings);
    let parts: Vec<String> =
        found.overhead_parts.iter().map(|(name, share)| format!("{name} {:.2}", 100.0 * share)).collect();
    let jobs = f64::from(u32::try_from(tally.jobs).unwrap_or(u32::MAX));
    _ = writeln!(
        text,
        "  paid {} tiles, {:.4} % of them wrong; recomputed {:.2} % ({}); GPUs at work {:.1} % of their time; fairness {:.3}",
        tally.paid_tiles,
        100.0 * found.wrong_paid,
        100.0 * found.overhead,
        parts.join(", "),
        100.0 * found.utilisation,
        found.fairness,
    );
    _ = writeln!(
        text,
        "  {} disputes: {} leases rejected, {} times the checker was wrong, {} tiles not reproducible; {} honest devices suspended",
        tally.disputes, tally.rejected, tally.checkers_wrong, tally.not_reproducible, tally.honest_harmed,
    );
    _ = writeln!(
        text,
        "  {} events, {} leases; {} jobs done, {:.1} min each with {} at once, {:.2} of what all GPUs together need for their work; {} ended as not deterministic, {} by false faults",
        tally.events,
        tally.leases,
        tally.jobs,
        secs(tally.job_time) / 60.0 / jobs.max(1.0),
        settings.jobs_at_once,
        over_ideal(world, &found),
        tally.nondeterministic,
        tally.ended_by_false_faults,
    );
    for (kind, share) in earned_by_kind(world) {
        _ = writeln!(text, "  {:>22}  {share:>6.3} of an honest device", kind.name());
    }
    text
}

fn describe_settings(text: &mut String, settings: &Settings) {
    let by = if settings.has_checkers { "the operator's checkers" } else { "devices with standing" };
    _ = writeln!(
        text,
        "\n{} (seed {})\n  {} GPUs for {} min of which the first {} warm up, {:.0} % of them new, {:.1} % cheats, checked by {by}, {:.2} % of a checker's answers wrong{}",
        settings.name,
        settings.seed,
        settings.gpus,
        settings.seconds / 60,
        settings.warm_up / 60,
        100.0 * (1.0 - settings.established),
        100.0 * settings.cheats.iter().fold(0.0, |sum, (_, share)| sum + share),
        100.0 * settings.checker_errs,
        if settings.has_ruinous_customer { ", one customer's program answers by chance" } else { "" },
    );
}

/// By how much the devices of a kind may earn more than others by chance: three standard deviations of their mean.
fn by_chance(world: &World, kind: Kind) -> f64 {
    let shares = |kind: Kind| -> Vec<f64> {
        let of_kind = (0..world.gpus.len()).filter(|index| world.gpus[*index].kind == kind);
        let known = of_kind.filter(|index| secs(world.gpus[*index].online) > 600.0);
        known.map(|index| earned(world, index)).map(|(earned, capable)| earned / capable).collect()
    };
    let honest = shares(Kind::Honest);
    let mean = honest.iter().sum::<f64>() / count(&honest);
    let variance = honest.iter().map(|share| (share / mean - 1.0).powi(2)).sum::<f64>() / count(&honest);
    3.0 * (variance / count(&shares(kind))).sqrt()
}

fn count(shares: &[f64]) -> f64 {
    f64::from(u32::try_from(shares.len()).unwrap_or(u32::MAX)).max(1.0)
}

/// What is promised of every network.
pub(crate) fn promises(world: &World) -> Vec<Promise> {
    let mut promises = Vec::new();
    let name = world.settings.name;
    let by_kind = earned_by_kind(world);
    for kind in Kind::CHEATS {
        if let Some(share) = by_kind.get(&kind) {
            let most = match kind {
                // Many keys and low ids are no lie: they earn no more, but for chance.
                Kind::ManyKeys | Kind::GrindingIds => 1.0 + by_chance(world, kind),
                // It works honestly for others besides, and its own fee is taken off.
                Kind::SelfDealing => 1.0,
                _ => PAYS_NOTHING,
            };
            promises.push(promise(
                *share < most,
                format!("{name}: {} does not pay ({share:.3}, below {most:.3})", kind.name()),
            ));
        }
    }
    let harmed = world.tally.honest_harmed;
    promises.push(promise(harmed == 0, format!("{name}: no honest device is harmed ({harmed})")));
    let ended = world.tally.ended_by_false_faults;
    promises.push(promise(ended == 0, format!("{name}: no job is ended by a fault that is none ({ended})")));
    promises
}

/// What holds of the large network besides.
pub(crate) fn steady(world: &World) -> Vec<Promise> {
    let found = figures(world);
    vec![
        promise(found.wrong_paid < 0.001, format!("steady: wrong tiles paid {:.4} %", 100.0 * found.wrong_paid)),
        promise(found.overhead <= 0.05, format!("steady: verification costs {:.2} %", 100.0 * found.overhead)),
        promise(found.utilisation >= 0.95, format!("steady: GPUs are at work {:.1} %", 100.0 * found.utilisation)),
        promise(
            over_ideal(world, &found) <= 1.5,
            format!("steady: jobs take {:.2} of what all GPUs together need for their work", over_ideal(world, &found)),
        ),
        promise(found.fairness >= 0.9, format!("steady: fairness {:.3}", found.fairness)),
    ]
}
