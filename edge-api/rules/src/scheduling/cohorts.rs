//! Devices that are alike in all that [`Device::fits`] looks at, together: so that whoever looks for a device of a kind looks
//! at kinds, of which there are few, and never at devices.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AccountId, DeviceId, JobId, Privacy};

use super::device::Device;
use super::steps::step;
use crate::job::Needs;

/// Whose jobs devices may be lent. A device is in every pool that it is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pool {
    /// Anybody's, and if they are of a verified account, those that only such may see.
    Anybody { verified: bool },
    /// Those of their own account.
    Own(AccountId),
    /// This one of their own account.
    Only(AccountId, JobId),
}

impl Pool {
    fn of_device(device: &Device) -> impl Iterator<Item = Self> + use<> {
        let pools = match device.only_job {
            Some(job) => [Some(Self::Only(device.account, job)), None],
            None => [Some(Self::Anybody { verified: device.verified }), Some(Self::Own(device.account))],
        };
        pools.into_iter().flatten()
    }

    /// Those that a job may be lent to.
    pub(super) fn of_job(id: Option<JobId>, needs: &Needs) -> impl Iterator<Item = Self> + use<> {
        let [strangers, known] = [false, true].map(|verified| Self::Anybody { verified });
        let pools = match needs.privacy {
            Privacy::Open => [Some(strangers), Some(known)],
            Privacy::Known => [Some(known), None],
            Privacy::Own => [Some(Self::Own(needs.customer)), None],
        };
        pools.into_iter().chain([id.map(|id| Self::Only(needs.customer, id))]).flatten()
    }
}

/// What devices can run, beside the size of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ability {
    pub(super) runs_kernels: bool,
    unfit_for: BTreeSet<JobId>,
}

impl Ability {
    pub(super) fn suits(&self, id: Option<JobId>, needs: &Needs) -> bool {
        (self.runs_kernels || !needs.kernels) && id.is_none_or(|id| !self.unfit_for.contains(&id))
    }
}

/// A device's turn among those that would take a lease: first who gave least back and holds least, then who has waited for
/// longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) strikes: u32,
    pub(super) out: usize,
    /// Counts up with each device that begins to wait.
    pub(super) since: u64,
    pub(super) device: DeviceId,
}

/// What of a device changes as it works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// It computes or would.
    pub(super) is_awake: bool,
    /// It would take a lease, and may have one.
    pub(super) place: Option<Place>,
    /// What it has shown, with models and with kernels, in operations a second.
    pub(super) speeds: [u64; 2],
}

/// Devices alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cohort {
    devices: u64,
    awake: u64,
    speeds: [u128; 2],
    ready: BTreeSet<Place>,
}

impl Cohort {
    fn add(&mut self, activity: &Activity) {
        self.devices += 1;
        self.awake += u64::from(activity.is_awake);
        self.ready.extend(activity.place);
        for (sum, speed) in self.speeds.iter_mut().zip(activity.speeds) {
            *sum += u128::from(speed);
        }
    }

    fn take(&mut self, activity: &Activity) {
        self.devices -= 1;
        self.awake -= u64::from(activity.is_awake);
        if let Some(place) = activity.place {
            self.ready.remove(&place);
        }
        for (sum, speed) in self.speeds.iter_mut().zip(activity.speeds) {
            *sum -= u128::from(speed);
        }
    }

    pub(super) fn is_awake(&self) -> bool {
        self.awake > 0
    }
}

/// Devices of one pool that are alike, and in what.
pub(super) struct Alike<'a> {
    pub(super) pool: Pool,
    pub(super) ability: &'a Ability,
    pub(super) buffer_bytes_max: u64,
    pub(super) cohort: &'a Cohort,
}

/// Where a device is found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filing {
    pools: Vec<Pool>,
    ability: Ability,
    buffer_bytes_max: u64,
    activity: Activity,
}

type BySize = BTreeMap<u64, Cohort>;

/// All connected devices by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cohorts {
    pools: BTreeMap<Pool, BTreeMap<Ability, BySize>>,
    filings: BTreeMap<DeviceId, Filing>,
    /// How many devices have such buffers.
    buffers: BTreeMap<u64, u64>,
    /// Devices that would take a lease, and may have one.
    ready: usize,
}

