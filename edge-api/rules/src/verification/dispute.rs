//! A tile on which two runs disagree: who computes it again, and who was wrong in the end.
//!
//! A checker can err, a program can amplify rounding, a customer can want to ruin a device. So a mismatch takes
//! nothing from anyone: independent devices compute the tile, and the accused once more, until runs of parties that
//! have nothing to do with each other say the same.

use wire::{AccountId, DeviceId};

use super::party::{Parties, Party};
use crate::scheduling::recheck_request::Answerer;

/// Independent devices that compute a tile before it is given up as not reproducible.
const WITNESSES_MAX: usize = 3;
/// Tiles of a job that are not reproducible before the job ends, found on devices of so many accounts.
pub const UNREPRODUCIBLE_TILES: u64 = 3;
pub const UNREPRODUCIBLE_ACCOUNTS: u64 = 2;

/// What a dispute comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lease is rejected.
    DeviceWrong,
    /// Its word is dropped, and the lease goes on as if it had agreed.
    CheckerWrong,
    /// Honest runs differ: nobody is to blame, and the lease is paid.
    NotReproducible,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::DeviceWrong, Self::CheckerWrong, Self::NotReproducible];

    pub fn name(self) -> &'static str {
        match self {
            Self::DeviceWrong => "device_wrong",
            Self::CheckerWrong => "checker_wrong",
            Self::NotReproducible => "not_reproducible",
        }
    }
}

/// How a run compares with the two that disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// With what the accused device had signed.
    pub with_device: bool,
    /// With what whoever found the mismatch computed.
    pub with_checker: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    AskWitness,
    AskAccused,
    /// Nobody who could be asked is connected, and there is nothing to decide by.
    Wait,
    Decided(Outcome),
}

#[derive(Clone, Debug)]
pub struct Dispute {
    /// Whose devices may not be asked: the accused's, the finder's, the customer's, and those of witnesses.
    parties: Parties,
    finder: Answerer,
    witnesses: Vec<Comparison>,
    /// Devices that were asked and said nothing in time.
    silent: usize,
    /// No further witness is connected.
    exhausted: bool,
    /// It was waited for another witness for long enough.
    waited: bool,
    /// Whether the accused came to the same result once more. `None`: it was not asked.
    repeated: Option<bool>,
}

impl Dispute {
    pub fn new(accused: Party, customer: AccountId, finder: Answerer) -> Self {
        let mut parties = Parties::default().with(accused).with(Party { account: customer, network: None });
        if let Answerer::Peer { party, .. } = finder {
            parties.add(party);
        }
        Self { parties, finder, witnesses: Vec::new(), silent: 0, exhausted: false, waited: false, repeated: None }
    }

