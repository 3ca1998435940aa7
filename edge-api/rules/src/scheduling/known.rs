//! Connected devices with standing, to draw judges among.

use std::collections::{BTreeMap, BTreeSet};

use wire::DeviceId;
use wire::number::to;

use super::link::Link;

/// Devices among which a judge is drawn by standing, themselves drawn at random where there are more.
const SAMPLE: usize = 64;

/// Connected devices that others have verified work of, so that a judge is drawn among many without looking at them all.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    devices: Vec<DeviceId>,
    places: BTreeMap<DeviceId, usize>,
}

impl Known {
    pub(super) fn add(&mut self, device: DeviceId) {
        if !self.places.contains_key(&device) {
            self.places.insert(device, self.devices.len());
            self.devices.push(device);
        }
    }

    pub(super) fn remove(&mut self, device: DeviceId) {
        let Some(place) = self.places.remove(&device) else { return };
        self.devices.swap_remove(place);
        if let Some(moved) = self.devices.get(place) {
            self.places.insert(*moved, place);
        }
    }

    /// All of them, or a number drawn at random.
    pub(super) fn sample(&self, link: &mut impl Link) -> Vec<DeviceId> {
        if self.devices.len() <= SAMPLE {
            return self.devices.iter().copied().collect::<BTreeSet<DeviceId>>().into_iter().collect();
        }
        let mut sample = BTreeSet::new();
        for _ in 0..SAMPLE {
            let at: usize = to(link.draw_below(to(self.devices.len())));
            sample.insert(self.devices[at]);
        }
        sample.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Record;
    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 32])
    }

    #[test]
    fn few_are_all_looked_at_and_of_many_some_that_are_drawn() {
        let (mut known, mut link) = (Known::default(), Record::default());
        for n in 0..64 {
            known.add(device(n));
            known.add(device(n));
        }
        assert_eq!(known.sample(&mut link), (0..64).map(device).collect::<Vec<_>>());

        known.add(device(64));
        link.drawn = (0..64).rev().collect();
        assert_eq!(known.sample(&mut link).len(), 64);
        known.remove(device(3));
        known.remove(device(3));
        assert!(!known.sample(&mut link).contains(&device(3)));
    }
}
