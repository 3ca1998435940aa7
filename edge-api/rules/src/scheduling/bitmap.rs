//! A slice's tiles, a bit each.

use wire::number::to;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    len: u64,
    words: Vec<u64>,
    /// Counted along, since it is asked for with every lease.
    ones: u64,
}

impl Bitmap {
    pub fn new(len: u64) -> Self {
        Self { len, words: vec![0; to(len.div_ceil(64))], ones: 0 }
    }

    /// Reads what [`Bitmap::to_bytes`] wrote. `None` when the length differs.
    pub fn from_bytes(len: u64, bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let fits = rest.is_empty() && u64::try_from(words.len()).ok() == Some(len.div_ceil(64));
        let ones = words.iter().map(|word| u64::from(word.count_ones())).sum();
        fits.then_some(Self { len, words, ones })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub fn get(&self, i: u64) -> bool {
        self.words[to::<usize>(i / 64)] >> (i % 64) & 1 == 1
    }

    pub fn set(&mut self, first: u64, count: u64) {
        self.change(first, count, |word, mask| *word |= mask);
    }

    pub fn clear(&mut self, first: u64, count: u64) {
        self.change(first, count, |word, mask| *word &= !mask);
    }

    fn change(&mut self, first: u64, count: u64, apply: impl Fn(&mut u64, u64)) {
        assert!(first + count <= self.len, "a range should lie inside its slice");
        let (mut at, end) = (first, first + count);
        while at < end {
            let bits = (64 - at % 64).min(end - at);
            let word = &mut self.words[to::<usize>(at / 64)];
            let before = u64::from(word.count_ones());
            apply(word, (u64::MAX >> (64 - bits)) << (at % 64));
            self.ones = self.ones + u64::from(word.count_ones()) - before;
            at += bits;
        }
    }

    pub fn is_clear(&self, first: u64, count: u64) -> bool {
        count == 0 || self.clear_run(first, count) == Some((first, count))
    }

    pub fn is_set(&self, first: u64, count: u64) -> bool {
        self.next_bit(first, |word| !word) >= first + count
    }

    pub fn count_ones(&self) -> u64 {
        self.ones
    }

    /// The first run of clear bits at or after `from`, at most `most` long.
    pub fn clear_run(&self, from: u64, most: u64) -> Option<(u64, u64)> {
        let first = self.next_bit(from, |word| !word);
        if first >= self.len || most == 0 {
            return None;
        }
        let end = self.next_bit(first, |word| word).min(first.saturating_add(most)).min(self.len);
        Some((first, end - first))
    }

    /// The first bit at or after `from` that is set in what `view` makes of its word; else where the last word ends.
    fn next_bit(&self, from: u64, view: impl Fn(u64) -> u64) -> u64 {
        let mut at = from;
        while let Some(word) = self.words.get(to::<usize>(at / 64)) {
            let ahead = view(*word) >> (at % 64);
            if ahead != 0 {
                return at + u64::from(ahead.trailing_zeros());
            }
            at = (at / 64 + 1) * 64;
        }
        at
    }

    /// Runs of set bits, as long as they are: where each begins, and how many.
    pub fn set_runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = self.next_bit(at, |word| word);
            (first < self.len).then(|| {
                at = self.next_bit(first, |word| !word).min(self.len);
                (first, at - first)
            })
        })
    }

    pub fn ones(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len).filter(|&i| self.get(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_clear_bits_are_found_between_set_ones() {
        let mut bits = Bitmap::new(200);
        bits.set(0, 130);
        bits.set(140, 5);

        assert_eq!(bits.clear_run(0, 100), Some((130, 10)));
        assert_eq!(bits.clear_run(135, 3), Some((135, 3)));
        assert_eq!(bits.clear_run(140, 100), Some((145, 55)));
        bits.set(130, 10);
        bits.set(145, 55);
        assert_eq!(bits.clear_run(0, 1), None);
        assert_eq!(bits.count_ones(), 200);
        assert!(bits.is_set(0, 200) && bits.is_set(200, 0) && !bits.is_set(190, 11));
        bits.clear(60, 70);
        assert_eq!((bits.count_ones(), bits.clear_run(0, 200)), (130, Some((60, 70))));
        assert!(bits.is_clear(60, 70) && !bits.is_clear(60, 71) && !bits.is_clear(59, 2) && bits.is_clear(0, 0));
        bits.clear(60, 1);
        assert_eq!(bits.count_ones(), 130, "it was clear");
    }

    #[test]
    fn runs_of_set_bits_are_as_long_as_they_are() {
        let mut bits = Bitmap::new(200);
        assert_eq!(bits.set_runs().count(), 0);
        bits.set(0, 3);
        bits.set(60, 70);
        bits.set(199, 1);

        assert_eq!(bits.set_runs().collect::<Vec<_>>(), [(0, 3), (60, 70), (199, 1)]);
        bits.set(0, 200);
        assert_eq!(bits.set_runs().collect::<Vec<_>>(), [(0, 200)]);
    }

    #[test]
    fn bytes_of_another_length_are_not_a_bitmap() {
        let bits = Bitmap::new(65);

        assert_eq!(Bitmap::from_bytes(65, &bits.to_bytes()), Some(bits.clone()));
        assert_eq!(Bitmap::from_bytes(64, &bits.to_bytes()), None);
    }
}