    /// Whose devices may not be asked as witnesses.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    pub fn on_witness(&mut self, witness: Party, comparison: Comparison) {
        self.parties.add(witness);
        self.witnesses.push(comparison);
    }

    /// Whoever was asked did not answer in time. It may be busy, so that another is asked, as often as there may be
    /// witnesses.
    pub fn on_silent_witness(&mut self) {
        self.silent += 1;
        self.exhausted |= self.silent >= WITNESSES_MAX;
    }

    /// No other device can be asked.
    pub fn on_no_witness(&mut self) {
        self.exhausted = true;
    }

    /// Nobody who could tell more has connected for a long time.
    pub fn on_waited(&mut self) {
        self.waited = true;
    }

    /// The accused device has come to the same once more, or to something else; it may also not have answered,
    /// which is no proof of anything: `false`.
    pub fn on_accused(&mut self, repeated: bool) {
        self.repeated = Some(repeated);
    }

    /// Witnesses that say the same as the device, as the checker, and neither. A run within the tolerance of both speaks
    /// for the device: what it signed is within that of an honest run.
    fn sides(&self) -> (usize, usize, usize) {
        let (mut with_device, mut with_checker, mut with_neither) = (0, 0, 0);
        for witness in &self.witnesses {
            match (witness.with_device, witness.with_checker) {
                (true, _) => with_device += 1,
                (false, true) => with_checker += 1,
                (false, false) => with_neither += 1,
            }
        }
        (with_device, with_checker, with_neither)
    }

    pub fn next(&self) -> Next {
        let (with_device, with_checker, with_neither) = self.sides();
        let may_ask = !self.exhausted && self.witnesses.len() < WITNESSES_MAX;
        let is_peer = matches!(self.finder, Answerer::Peer { .. });
        if with_device > 0 && with_checker > 0 {
            return Next::Decided(Outcome::NotReproducible);
        }
        // One witness may be the device's friend, so another is asked. Where there is none, a peer's word is dropped, and
        // the operator's weighs as much as both.
        if with_device >= 2 || (is_peer && with_device == 1 && !may_ask) {
            return Next::Decided(Outcome::CheckerWrong);
        }
        if with_checker > 0 {
            return match self.repeated {
                None => Next::AskAccused,
                // It computes what it signed: perhaps so do others of its kind.
                Some(true) if with_checker == 1 && may_ask => Next::AskWitness,
                Some(_) => Next::Decided(Outcome::DeviceWrong),
            };
        }
        if may_ask {
            return Next::AskWitness;
        }
        match (with_device, with_neither) {
            // Nobody is blamed on a peer's word alone, however long that takes: to let it pass would be to pay whoever lies
            // where only one other device is.
            (0, 0) if is_peer => Next::Wait,
            // Nobody is forgiven because one more run differs, unless nobody ever comes who tells more.
            (0, 1) if !self.waited => Next::Wait,
            // There is the operator's word and the device's, and nobody else's.
            (0, 0) => Next::Decided(Outcome::DeviceWrong),
            _ => Next::Decided(Outcome::NotReproducible),
        }
    }

    /// A witness may have connected since.
    pub fn look_again(&mut self) {
        (self.silent, self.exhausted) = (0, false);
    }

    /// The device whose word was dropped, where it is not the operator's, and two witnesses spoke against it: by one alone
    /// nobody is ruined.
    pub fn finder_to_blame(&self) -> Option<DeviceId> {
        match self.finder {
            Answerer::Peer { device, .. } if self.sides().0 >= 2 => Some(device),
            Answerer::Peer { .. } | Answerer::Checker => None,
        }
    }

    /// The finder is the operator's.
    pub fn is_by_checker(&self) -> bool {
        self.finder == Answerer::Checker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIKE_DEVICE: Comparison = Comparison { with_device: true, with_checker: false };
    const LIKE_CHECKER: Comparison = Comparison { with_device: false, with_checker: true };
    const LIKE_NEITHER: Comparison = Comparison { with_device: false, with_checker: false };
    const LIKE_BOTH: Comparison = Comparison { with_device: true, with_checker: true };

    fn account(n: u64) -> AccountId {
        AccountId::from_parts(n, [0; 10])
    }

    fn party(n: u64) -> Party {
        Party { account: account(n), network: None }
    }

    fn peer() -> Answerer {
        Answerer::Peer { party: party(2), device: DeviceId([2; 32]) }
    }

    /// What a dispute comes to when its witnesses say this, and the accused repeats itself or does not.
    fn decide(finder: Answerer, witnesses: &[Comparison], repeats: bool) -> Next {
        let mut dispute = Dispute::new(party(1), account(9), finder);
        let mut witnesses = (3..).zip(witnesses);
        loop {
            match dispute.next() {
                Next::AskWitness => match witnesses.next() {
                    Some((n, comparison)) => dispute.on_witness(party(n), *comparison),
                    None => dispute.on_no_witness(),
                },
                Next::AskAccused => dispute.on_accused(repeats),
                decided => return decided,
            }
        }
    }

    #[test]
    fn a_witness_who_agrees_with_the_finder_convicts_a_device_that_does_not_repeat_its_result() {
        for finder in [Answerer::Checker, peer()] {
            assert_eq!(decide(finder, &[LIKE_CHECKER], false), Next::Decided(Outcome::DeviceWrong));
        }
    }

    #[test]
    fn a_device_that_repeats_its_result_is_convicted_by_two_witnesses_or_the_only_one() {
        for finder in [Answerer::Checker, peer()] {
            assert_eq!(decide(finder, &[LIKE_CHECKER, LIKE_CHECKER], true), Next::Decided(Outcome::DeviceWrong));
            assert_eq!(decide(finder, &[LIKE_CHECKER], true), Next::Decided(Outcome::DeviceWrong));
        }
    }

    #[test]
    fn honest_devices_that_disagree_make_a_tile_that_is_not_reproducible() {
        for finder in [Answerer::Checker, peer()] {
            let mixed = decide(finder, &[LIKE_CHECKER, LIKE_DEVICE], true);
            assert_eq!(mixed, Next::Decided(Outcome::NotReproducible));
            let all_different = decide(finder, &[LIKE_NEITHER, LIKE_NEITHER, LIKE_NEITHER], true);
            assert_eq!(all_different, Next::Decided(Outcome::NotReproducible));
        }
    }

    #[test]
    fn a_checker_that_errs_is_outvoted() {
        assert_eq!(decide(peer(), &[LIKE_DEVICE, LIKE_DEVICE], true), Next::Decided(Outcome::CheckerWrong));
        assert_eq!(decide(peer(), &[LIKE_DEVICE], true), Next::Decided(Outcome::CheckerWrong), "by the only witness");
        assert_eq!(
            decide(Answerer::Checker, &[LIKE_DEVICE, LIKE_BOTH], true),
            Next::Decided(Outcome::CheckerWrong),
            "the operator's, by two"
        );
        assert_eq!(decide(Answerer::Checker, &[LIKE_DEVICE], true), Next::Decided(Outcome::NotReproducible));
    }

    #[test]
    fn a_finder_is_to_blame_once_two_witnesses_speak_against_it() {
        let mut dispute = Dispute::new(party(1), account(9), peer());
        dispute.on_witness(party(3), LIKE_DEVICE);
        assert_eq!((dispute.next(), dispute.finder_to_blame()), (Next::AskWitness, None));
        let mut friend_of_device = dispute.clone();
        friend_of_device.on_witness(party(4), LIKE_CHECKER);
        dispute.on_witness(party(4), LIKE_DEVICE);

        assert_eq!(friend_of_device.next(), Next::Decided(Outcome::NotReproducible));
        assert_eq!(dispute.next(), Next::Decided(Outcome::CheckerWrong));
        assert_eq!(dispute.finder_to_blame(), Some(DeviceId([2; 32])));
    }

    #[test]
    fn one_run_more_that_differs_from_both_neither_blames_nor_forgives() {
        for finder in [Answerer::Checker, peer()] {
            assert_eq!(decide(finder, &[LIKE_NEITHER], true), Next::Wait);
            let two = decide(finder, &[LIKE_NEITHER, LIKE_NEITHER], true);
            assert_eq!(two, Next::Decided(Outcome::NotReproducible));
        }
    }

    #[test]
    fn three_runs_that_all_differ_are_not_waited_on_for_ever_and_one_peers_word_is() {
        for finder in [Answerer::Checker, peer()] {
            let mut dispute = Dispute::new(party(1), account(9), finder);
            dispute.on_witness(party(3), LIKE_NEITHER);
            dispute.on_no_witness();
            assert_eq!(dispute.next(), Next::Wait);
            dispute.on_waited();
            assert_eq!(dispute.next(), Next::Decided(Outcome::NotReproducible));
            dispute.look_again();
            assert_eq!(dispute.next(), Next::AskWitness, "another has connected");
        }
        let mut dispute = Dispute::new(party(1), account(9), peer());
        dispute.on_no_witness();
        dispute.on_waited();
        assert_eq!(dispute.next(), Next::Wait);
    }

    #[test]
    fn where_nobody_else_is_connected_the_operators_word_counts_and_a_peers_waits() {
        assert_eq!(decide(Answerer::Checker, &[], true), Next::Decided(Outcome::DeviceWrong));
        assert_eq!(decide(peer(), &[], true), Next::Wait);
    }

    #[test]
    fn a_witness_that_is_silent_is_not_taken_for_none() {
        let mut dispute = Dispute::new(party(1), account(9), Answerer::Checker);
        for _ in 0..2 {
            dispute.on_silent_witness();
            assert_eq!(dispute.next(), Next::AskWitness);
        }
        dispute.on_silent_witness();

        assert_eq!(dispute.next(), Next::Decided(Outcome::DeviceWrong), "three were");
    }

    #[test]
    fn nobody_who_is_party_to_it_is_asked() {
        let mut dispute = Dispute::new(party(1), account(9), peer());
        dispute.on_witness(party(3), LIKE_NEITHER);

        assert!([1, 2, 3, 9].into_iter().all(|n| dispute.parties().include(party(n))));
        assert!(!dispute.parties().include(party(4)));
    }
}
