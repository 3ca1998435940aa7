//! Devices that wait and whose word on others' work counts, by program, so that one is drawn by its standing without a look at
//! all the others.

use std::collections::{BTreeMap, BTreeSet};

use wire::DeviceId;

use super::steps::step;
use crate::verification::standing::{Standing, Standings};

#[derive(Debug, Default)]
pub(super) struct Judges {
    programs: BTreeMap<String, Weights>,
}

impl Judges {
    /// The device judges by these standings, or, without any, no more.
    pub(super) fn file(&mut self, id: DeviceId, standings: Option<&Standings>) {
        let verified = |program: &str| standings.and_then(|all| all.verified_kflop.get(program)).copied().unwrap_or(0);
        for (program, weights) in &mut self.programs {
            step();
            weights.set(id, weight(verified(program)));
        }
        let of_device = standings.into_iter().flat_map(|standings| &standings.verified_kflop);
        for (program, kflop) in of_device {
            step();
            if weight(*kflop) > 0 && !self.programs.contains_key(program) {
                self.programs.entry(program.clone()).or_default().set(id, *kflop);
            }
        }
    }

    /// All of them, by program, with their weights.
    pub(super) fn all(&self) -> BTreeSet<(&str, DeviceId, u64)> {
        let weights = self.programs.iter().map(|(program, weights)| (program.as_str(), weights));
        weights
            .flat_map(|(program, weights)| weights.entries.iter().map(move |(id, weight)| (program, *id, *weight)))
            .collect()
    }

    pub(super) fn of(&self, program: &str) -> Option<&Weights> {
        self.programs.get(program)
    }

    /// Programs that the device judges.
    pub(super) fn programs_of(&self, id: DeviceId) -> impl Iterator<Item = &str> {
        let judged = self.programs.iter().filter(move |(_, weights)| weights.contains(id));
        judged.map(|(program, _)| program.as_str())
    }
}

fn weight(verified_kflop: u64) -> u64 {
    if (Standing { verified_kflop, age: 0 }).is_established() { verified_kflop } else { 0 }
}

/// Devices with weights, from which one is drawn: sums of weights as a binary indexed tree.
#[derive(Debug, Default)]
pub(super) struct Weights {
    entries: Vec<(DeviceId, u64)>,
    places: BTreeMap<DeviceId, usize>,
    /// At `i`, counted from one, what the last `i & -i` entries up to the `i`th weigh together.
    sums: Vec<u128>,
}

impl Weights {
    fn contains(&self, id: DeviceId) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.entries.iter().map(|(id, _)| *id).inspect(|_| step())
    }

    /// Without weight it is not among them.
    fn set(&mut self, id: DeviceId, weight: u64) {
        match self.places.get(&id).copied() {
            Some(place) if self.entries[place].1 == weight => {}
            Some(place) if weight > 0 => self.change(place, weight),
            Some(place) => self.remove(place),
            None if weight > 0 => self.push(id, weight),
            None => {}
        }
    }

    fn push(&mut self, id: DeviceId, weight: u64) {
        self.places.insert(id, self.entries.len());
        self.entries.push((id, weight));
        let end = self.entries.len();
        let mut sum = u128::from(weight);
        let mut at = end - 1;
        while at > end - lowest_bit(end) {
            sum += self.sums[at - 1];
            at -= lowest_bit(at);
        }
        self.sums.push(sum);
    }

    fn remove(&mut self, place: usize) {
        let Some(&(last, weight)) = self.entries.last() else { return };
        let (id, _) = self.entries[place];
        if last != id {
            self.change(place, weight);
            self.entries[place].0 = last;
            self.places.insert(last, place);
        }
        self.entries.pop();
        self.sums.pop();
        self.places.remove(&id);
    }

    fn change(&mut self, place: usize, weight: u64) {
        let before = std::mem::replace(&mut self.entries[place].1, weight);
        let mut at = place + 1;
        while at <= self.sums.len() {
            step();
            self.sums[at - 1] = self.sums[at - 1] + u128::from(weight) - u128::from(before);
            at += lowest_bit(at);
        }
    }

    /// What all of them weigh together.
    pub(super) fn total(&self) -> u64 {
        let mut at = self.sums.len();
        let mut total = 0;
        while at > 0 {
            total += self.sums[at - 1];
            at -= lowest_bit(at);
        }
        u64::try_from(total).unwrap_or(u64::MAX)
    }

    /// The one within whose weight `drawn` lies, where all are laid side by side.
    pub(super) fn find(&self, drawn: u64) -> Option<DeviceId> {
        let (mut at, mut left) = (0, u128::from(drawn));
        let mut stride = self.sums.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        while stride > 0 {
            step();
            if let Some(sum) = self.sums.get(at + stride - 1)
                && *sum <= left
            {
                left -= sum;
                at += stride;
            }
            stride /= 2;
        }
        self.entries.get(at).map(|(id, _)| *id)
    }
}

fn lowest_bit(at: usize) -> usize {
    at & at.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 32])
    }

    proptest! {
        #[test]
        fn whoever_is_drawn_is_drawn_by_its_weight(changes in prop::collection::vec((0..20_u8, 0..5_u64), 0..100)) {
            let (mut weights, mut expected) = (Weights::default(), BTreeMap::new());
            for (n, weight) in changes {
                weights.set(device(n), weight);
                expected.insert(device(n), weight);
            }
            expected.retain(|_, weight| *weight > 0);

            let mut drawn: BTreeMap<DeviceId, u64> = BTreeMap::new();
            for at in 0..weights.total() {
                *drawn.entry(weights.find(at).unwrap()).or_default() += 1;
            }
            prop_assert_eq!(&drawn, &expected);
            prop_assert_eq!(weights.find(weights.total()), None);
        }
    }

    #[test]
    fn whose_standing_does_not_suffice_or_is_taken_judges_nothing() {
        let (mut judges, mut standings) = (Judges::default(), Standings::default());
        standings.add("infer", 1_000_000_000);
        standings.add("map", 1);

        judges.file(device(1), Some(&standings));
        assert_eq!(judges.programs_of(device(1)).collect::<Vec<_>>(), ["infer"]);
        standings.add("map", 1_000_000_000);
        judges.file(device(1), Some(&standings));
        assert_eq!(judges.programs_of(device(1)).collect::<Vec<_>>(), ["infer", "map"]);
        judges.file(device(1), None);

        assert_eq!(judges.programs_of(device(1)).count(), 0);
        assert_eq!(judges.of("infer").map(Weights::total), Some(0));
    }
}
