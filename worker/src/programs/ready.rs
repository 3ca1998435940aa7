//! What stands ready on a device while its jobs' leases come in.

/// Kept at once; the one used longest ago goes first.
const READY_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct Ready<K, V>(Vec<(K, V)>);

impl<K, V> Default for Ready<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> Ready<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.iter().find(|(kept, _)| kept == key).map(|(_, value)| value)
    }

    /// Finds it, and notes that it was used.
    pub(crate) fn take_up(&mut self, key: &K) -> Option<&mut V> {
        let place = self.0.iter().position(|(kept, _)| kept == key)?;
        let entry = self.0.remove(place);
        self.0.push(entry);
        self.0.last_mut().map(|(_, value)| value)
    }

    /// Keeps a value, in place of an older one of that key or of the one used longest ago.
    pub(crate) fn put(&mut self, key: K, value: V) {
        self.0.retain(|(kept, _)| *kept != key);
        if self.0.len() >= READY_MAX {
            self.0.remove(0);
        }
        self.0.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let mut ready = Ready::default();
        (0..4).for_each(|key| ready.put(key, key * 10));

        assert_eq!(ready.take_up(&0), Some(&mut 0));
        ready.put(4, 40);

        assert_eq!((ready.get(&1), ready.get(&0), ready.get(&4)), (None, Some(&0), Some(&40)));
    }
}
