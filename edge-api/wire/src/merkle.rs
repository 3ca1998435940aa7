//! The tree over a lease's tile hashes. The hash function is passed in.

use crate::{LeaseId, TileHash};

/// Root of `leaves`, left to right; an odd one out moves up as it is. Leaves and inner nodes are
/// hashed under different first bytes, so that a node cannot pass for a leaf (RFC 6962, section 2.1).
pub fn root(leaves: impl IntoIterator<Item = TileHash>, hash: impl Fn(&[u8]) -> [u8; 32]) -> TileHash {
    let mut level: Vec<TileHash> = leaves.into_iter().collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => TileHash(hash(&[&[1][..], &left.0, &right.0].concat())),
                _ => pair[0],
            })
            .collect();
    }
    level.first().copied().unwrap_or(TileHash(hash(&[])))
}

/// What a tile's hash is taken over. The lease is the salt: equal outputs of two leases do not show.
pub fn leaf_bytes(lease: LeaseId, output: &[u8]) -> Vec<u8> {
    [&[0][..], &lease.0, output].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> [u8; 32] {
        let mut state = [7u8; 32];
        for (i, byte) in bytes.iter().enumerate() {
            state[i % 32] = state[i % 32].wrapping_mul(31).wrapping_add(*byte);
        }
        state
    }

    #[test]
    fn every_leaf_and_its_place_shows_in_the_root() {
        let leaves: Vec<TileHash> = (0..5).map(|i| TileHash([i; 32])).collect();
        let whole = root(leaves.clone(), sum);

        for i in 0..5 {
            let mut changed = leaves.clone();
            changed[i] = TileHash([99; 32]);
            assert_ne!(root(changed, sum), whole, "leaf {i}");
        }
        let swapped = [1, 0, 2, 3, 4].map(|i: usize| leaves[i]);
        assert_ne!(root(swapped, sum), whole);
    }
}
