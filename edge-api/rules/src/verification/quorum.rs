//! Whether an output stands, by what other devices computed.

use std::collections::BTreeSet;

use wire::AccountId;

use super::Mismatch;
use crate::scheduling::recheck_request::Answerer;

/// Peers that must disagree with an output before it falls: two against one.
const PEERS_AGAINST: u32 = 2;

/// Answers gathered on one output.
#[derive(Clone, Debug)]
pub struct Quorum {
    /// Accounts that are party to it: the provider's, and those that have answered.
    parties: BTreeSet<AccountId>,
    peers_against: u32,
}

impl Quorum {
    pub fn new(provider: AccountId) -> Self {
        Self { parties: BTreeSet::from([provider]), peers_against: 0 }
    }

    /// Whose devices may not be asked.
    pub fn excluded_accounts(&self) -> BTreeSet<AccountId> {
        self.parties.clone()
    }

    /// The verdict, once there is one. An operator's checker decides alone.
    pub fn on_answer(&mut self, by: Answerer, agrees: bool) -> Option<Result<(), Mismatch>> {
        if agrees {
            return Some(Ok(()));
        }
        match by {
            Answerer::Checker => return Some(Err(Mismatch::Values)),
            Answerer::Peer(account) => {
                self.parties.insert(account);
                self.peers_against += 1;
            }
        }
        (self.peers_against == PEERS_AGAINST).then_some(Err(Mismatch::Values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u64) -> AccountId {
        AccountId::from_parts(n, [0; 10])
    }

    #[test]
    fn a_checker_decides_alone() {
        assert_eq!(Quorum::new(account(1)).on_answer(Answerer::Checker, false), Some(Err(Mismatch::Values)));
        assert_eq!(Quorum::new(account(1)).on_answer(Answerer::Checker, true), Some(Ok(())));
    }

    #[test]
    fn of_peers_it_takes_two_against_one_and_one_for_it() {
        let mut quorum = Quorum::new(account(1));

        assert_eq!(quorum.on_answer(Answerer::Peer(account(2)), false), None);
        assert_eq!(quorum.excluded_accounts(), [account(1), account(2)].into());
        assert_eq!(quorum.clone().on_answer(Answerer::Peer(account(3)), true), Some(Ok(())));
        assert_eq!(quorum.on_answer(Answerer::Peer(account(3)), false), Some(Err(Mismatch::Values)));
    }
}
