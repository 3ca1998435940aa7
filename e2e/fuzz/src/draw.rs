//! Choices that follow from one seed, on every machine alike.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

/// Numbers at which something begins, ends or wraps.
const EDGES: [u64; 22] = [
    0,
    1,
    2,
    3,
    7,
    8,
    63,
    64,
    100,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

pub(crate) struct Draw {
    rng: ChaCha8Rng,
    /// What is made is printed before it is read, so that it is known even of an input that ends the process.
    shows: bool,
    /// Something of the input was taken, and not all refused.
    pub(crate) is_taken: bool,
}

impl Draw {
    pub(crate) fn new(seed: u64, shows: bool) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), shows, is_taken: false }
    }

    /// Prints an input, where a single seed is replayed.
    pub(crate) fn show(&self, what: &str, input: &(impl AsRef<[u8]> + ?Sized)) {
        if self.shows {
            let bytes = input.as_ref();
            match std::str::from_utf8(bytes) {
                Ok(text) => eprintln!("{what}, {} bytes:\n{text}", bytes.len()),
                Err(_binary) => eprintln!("{what}, {} bytes:\n{}", bytes.len(), bytes.escape_ascii()),
            }
        }
    }

    /// Below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// Small ones mostly, and now and then one of any size below `end`.
    pub(crate) fn size(&mut self, end: usize) -> usize {
        let bits = usize::BITS - end.leading_zeros();
        let below = 1usize << self.rng.random_range(0..=bits.min(usize::BITS - 1));
        self.below(below.clamp(1, end))
    }

    /// Below `usual`, and once in so many times below `more`.
    pub(crate) fn size_or_more(&mut self, usual: usize, one_in: usize, more: usize) -> usize {
        let end = if self.one_in(one_in) { more } else { usual };
        self.size(end)
    }

    /// An edge, something beside one, or any number.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(4) {
            0 | 1 => self.pick(&EDGES),
            2 => {
                let edge = self.pick(&EDGES);
                if self.one_in(2) { edge.wrapping_add(1) } else { edge.wrapping_sub(1) }
            }
            _ => {
                let shift = self.below(64);
                self.rng.next_u64() >> shift
            }
        }
    }

    pub(crate) fn signed(&mut self) -> i64 {
        let number = self.number().cast_signed();
        if self.one_in(3) { number.wrapping_neg() } else { number }
    }

    /// Of any bits: not-a-number and subnormals too.
    pub(crate) fn float(&mut self) -> f32 {
        let plain = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-7, 1e30, f32::MAX, f32::INFINITY, f32::NAN];
        if self.one_in(2) { self.pick(&plain) } else { f32::from_bits(self.rng.next_u32()) }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.rng.random()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Text that somebody might send: letters, quotes, controls, what is wide, what joins, what ends a string elsewhere.
    pub(crate) fn text(&mut self, longest: usize) -> String {
        const ODD: [&str; 24] = [
            "\0", "\u{1}", "\n", "\r\n", "\t", "\"", "'", "\\", "/", "..", "%00", "%", "<b>", "&", ";", "{", "}", "$1",
            "é", "漢", "😀", "\u{202e}", "\u{feff}", "\u{ffff}",
        ];
        let len = self.size(longest + 1);
        let mut text = String::new();
        while text.len() < len {
            if self.one_in(3) {
                text.push_str(self.pick(&ODD[..]));
            } else {
                text.push(char::from(self.pick(&b"abcdefxyzABC0123456789-_. "[..])));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_choices_on_every_machine() {
        let mut draw = Draw::new(7, false);

        let found = (draw.below(1000), draw.number(), draw.bytes(4), draw.text(12));

        assert_eq!(found, (140, 7, vec![211, 89, 1, 43], "$1".to_owned()));
    }

    #[test]
    fn a_size_stays_below_its_end() {
        let mut draw = Draw::new(1, false);

        let sizes: Vec<usize> = (0..1000).map(|_| draw.size(70)).collect();

        assert!(sizes.iter().all(|size| *size < 70) && sizes.contains(&0) && sizes.iter().any(|size| *size > 50));
    }
}
