//! Models and kernels that stay prepared on a device while their jobs' leases come in.
//!
//! `lru` rather than `moka`, which the edge uses: a session is run by `&mut`, holds up to gigabytes that
//! have to be free before the next is made, and in a tab may not leave its thread. `moka` hands out
//! clones, asks for `Send + Sync` and lets go of what it evicts some time later.

use std::hash::Hash;

use lru::LruCache;

/// Kept at once; the one used longest ago goes first.
const ENTRIES_MAX: usize = 4;
/// Bytes of them together, whatever one alone takes. A tab's memory ends at four gigabytes.
const BYTES_MAX: usize = if cfg!(target_pointer_width = "32") { 256 << 20 } else { 2 << 30 };

pub(crate) struct PreparedCache<K, V> {
    entries: LruCache<K, Entry<V>>,
    /// Of all entries.
    bytes: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
}

impl<K: Hash + Eq, V> Default for PreparedCache<K, V> {
    fn default() -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0 }
    }
}

impl<K: Hash + Eq, V> PreparedCache<K, V> {
    /// Finds it without noting that it was used.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.peek(key).map(|entry| &entry.value)
    }

    /// Finds it, and notes that it was used.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Keeps a value of about so many bytes, in place of an older one of that key and of those used
    /// longest ago. One stays, however large.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        if let Some(older) = self.entries.pop(&key) {
            self.bytes -= older.bytes;
        }
        while self.entries.len() >= ENTRIES_MAX || self.bytes.saturating_add(bytes) > BYTES_MAX {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bytes -= oldest.bytes;
        }
        self.bytes += bytes;
        self.entries.put(key, Entry { value, bytes });
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
        let half = BYTES_MAX / 2;
        cache.insert("small", 1, 1);
        cache.insert("half", 2, half);
        cache.insert("other half", 3, half);
        assert_eq!((cache.peek(&"small"), cache.peek(&"half"), cache.peek(&"other half")), (None, Some(&2), Some(&3)));

        cache.insert("too large", 4, 2 * BYTES_MAX);

        assert_eq!((cache.peek(&"other half"), cache.peek(&"too large")), (None, Some(&4)), "one stays, however large");
    }
}