impl Cohorts {
    /// The device is found as it is now.
    pub(super) fn file(&mut self, id: DeviceId, device: &Device, activity: Activity) {
        if let Some(filing) = self.filings.get_mut(&id)
            && filing.ability.unfit_for == device.unfit_for
        {
            let before = std::mem::replace(&mut filing.activity, activity);
            if before != activity {
                self.ready = self.ready + usize::from(activity.place.is_some()) - usize::from(before.place.is_some());
                refile(&mut self.pools, filing, &before);
            }
            return;
        }
        self.remove(id);
        let ability = Ability { runs_kernels: device.runs_kernels, unfit_for: device.unfit_for.clone() };
        let (pools, buffer_bytes_max) = (Pool::of_device(device).collect(), device.buffer_bytes_max);
        let filing = Filing { pools, ability, buffer_bytes_max, activity };
        for pool in &filing.pools {
            step();
            let abilities = self.pools.entry(*pool).or_default();
            let sizes = abilities.entry(filing.ability.clone()).or_default();
            sizes.entry(filing.buffer_bytes_max).or_default().add(&filing.activity);
        }
        *self.buffers.entry(filing.buffer_bytes_max).or_default() += 1;
        self.ready += usize::from(activity.place.is_some());
        self.filings.insert(id, filing);
    }

    pub(super) fn remove(&mut self, id: DeviceId) {
        let Some(filing) = self.filings.remove(&id) else { return };
        for pool in &filing.pools {
            step();
            self.leave_pool(*pool, &filing);
        }
        if let Some(devices) = self.buffers.get_mut(&filing.buffer_bytes_max) {
            *devices -= 1;
            if *devices == 0 {
                self.buffers.remove(&filing.buffer_bytes_max);
            }
        }
        self.ready -= usize::from(filing.activity.place.is_some());
    }

    fn leave_pool(&mut self, pool: Pool, filing: &Filing) {
        let Some(abilities) = self.pools.get_mut(&pool) else { return };
        let Some(sizes) = abilities.get_mut(&filing.ability) else { return };
        let Some(cohort) = sizes.get_mut(&filing.buffer_bytes_max) else { return };
        cohort.take(&filing.activity);
        if cohort.devices > 0 {
            return;
        }
        sizes.remove(&filing.buffer_bytes_max);
        if sizes.is_empty() {
            abilities.remove(&filing.ability);
        }
        if abilities.is_empty() {
            self.pools.remove(&pool);
        }
    }

    /// A device's turn, if it would take a lease and may have one.
    pub(super) fn place(&self, id: DeviceId) -> Option<Place> {
        self.filings.get(&id)?.activity.place
    }

    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// The largest buffer of all connected devices, in bytes.
    pub(super) fn buffer_bytes_max(&self) -> u64 {
        self.buffers.keys().next_back().copied().unwrap_or(0)
    }

    /// Devices of a pool.
    pub(super) fn of_pool(&self, pool: Pool) -> impl Iterator<Item = Alike<'_>> {
        let abilities = self.pools.get(&pool).into_iter().flatten();
        let sizes =
            abilities.flat_map(|(ability, sizes)| sizes.iter().map(move |(size, cohort)| (ability, *size, cohort)));
        sizes.inspect(|_| step()).map(move |(ability, buffer_bytes_max, cohort)| Alike {
            pool,
            ability,
            buffer_bytes_max,
            cohort,
        })
    }

    /// Devices that may do a job.
    fn fitting(&self, id: Option<JobId>, needs: &Needs) -> impl Iterator<Item = &Cohort> {
        let alike = Pool::of_job(id, needs).filter_map(|pool| self.pools.get(&pool)).flatten().inspect(|_| step());
        let suiting = alike.filter(move |(ability, _)| ability.suits(id, needs));
        suiting.flat_map(|(_, sizes)| sizes.range(needs.device_bytes..)).map(|(_, cohort)| cohort).inspect(|_| step())
    }

    /// How many may do the job.
    pub(super) fn count(&self, id: Option<JobId>, needs: &Needs) -> u64 {
        self.fitting(id, needs).map(|cohort| cohort.devices).sum()
    }

    /// What those that may do the job have shown together, in operations a second.
    pub(super) fn flops_per_sec(&self, id: Option<JobId>, needs: &Needs) -> u64 {
        let sum: u128 = self.fitting(id, needs).map(|cohort| cohort.speeds[usize::from(needs.kernels)]).sum();
        u64::try_from(sum).unwrap_or(u64::MAX)
    }

    /// Whether one of them computes or would.
    pub(super) fn is_anybody_awake(&self, id: JobId, needs: &Needs) -> bool {
        self.fitting(Some(id), needs).any(Cohort::is_awake)
    }

    /// Whose turn it is among those that would take a lease of the job.
    pub(super) fn first_ready(&self, id: JobId, needs: &Needs) -> Option<DeviceId> {
        let heads = self.fitting(Some(id), needs).filter_map(|cohort| cohort.ready.first());
        heads.min().map(|place| place.device)
    }
}

