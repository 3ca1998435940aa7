use wire::{BlobHash, DeviceId};

use super::recheck_request::{Answer, Answered, Answerer, RecheckError, RecheckId, RecheckRequest, Whom};
use super::tests::{ADA, BOB, CHECKER, World, account, established, open_job, party, request};
use crate::verification::party::{Network, Parties, Party};

#[test]
fn a_request_waits_for_a_checker_and_ends_with_its_answer() {
    let mut world = World::of_rechecks(true);
    world.join(ADA, 1);
    world.ready(ADA);
    world.ask(7, &[], false);
    assert!(world.asked().is_empty(), "a stranger's device is not the operator's checker");

    world.checker(CHECKER, 1 << 20);
    assert!(world.asked().is_empty(), "it has not said that it is ready");
    world.ready(CHECKER);
    assert_eq!(world.asked(), [CHECKER]);
    let lease = world.last_lease();
    assert!(world.core.is_recheck(CHECKER, lease) && !world.core.is_recheck(ADA, lease));
    assert_eq!(world.core.recheck_output_bytes(lease), Some(512));

    let answer = Answer::Output(BlobHash([5; 32]));
    world.core.on_recheck_answered(&mut world.link, lease, answer.clone());
    world.core.on_recheck_answered(&mut world.link, lease, answer.clone());
    assert_eq!(world.link.rechecked, [(RecheckId(7), Ok(Answered { by: Answerer::Checker, answer }))]);
}

#[test]
fn a_request_goes_to_another_checker_when_one_gives_it_back_is_lost_or_sits_on_it() {
    let mut world = World::of_rechecks(true);
    for checker in [ADA, BOB, CHECKER] {
        world.checker(checker, 1 << 20);
        world.ready(checker);
    }
    world.ask(1, &[], false);
    let first = world.last_lease();

    world.core.on_recheck_returned(&mut world.link, world.now, first);
    assert_eq!(world.asked(), [ADA, BOB], "not to the one that gave it back");
    world.core.on_device_left(&mut world.link, world.now, BOB);
    assert_eq!(world.asked(), [ADA, BOB, CHECKER]);
    world.ready(ADA);
    world.now += 121_000_000;
    world.core.on_tick(&mut world.link, world.now);

    assert_eq!(world.asked(), [ADA, BOB, CHECKER, ADA], "half a minute later it may be asked again");
    assert_eq!(world.link.failures, [ADA, CHECKER]);
    assert!(world.link.rechecked.is_empty());
}

#[test]
fn a_checker_is_told_by_which_seed_it_should_nudge_and_has_time_for_that() {
    let mut world = World::of_rechecks(true);
    world.judge(ADA, 1);
    world.ready(ADA);
    let nudged = RecheckRequest { nudge: Some(5), ..request(&[], false) };
    world.core.on_recheck_requested(&mut world.link, world.now, RecheckId(1), nudged);
    assert!(world.asked().is_empty());

    world.checker(CHECKER, 1 << 20);
    world.ready(CHECKER);

    world.ask(2, &[], false);
    world.ready(CHECKER);
    let [(CHECKER, nudged), (CHECKER, plain)] = &world.link.granted[..] else { panic!("both wait for the checker") };
    assert_eq!((nudged.nudge, plain.nudge), (Some(5), None));
    assert!(nudged.deadline >= plain.deadline);
}

#[test]
fn whoever_can_do_it_alone_hears_at_once_that_no_checker_can() {
    let mut world = World::of_rechecks(true);
    world.ask(1, &[], true);
    assert!(world.link.rechecked.is_empty(), "one may still connect");

    world.checker(CHECKER, 1 << 9);
    world.ready(CHECKER);

    assert_eq!(world.core.has_fitting_checker(1 << 10), Some(false));
    assert_eq!(world.link.rechecked, [(RecheckId(1), Err(RecheckError::NoChecker))]);
}

#[test]
fn peers_recompute_where_there_are_no_checkers_and_never_a_party_to_it() {
    let mut world = World::of_rechecks(false);
    world.judge(ADA, 1);
    world.judge(BOB, 2);
    world.ready(ADA);
    world.ask(1, &[1], false);
    assert!(world.asked().is_empty());

    world.ready(BOB);
    let lease = world.last_lease();
    world.core.on_recheck_answered(&mut world.link, lease, Answer::Output(BlobHash([5; 32])));

    assert_eq!(world.asked(), [BOB]);
    assert!(
        matches!(world.link.rechecked[..], [(_, Ok(Answered { by: Answerer::Peer { party: by, device: BOB }, .. }))] if by == party(2))
    );
}

