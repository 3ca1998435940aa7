//! Who has a part in a question, and so no say in it: accounts, and the networks that their devices are in.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::AccountId;

/// Addresses that one owner may well have all of: a /24 of IPv4, a /48 of IPv6. Keys cost nothing, networks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// `None` for this machine's own addresses, which tell nobody apart.
    pub fn of(address: IpAddr) -> Option<Self> {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00)),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
        };
        (!address.to_canonical().is_loopback()).then_some(Self(network))
    }

    /// Its first address.
    pub fn first(self) -> IpAddr {
        self.0
    }
}

/// Whose a device is, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    pub account: AccountId,
    /// `None` where it is not known, or tells nobody apart.
    pub network: Option<Network>,
}

/// All who have a part in a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    pub accounts: BTreeSet<AccountId>,
    pub networks: BTreeSet<Network>,
}

impl Parties {
    pub fn add(&mut self, party: Party) {
        self.accounts.insert(party.account);
        self.networks.extend(party.network);
    }

    #[must_use]
    pub fn with(mut self, party: Party) -> Self {
        self.add(party);
        self
    }

    /// Whether a device has a part in it: by whose it is, or by where it is.
    pub fn include(&self, party: Party) -> bool {
        self.accounts.contains(&party.account) || party.network.is_some_and(|network| self.networks.contains(&network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(account: u64, address: &str) -> Party {
        let account = AccountId::from_parts(account, [0; 10]);
        Party { account, network: Network::of(address.parse().unwrap()) }
    }

    #[test]
    fn neither_the_same_account_nor_the_same_network_has_a_say() {
        let parties = Parties::default().with(party(1, "203.0.113.9")).with(party(2, "2001:db8:1:2::3"));

        assert!(parties.include(party(1, "198.51.100.1")));
        assert!(parties.include(party(3, "203.0.113.200")));
        assert!(parties.include(party(3, "2001:db8:1:ffff::1")));
        assert!(!parties.include(party(3, "203.0.114.9")));
        assert!(!parties.include(party(3, "2001:db8:2::1")));
    }

    #[test]
    fn this_machines_addresses_tell_nobody_apart() {
        let parties = Parties::default().with(party(1, "127.0.0.1")).with(party(2, "::1"));

        assert!(!parties.include(party(3, "127.0.0.1")));
        assert!(!parties.include(party(3, "::ffff:127.0.0.1")));
    }
}
