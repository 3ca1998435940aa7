//! A device says that a tile of a kernel runs out of fuel: who computes it again, and what that comes to.
//!
//! An operator's checker ends a job by itself; of devices two that agree do: one alone could end a stranger's job, or ruin
//! a device. Two outputs agree where they are the same, so that nobody finishes a tile by saying so. Where a checker
//! finishes, a device that is connected is asked, too: one that runs out of fuel as well is of the same kind, perhaps, and
//! nobody is blamed for that.

use wire::{AccountId, DeviceId};

use super::party::{Parties, Party};

/// What a fault comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The tile cannot be computed: its job ends.
    Confirmed,
    /// Others finished the tile: the device is suspended.
    Finished,
    /// They disagree as their backends do: the device gets no more of the job, and is not blamed.
    OfBackend,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The operator's checkers where there are any, else a device with standing.
    AskWhoeverChecks,
    /// A device, though a checker has answered.
    AskWitness,
    Decided(Outcome),
}

/// What a device with standing says of the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    RanDry,
    /// It finished. `like`: the device before it whose output is the same, if any.
    Finished {
        like: Option<DeviceId>,
    },
}

/// A fault while it is looked into.
#[derive(Clone, Debug)]
pub struct FaultCase {
    /// Whose devices may not be asked: the one's that said so, the customer's, and those of whoever answered.
    parties: Parties,
    ran_dry: Option<DeviceId>,
    has_checker_finished: bool,
    outcome: Option<Outcome>,
    /// Two devices that said the same, by which it was decided.
    judges: Vec<DeviceId>,
}

impl FaultCase {
    pub fn new(reporter: Party, customer: AccountId) -> Self {
        let parties = Parties::default().with(reporter).with(Party { account: customer, network: None });
        Self { parties, ran_dry: None, has_checker_finished: false, outcome: None, judges: Vec::new() }
    }

    /// Whose devices may not be asked.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    pub fn next(&self) -> Next {
        match self.outcome {
            Some(outcome) => Next::Decided(outcome),
            None if self.has_checker_finished => Next::AskWitness,
            None => Next::AskWhoeverChecks,
        }
    }

    /// The operator's checker has computed the tile.
    pub fn on_checker(&mut self, has_finished: bool) {
        self.has_checker_finished = has_finished;
        self.outcome = match (has_finished, self.ran_dry) {
            (false, _) => Some(Outcome::Confirmed),
            // A device has said so before there was a checker.
            (true, Some(_)) => Some(Outcome::OfBackend),
            (true, None) => None,
        };
    }

    /// A device with standing has, where no checker did.
    pub fn on_device(&mut self, party: Party, device: DeviceId, said: Said) {
        self.parties.add(party);
        let (before, outcome) = match said {
            Said::RanDry => (self.ran_dry.replace(device), Outcome::Confirmed),
            Said::Finished { like } => (like, Outcome::Finished),
        };
        if let Some(before) = before {
            (self.outcome, self.judges) = (Some(outcome), vec![before, device]);
        }
    }

    /// A device beside the checker has. `None`: nobody could be asked, or answered in time.
    pub fn on_witness(&mut self, said: Option<Said>) {
        let ran_dry = said == Some(Said::RanDry);
        self.outcome = Some(if ran_dry { Outcome::OfBackend } else { Outcome::Finished });
    }

    /// Devices that are paid for having said the same.
    pub fn judges(&self) -> &[DeviceId] {
        &self.judges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(n: u64) -> Party {
        Party { account: AccountId::from_parts(n, [0; 10]), network: None }
    }

    fn case() -> FaultCase {
        FaultCase::new(party(1), party(2).account)
    }

    const BOB: DeviceId = DeviceId([3; 32]);
    const CYD: DeviceId = DeviceId([4; 32]);
    const DAN: DeviceId = DeviceId([5; 32]);

    #[test]
    fn a_checker_confirms_a_fault_by_itself() {
        let mut case = case();
        assert_eq!(case.next(), Next::AskWhoeverChecks);

        case.on_checker(false);

        assert_eq!(case.next(), Next::Decided(Outcome::Confirmed));
        assert!(case.judges().is_empty(), "it is the operator's");
    }

    #[test]
    fn where_a_checker_finishes_a_device_is_asked_too_and_one_that_runs_dry_saves_the_reporter() {
        let after = |said| {
            let mut case = case();
            case.on_checker(true);
            assert_eq!(case.next(), Next::AskWitness);
            case.on_witness(said);
            case.next()
        };

        assert_eq!(after(Some(Said::RanDry)), Next::Decided(Outcome::OfBackend));
        assert_eq!(after(Some(Said::Finished { like: None })), Next::Decided(Outcome::Finished));
        assert_eq!(after(None), Next::Decided(Outcome::Finished), "nobody is connected");
        let mut late = case();
        late.on_device(party(3), BOB, Said::RanDry);
        late.on_checker(true);
        assert_eq!(late.next(), Next::Decided(Outcome::OfBackend), "a device had said so before");
    }

    #[test]
    fn of_devices_two_that_agree_decide_and_are_paid_and_one_does_not() {
        let mut dry = case();
        dry.on_device(party(3), BOB, Said::RanDry);
        assert_eq!(dry.next(), Next::AskWhoeverChecks, "one alone ends no stranger's job");
        assert!(dry.parties().include(party(3)) && !dry.parties().include(party(4)));
        dry.on_device(party(4), CYD, Said::Finished { like: None });
        assert_eq!(dry.next(), Next::AskWhoeverChecks);
        dry.on_device(party(5), DAN, Said::RanDry);
        assert_eq!((dry.next(), dry.judges()), (Next::Decided(Outcome::Confirmed), [BOB, DAN].as_slice()));

        let mut finished = case();
        finished.on_device(party(3), BOB, Said::Finished { like: None });
        finished.on_device(party(4), CYD, Said::Finished { like: None });
        assert_eq!(finished.next(), Next::AskWhoeverChecks, "their outputs differ");
        finished.on_device(party(5), DAN, Said::Finished { like: Some(CYD) });
        assert_eq!((finished.next(), finished.judges()), (Next::Decided(Outcome::Finished), [CYD, DAN].as_slice()));
    }

    #[test]
    fn neither_the_reporter_nor_the_customer_is_asked() {
        assert!(case().parties().include(party(1)) && case().parties().include(party(2)));
    }
}