#[test]
fn one_judge_that_gives_a_request_back_time_and_again_does_not_end_it() {
    let mut world = World::of_rechecks(false);
    world.judge(ADA, 1);
    world.ready(ADA);
    world.ask(1, &[], false);
    for _ in 0..20 {
        let lease = world.last_lease();
        world.core.on_recheck_returned(&mut world.link, world.now, lease);
        world.ready(ADA);
    }
    assert_eq!((world.asked().len(), world.link.rechecked.len()), (1, 0), "it is asked once");

    world.judge(BOB, 2);
    world.ready(BOB);
    assert_eq!(world.asked(), [ADA, BOB]);
    world.now += 301_000_000;
    world.core.on_tick(&mut world.link, world.now);
    assert_eq!(world.asked().last(), Some(&ADA), "and again once the other has sat on it");
}

#[test]
fn who_idles_is_asked_a_dozen_times_and_again_when_it_has_done_a_lease_or_nobody_else_is_there() {
    let mut world = World::of_rechecks(false);
    world.judge(ADA, 1);
    for n in 10..30 {
        world.judge(DeviceId([n; 32]), n.into());
    }
    for id in 0..16 {
        world.ready(ADA);
        world.ask(id, &[], false);
    }
    assert_eq!(world.asked().len(), 12, "it has not worked since");

    world.judge(BOB, 2);
    world.ready(BOB);
    assert_eq!(world.asked()[12..], [BOB]);
    world.now += 1_000_000;
    world.core.on_tick(&mut world.link, world.now);
    assert_eq!(world.asked()[12..14], [BOB, ADA], "it waited for long enough");

    for id in 0..16 {
        world.core.on_recheck_cancelled(RecheckId(id));
    }
    world.claim(2, 100, open_job());
    world.core.on_device_ready(&mut world.link, world.now, ADA);
    let lease = world.core.out_of(ADA).first().copied().unwrap();
    world.core.on_commit(world.now, ADA, lease).unwrap();
    assert_eq!(world.core.devices[&ADA].questions, 0);
}

#[test]
fn a_question_that_is_given_back_or_sat_on_costs_as_a_lease_does() {
    let mut world = World::of_rechecks(false);
    world.judge(ADA, 1);
    world.ready(ADA);
    world.ask(1, &[], false);
    let lease = world.last_lease();
    world.core.on_recheck_returned(&mut world.link, world.now, lease);
    assert_eq!(world.core.devices[&ADA].strikes, 1);

    world.judge(BOB, 2);
    world.ready(BOB);
    world.now += 121_000_000;
    world.core.on_tick(&mut world.link, world.now);
    assert_eq!(world.core.devices[&BOB].strikes, 1);

    world.judge(CHECKER, 3);
    world.ready(CHECKER);
    world.core.on_recheck_cancelled(RecheckId(1));
    let lease = world.last_lease();
    world.core.on_recheck_returned(&mut world.link, world.now, lease);
    assert_eq!(world.core.devices[&CHECKER].strikes, 0, "nobody waits for it any more");
}

#[test]
fn a_request_is_given_up_after_eight_lost_devices_and_not_before() {
    let mut world = World::of_rechecks(false);
    world.ask(1, &[], false);

    for lost in 1..=8 {
        assert!(world.link.rechecked.is_empty(), "before it lost {lost} devices");
        world.judge(ADA, lost);
        world.ready(ADA);
        world.core.on_device_left(&mut world.link, world.now, ADA);
    }

    assert_eq!(world.link.rechecked, [(RecheckId(1), Err(RecheckError::GivenUp))]);
}

#[test]
fn a_request_that_checkers_give_back_time_and_again_is_given_up() {
    let mut world = World::of_rechecks(true);
    world.checker(CHECKER, 1 << 20);
    world.ask(1, &[], false);

    for returned in 1..=20 {
        assert!(world.link.rechecked.is_empty(), "before it came back {returned} times");
        world.now += 30_000_000;
        world.ready(CHECKER);
        let lease = world.last_lease();
        world.core.on_recheck_returned(&mut world.link, world.now, lease);
    }

    assert_eq!(world.link.rechecked, [(RecheckId(1), Err(RecheckError::GivenUp))]);
}

#[test]
fn a_request_that_breaks_checkers_is_put_behind_others_and_given_up() {
    let mut world = World::of_rechecks(true);
    world.ask(1, &[], false);
    world.ask(2, &[], false);

    world.checker(CHECKER, 1 << 20);
    world.ready(CHECKER);
    world.core.on_device_left(&mut world.link, world.now, CHECKER);
    world.checker(CHECKER, 1 << 20);
    world.ready(CHECKER);
    let second = world.last_lease();
    world.core.on_recheck_answered(&mut world.link, second, Answer::Output(BlobHash([5; 32])));
    assert!(matches!(world.link.rechecked[..], [(RecheckId(2), Ok(_))]), "the other came first");

    for lost in 2..=20 {
        assert_eq!(world.link.rechecked.len(), 1, "before it lost {lost}");
        world.ready(CHECKER);
        world.core.on_device_left(&mut world.link, world.now, CHECKER);
        world.checker(CHECKER, 1 << 20);
    }
    assert_eq!(world.link.rechecked[1..], [(RecheckId(1), Err(RecheckError::GivenUp))]);
}

