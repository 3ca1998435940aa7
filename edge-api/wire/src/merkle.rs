//! The tree over a lease's tile hashes. The hash function is passed in.

use crate::explorer::ProofStep;
use crate::{LeaseId, TileHash};

/// Root of `leaves`, left to right; an odd one out moves up as it is. Leaves and inner nodes are
/// hashed under different first bytes, so that a node cannot pass for a leaf (RFC 6962, section 2.1).
pub fn root(leaves: impl IntoIterator<Item = TileHash>, hash: impl Fn(&[u8]) -> [u8; 32]) -> TileHash {
    let mut level: Vec<TileHash> = leaves.into_iter().collect();
    while level.len() > 1 {
        level = parents(&level, &hash);
    }
    level.first().copied().unwrap_or(TileHash(hash(&[])))
}

fn parents(level: &[TileHash], hash: impl Fn(&[u8]) -> [u8; 32]) -> Vec<TileHash> {
    let parent = |pair: &[TileHash]| match pair {
        [left, right] => join(*left, *right, &hash),
        _ => pair[0],
    };
    level.chunks(2).map(parent).collect()
}

fn join(left: TileHash, right: TileHash, hash: impl Fn(&[u8]) -> [u8; 32]) -> TileHash {
    TileHash(hash(&[&[1][..], &left.0, &right.0].concat()))
}

/// The hashes that lead from leaf `index` to the root. Empty for an index that is no leaf's.
pub fn proof(
    leaves: impl IntoIterator<Item = TileHash>,
    mut index: usize,
    hash: impl Fn(&[u8]) -> [u8; 32],
) -> Vec<ProofStep> {
    let mut level: Vec<TileHash> = leaves.into_iter().collect();
    let mut steps = Vec::new();
    while level.len() > 1 && index < level.len() {
        if index % 2 == 1 {
            steps.push(ProofStep::Left(level[index - 1]));
        } else if let Some(right) = level.get(index + 1) {
            steps.push(ProofStep::Right(*right));
        }
        level = parents(&level, &hash);
        index /= 2;
    }
    steps
}

/// The root that `proof` leads to from `leaf`.
pub fn root_from_proof(leaf: TileHash, proof: &[ProofStep], hash: impl Fn(&[u8]) -> [u8; 32]) -> TileHash {
    proof.iter().fold(leaf, |node, step| match step {
        ProofStep::Left(left) => join(*left, node, &hash),
        ProofStep::Right(right) => join(node, *right, &hash),
    })
}

/// A tile's hash. The lease is the salt: equal outputs of two leases do not show.
pub fn leaf(lease: LeaseId, output: &[u8], hash: impl Fn(&[u8]) -> [u8; 32]) -> TileHash {
    TileHash(hash(&[&[0][..], &lease.0, output].concat()))
}

/// Root over the tiles of a lease's whole output, each of so many bytes, but the last.
pub fn output_root(lease: LeaseId, output: &[u8], tile_bytes: u64, hash: impl Fn(&[u8]) -> [u8; 32]) -> TileHash {
    // A tile beyond memory is the whole output; one of no bytes has none to hash.
    let tile_bytes = usize::try_from(tile_bytes).unwrap_or(usize::MAX).max(1);
    root(output.chunks(tile_bytes).map(|tile| leaf(lease, tile, &hash)), &hash)
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
    fn a_proof_leads_from_its_leaf_to_the_root_and_from_no_other() {
        for len in 1..9 {
            let leaves: Vec<TileHash> = (0..len).map(|i| TileHash([i; 32])).collect();
            let whole = root(leaves.clone(), sum);
            for (i, leaf) in leaves.iter().enumerate() {
                let proof = proof(leaves.clone(), i, sum);

                assert_eq!(root_from_proof(*leaf, &proof, sum), whole, "leaf {i} of {len}");
                assert!(len == 1 || root_from_proof(TileHash([99; 32]), &proof, sum) != whole);
            }
        }
    }

    #[test]
    fn an_output_is_hashed_tile_by_tile_under_its_lease() {
        let (lease, output) = (LeaseId([1; 16]), [5; 10]);
        let leaves = [&output[..4], &output[4..8], &output[8..]].map(|tile| leaf(lease, tile, sum));

        assert_eq!(output_root(lease, &output, 4, sum), root(leaves, sum));
        assert_eq!(output_root(lease, &output, u64::MAX, sum), leaf(lease, &output, sum));
        assert_ne!(output_root(LeaseId([2; 16]), &output, 4, sum), root(leaves, sum));
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
