use crate::cheat::Kind;
use crate::networks::networks;
use crate::report::{describe, earned_by_kind};
use crate::run::Violation;
use crate::settings::Settings;
use crate::world::World;

/// Few GPUs for some minutes, among them cheats of every kind.
fn small(seed: u64) -> Settings {
    let many_cheats = networks(seed).swap_remove(1);
    Settings { gpus: 100, seconds: 600, warm_up: 120, ..many_cheats }
}

#[test]
fn in_a_small_network_no_lie_pays_and_nobody_honest_is_harmed() {
    // A slow device may be lucky for ten minutes, so that one play of it says little.
    let played = [7, 8, 9].map(|seed| {
        let mut world = World::new(small(seed));
        world.run().unwrap();
        world
    });

    let earned = played.each_ref().map(earned_by_kind);
    for liar in [Kind::Random, Kind::Lazy, Kind::Replaying, Kind::SixteenBit, Kind::SeedDependent] {
        let mean = earned.iter().map(|earned| earned[&liar]).sum::<f64>() / 3.0;
        assert!(mean < 0.5, "{} earned {mean}", liar.name());
    }
    for world in played {
        assert_eq!(world.tally.honest_harmed, 0);
        assert!(world.tally.jobs > 0 && world.tally.rejected > 0);
    }
}

#[test]
fn a_seed_plays_the_same_again() {
    let play = |seed| {
        let mut world = World::new(Settings { has_checkers: false, seconds: 200, ..small(seed) });
        world.run().unwrap();
        describe(&world)
    };

    assert_eq!(play(3), play(3));
    assert_ne!(play(3), play(4));
}

/// What is said once something was changed behind the rules' back.
fn violation_after(corrupt: impl FnOnce(&mut World)) -> Violation {
    let mut world = World::new(Settings { seconds: 100, ..small(7) });
    world.run().unwrap();
    corrupt(&mut world);
    world.settings.seconds = 200;
    world.run().unwrap_err()
}

#[test]
fn a_tile_that_is_neither_settled_nor_owed_is_reported_with_seed_time_and_event() {
    let violation = violation_after(|world| {
        world.jobs.values_mut().for_each(|running| running.remaining += 1);
    });

    assert!(violation.what.contains("are settled and"), "{violation}");
    assert!(violation.seed == 7 && violation.seconds > 100.0, "{violation}");
}

#[test]
fn pay_that_nothing_was_settled_for_is_reported() {
    let violation = violation_after(|world| world.gpus[0].record.matured_kflop += 1);

    assert!(violation.what.contains("thousand operations are accepted"), "{violation}");
}

#[test]
fn a_suspension_without_a_cause_is_reported() {
    let violation = violation_after(|world| world.gpus[0].record.failed += 1);

    assert!(violation.what.contains("suspended without a cause"), "{violation}");
}