#[test]
fn accounts_of_one_network_give_nothing_up_by_themselves() {
    let mut world = World::of_rechecks(false);
    world.ask(1, &[], false);
    let network = crate::verification::party::Network::of("203.0.113.9".parse().unwrap());

    for lost in 1..=63 {
        world.judge(ADA, lost);
        world.core.change_device(ADA, |device| device.network = network);
        world.ready(ADA);
        world.core.on_device_left(&mut world.link, world.now, ADA);
        assert!(world.link.rechecked.is_empty(), "by {lost} accounts");
    }
    world.judge(ADA, 64);
    world.core.change_device(ADA, |device| device.network = network);
    world.ready(ADA);
    world.core.on_device_left(&mut world.link, world.now, ADA);
    assert_eq!(world.link.rechecked, [(RecheckId(1), Err(RecheckError::GivenUp))], "by then all were asked");
}

#[test]
fn a_cancelled_request_is_put_to_nobody_and_its_answer_is_nobodys() {
    let mut world = World::of_rechecks(true);
    world.ask(1, &[], false);
    world.core.on_recheck_cancelled(RecheckId(1));
    world.checker(CHECKER, 1 << 20);
    world.ready(CHECKER);
    assert!(world.asked().is_empty());

    world.ask(2, &[], false);
    let lease = world.last_lease();
    world.core.on_recheck_cancelled(RecheckId(2));
    assert!(world.core.is_recheck(CHECKER, lease), "the device still hears that its answer came");
    world.core.on_recheck_answered(&mut world.link, lease, Answer::Output(BlobHash([5; 32])));

    assert!(world.link.rechecked.is_empty());
}

#[test]
fn whoever_checks_is_drawn_among_all_that_may_by_what_others_verified_of_them() {
    let weight = established().of("infer", 0).verified_kflop;
    for (drawn, asked) in [(0, ADA), (weight - 1, ADA), (weight, BOB), (3 * weight - 1, CHECKER)] {
        let mut world = World::of_rechecks(false);
        for (device, n) in [(ADA, 1), (BOB, 2), (CHECKER, 3)] {
            world.judge(device, n);
            world.ready(device);
        }
        world.link.drawn = vec![drawn];

        world.ask(1, &[], false);

        assert_eq!(world.asked(), [asked]);
    }
}

#[test]
fn a_witness_is_a_device_though_there_are_checkers_and_the_accused_is_asked_itself() {
    let mut world = World::of_rechecks(true);
    world.checker(CHECKER, 1 << 20);
    world.ready(CHECKER);
    for (device, n) in [(DeviceId([0; 32]), 3), (ADA, 1), (BOB, 2)] {
        world.join(device, n);
        world.ready(device);
    }
    world.judge(BOB, 2);
    world.ready(BOB);
    let mut put = |id, whom| {
        let request = RecheckRequest { whom, ..request(&[1], false) };
        world.core.on_recheck_requested(&mut world.link, world.now, RecheckId(id), request);
        world.link.granted.last().unwrap().0
    };

    assert_eq!(put(1, Whom::Witness), BOB);
    assert_eq!(put(2, Whom::Accused(ADA)), ADA);
    assert_eq!(put(3, Whom::Checkers), CHECKER);
    put(4, Whom::Accused(DeviceId([9; 32])));
    assert_eq!(world.link.rechecked, [(RecheckId(4), Err(RecheckError::GivenUp))], "it is gone");
}

#[test]
fn neither_a_guest_nor_a_newcomer_nor_a_neighbour_of_a_party_judges_others() {
    let mut world = World::of_rechecks(false);
    let address = |text: &str| Network::of(text.parse().unwrap());
    world.judge(ADA, 1);
    world.judge(BOB, 2);
    world.join(CHECKER, 3);
    for (id, network, is_guest) in [(ADA, "198.51.100.1", true), (BOB, "203.0.113.9", false)] {
        world.core.change_device(id, |device| (device.network, device.is_guest) = (address(network), is_guest));
    }
    for id in [ADA, BOB, CHECKER] {
        world.ready(id);
    }
    let neighbour = Party { account: account(9), network: address("203.0.113.77") };
    let about_neighbour = RecheckRequest { parties: Parties::default().with(neighbour), ..request(&[], false) };

    world.core.on_recheck_requested(&mut world.link, world.now, RecheckId(1), about_neighbour);
    assert!(world.asked().is_empty());
    world.ask(2, &[], false);

    assert_eq!(world.asked(), [BOB]);
}