/// The device is as it was in all but what it does.
fn refile(pools: &mut BTreeMap<Pool, BTreeMap<Ability, BySize>>, filing: &Filing, before: &Activity) {
    for pool in &filing.pools {
        step();
        let sizes = pools.get_mut(pool).and_then(|abilities| abilities.get_mut(&filing.ability));
        if let Some(cohort) = sizes.and_then(|sizes| sizes.get_mut(&filing.buffer_bytes_max)) {
            cohort.take(before);
            cohort.add(&filing.activity);
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::device::DeviceClass;

    use super::*;
    use crate::job::Job;
    use crate::scheduling::tests::{account, job_id, kernel, open_job};

    fn device(n: u64) -> Device {
        Device::new(account(n), DeviceClass::Native, n.is_multiple_of(2), 1 << (10 + n % 4))
    }

    /// Devices of all kinds, alike in no order.
    fn devices() -> Vec<(DeviceId, Device)> {
        let numbered = |n: u8| {
            let mut device = device(u64::from(n % 7));
            device.runs_kernels = n.is_multiple_of(3);
            device.only_job = n.is_multiple_of(5).then(|| job_id(u64::from(n % 10)));
            if n % 4 == 1 {
                device.unfit_for.insert(job_id(5));
            }
            (DeviceId([n; 32]), device)
        };
        (0..80).map(numbered).collect()
    }

    fn cohorts(devices: &[(DeviceId, Device)]) -> Cohorts {
        let mut cohorts = Cohorts::default();
        for (since, (id, device)) in (0..).zip(devices.iter().rev()) {
            let place = Place { strikes: u32::from(id.0[0] % 2), out: 0, since, device: *id };
            let activity = Activity { is_awake: true, place: Some(place), speeds: [1, 2] };
            cohorts.file(*id, device, activity);
        }
        cohorts
    }

    #[test]
    fn kinds_find_the_same_devices_as_a_look_at_each_of_them() {
        let devices = devices();
        let cohorts = cohorts(&devices);
        for privacy in [Privacy::Open, Privacy::Known, Privacy::Own] {
            for (task, customer) in [(open_job().task, 3), (kernel(), 0), (kernel(), 99)] {
                for (id, device_bytes) in [(None, 1), (Some(job_id(5)), 1 << 11), (Some(job_id(0)), 3000)] {
                    let job =
                        Job { privacy, task: task.clone(), customer: account(customer), device_bytes, ..open_job() };
                    let needs = job.needs();
                    let fitting: Vec<_> = devices.iter().filter(|(_, device)| device.fits(id, &needs)).collect();
                    assert_eq!(
                        cohorts.count(id, &needs),
                        wire::number::to::<u64>(fitting.len()),
                        "{needs:?} of {id:?}"
                    );
                    let Some(id) = id else { continue };
                    let first = fitting.iter().filter_map(|(id, _)| cohorts.place(*id)).min();
                    assert_eq!(cohorts.first_ready(id, &needs), first.map(|place| place.device), "{needs:?} of {id}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_left_of_devices_that_are_gone() {
        let devices = devices();
        let mut cohorts = cohorts(&devices);

        for (id, _) in &devices {
            cohorts.remove(*id);
        }

        assert_eq!(cohorts, Cohorts::default());
    }
}
