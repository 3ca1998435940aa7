//! Models and kernels that stay prepared on a device while its jobs' leases come in.

use super::PREPARED_BYTES_MAX;

/// Kept at once; the one used longest ago goes first.
const PREPARED_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct PreparedCache<K, V>(Vec<Kept<K, V>>);

#[derive(Debug)]
struct Kept<K, V> {
    key: K,
    value: V,
    bytes: usize,
}

impl<K, V> Default for PreparedCache<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> PreparedCache<K, V> {
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.0.iter().find(|kept| kept.key == *key).map(|kept| &kept.value)
    }

    /// Finds it, and notes that it was used.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.0.iter().position(|kept| kept.key == *key)?;
        let entry = self.0.remove(place);
        self.0.push(entry);
        self.0.last_mut().map(|kept| &mut kept.value)
    }

    /// Keeps a value of about so many bytes, in place of an older one of that key or of those used
    /// longest ago.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.0.retain(|kept| kept.key != key);
        let mut room = PREPARED_BYTES_MAX.saturating_sub(bytes);
        let mut places = PREPARED_MAX - 1;
        let newest = self.0.iter().rev();
        let stay = newest.take_while(|kept| {
            let fits = places > 0 && kept.bytes <= room;
            (places, room) = (places.saturating_sub(1), room.saturating_sub(kept.bytes));
            fits
        });
        let gone = self.0.len() - stay.count();
        self.0.drain(..gone);
        self.0.push(Kept { key, value, bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let mut cache = PreparedCache::default();
        (0..4).for_each(|key| cache.insert(key, key * 10, 1));

        assert_eq!(cache.get_mut(&0), Some(&mut 0));
        cache.insert(4, 40, 1);

        assert_eq!((cache.peek(&1), cache.peek(&0), cache.peek(&4)), (None, Some(&0), Some(&40)));
    }

    #[test]
    fn large_ones_make_room_sooner() {
        let mut cache = PreparedCache::default();
        let half = PREPARED_BYTES_MAX / 2;
        cache.insert("small", 1, 1);
        cache.insert("half", 2, half);
        cache.insert("other half", 3, half);
        assert_eq!((cache.peek(&"small"), cache.peek(&"half"), cache.peek(&"other half")), (None, Some(&2), Some(&3)));

        cache.insert("too large", 4, 2 * PREPARED_BYTES_MAX);

        assert_eq!((cache.peek(&"other half"), cache.peek(&"too large")), (None, Some(&4)), "one stays, however large");
    }
}
