//! Randomness from the system. Rules take what is drawn here as an argument.

use wire::Micros;

/// Bytes nobody can guess.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system should have randomness");
    bytes
}

/// The parts of a version 7 id made at `now`.
pub fn id_parts(now: Micros) -> (u64, [u8; 10]) {
    (u64::try_from(now / 1000).unwrap_or(0), bytes())
}

/// A number below `bound`, each as likely as the others to within 2⁻⁶⁴.
pub fn below(bound: u64) -> u64 {
    let drawn = u128::from_le_bytes(bytes()) % u128::from(bound.max(1));
    wire::number::to(drawn)
}
