//! What a replica can say of its devices and slices.

use std::collections::BTreeSet;

use wire::number::to;
use wire::{DeviceId, JobId, Micros, SliceId};

use super::challenge::{Challenged, Size};
use super::device::{Census, Device};
use super::line::LineSpeed;
use super::state::Core;
use crate::job::Needs;
use crate::verification::party::Network;

impl Core {
    /// Whether some connected checker has buffers of so many bytes; `None` while none is connected.
    pub fn has_fitting_checker(&self, device_bytes: u64) -> Option<bool> {
        self.rechecks.has_fitting_checker(device_bytes)
    }

    pub fn census(&self, needs: &Needs) -> Census {
        let fitting: Vec<&Device> = self.devices.values().filter(|device| device.fits(None, needs)).collect();
        Census {
            fitting: to(fitting.len()),
            connected: to(self.devices.len()),
            buffer_bytes_max: self.devices.values().map(|device| device.buffer_bytes_max).max().unwrap_or(0),
            flops_per_sec: fitting.iter().map(|device| device.estimated_for(needs)).sum(),
        }
    }

    /// A connected device's measured speed; 0 for one that is gone.
    pub fn flops_per_sec(&self, device: DeviceId) -> u64 {
        self.devices.get(&device).map_or(0, Device::flops_per_sec)
    }

    /// Connected devices with what each of them offers: their speed while they take work, and 0 while they rest.
    pub fn supply(&self, now: Micros) -> Vec<(DeviceId, u64)> {
        let offered = |(id, device): (&DeviceId, &Device)| {
            let offers = self.is_awake(*id, device, now);
            (*id, if offers { device.flops_per_sec() } else { 0 })
        };
        self.devices.iter().map(offered).collect()
    }

    /// Whom a challenge is put to, and what of: all that take others' work now.
    pub fn challenged(&self, now: Micros) -> Vec<(DeviceId, Size)> {
        let takes = |(id, device): &(&DeviceId, &Device)| self.is_awake(**id, device, now) && device.only_job.is_none();
        self.devices.iter().filter(takes).map(|(id, device)| (*id, device.challenge_size())).collect()
    }

    /// The line of a connected device, as measured.
    pub fn line(&self, device: DeviceId) -> Option<LineSpeed> {
        Some(self.devices.get(&device)?.line.measured())
    }

    /// Whether the line of a connected device is to be measured on purpose.
    pub fn wants_probe(&self, device: DeviceId, now: Micros) -> bool {
        self.devices.get(&device).is_some_and(|device| device.line.wants_probe(now))
    }

    /// Where a connected device connects from.
    pub fn network_of(&self, device: DeviceId) -> Option<Network> {
        self.devices.get(&device)?.network
    }

    /// What is known of a connected device that is challenged.
    pub fn known_of(&self, device: DeviceId) -> Option<Challenged> {
        self.devices.get(&device).map(Device::challenged)
    }

    /// A connected device's speed by its work alone, and as others are shown it; 0 for one that is gone.
    pub fn speeds_of(&self, device: DeviceId) -> (u64, u64) {
        self.devices.get(&device).map_or((0, 0), |device| (device.worked_flops_per_sec(), device.flops_per_sec()))
    }

    /// Whether the device takes leases: it computes one or waits for one, and is not suspended.
    fn is_awake(&self, id: DeviceId, device: &Device, now: Micros) -> bool {
        let is_here = device.ready_credits > 0 || self.holdings.get(&id).is_some_and(|holding| !holding.out.is_empty());
        is_here && device.suspended_until <= now
    }

    pub fn devices_at_work(&self, job: JobId) -> u64 {
        let slices = self.jobs.get(&job).into_iter().flat_map(|running| &running.slices);
        let devices: BTreeSet<DeviceId> =
            slices.flat_map(|slice| self.leases_of_slice(*slice)).map(|lease| lease.device).collect();
        to(devices.len())
    }

    /// Some device asked for a lease and has none: no free tile here was one that it could do.
    pub fn is_hungry(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a device here, which waits for work, can do the job.
    pub fn is_wanted(&self, id: JobId, needs: &Needs, now: Micros) -> bool {
        let mut waiting = self.waiting.iter().filter_map(|id| self.devices.get(id));
        waiting.any(|device| device.takes(Some(id), needs, now))
    }

    /// Slices that no device here works on or will: another replica may have one that can.
    pub fn idle_slices(&self, now: Micros) -> BTreeSet<SliceId> {
        let is_served = |id: &JobId| {
            let needs = &self.jobs[id].needs;
            let mut devices = self.devices.iter();
            devices.any(|(device_id, device)| self.is_awake(*device_id, device, now) && device.fits(Some(*id), needs))
        };
        let served: BTreeSet<JobId> = self.jobs.keys().filter(|id| is_served(id)).copied().collect();
        let idle =
            self.slices.iter().filter(|(id, slice)| !self.lent_of.contains_key(id) && !served.contains(&slice.job));
        idle.map(|(id, _)| *id).collect()
    }

    /// The slices that this replica owns.
    pub fn slice_ids(&self) -> Vec<SliceId> {
        self.slices.keys().copied().collect()
    }

    /// Under which fence this replica owns a slice.
    pub fn fence(&self, slice: SliceId) -> Option<i64> {
        self.slices.get(&slice).map(|slice| slice.fence)
    }

    pub fn owns(&self, slice: SliceId) -> bool {
        self.slices.contains_key(&slice)
    }
}
