//! What stands ready on a device while its jobs' leases come in.

use super::READY_BYTES_MAX;

/// Kept at once; the one used longest ago goes first.
const READY_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct Ready<K, V>(Vec<Kept<K, V>>);

#[derive(Debug)]
struct Kept<K, V> {
    key: K,
    value: V,
    bytes: usize,
}

impl<K, V> Default for Ready<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> Ready<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.iter().find(|kept| kept.key == *key).map(|kept| &kept.value)
    }

    /// Finds it, and notes that it was used.
    pub(crate) fn take_up(&mut self, key: &K) -> Option<&mut V> {
        let place = self.0.iter().position(|kept| kept.key == *key)?;
        let entry = self.0.remove(place);
        self.0.push(entry);
        self.0.last_mut().map(|kept| &mut kept.value)
    }

    /// Keeps a value of about so many bytes, in place of an older one of that key or of those used
    /// longest ago.
    pub(crate) fn put(&mut self, key: K, value: V, bytes: usize) {
        self.0.retain(|kept| kept.key != key);
        let mut room = READY_BYTES_MAX.saturating_sub(bytes);
        let mut places = READY_MAX - 1;
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
        let mut ready = Ready::default();
        (0..4).for_each(|key| ready.put(key, key * 10, 1));

        assert_eq!(ready.take_up(&0), Some(&mut 0));
        ready.put(4, 40, 1);

        assert_eq!((ready.get(&1), ready.get(&0), ready.get(&4)), (None, Some(&0), Some(&40)));
    }

    #[test]
    fn large_ones_make_room_sooner() {
        let mut ready = Ready::default();
        let half = READY_BYTES_MAX / 2;
        ready.put("small", 1, 1);
        ready.put("half", 2, half);
        ready.put("other half", 3, half);
        assert_eq!((ready.get(&"small"), ready.get(&"half"), ready.get(&"other half")), (None, Some(&2), Some(&3)));

        ready.put("too large", 4, 2 * READY_BYTES_MAX);

        assert_eq!((ready.get(&"other half"), ready.get(&"too large")), (None, Some(&4)), "one stays, however large");
    }
}
