//! What a replica can say of its devices and slices.

use std::collections::BTreeSet;

use wire::number::to;
use wire::{DeviceId, JobId, Micros, SliceId};

use super::device::{Census, Device};
use super::state::Core;
use crate::job::Needs;

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

    /// Connected devices with their measured speeds.
    pub fn speeds(&self) -> Vec<(DeviceId, u64)> {
        self.devices.iter().map(|(id, device)| (*id, device.flops_per_sec())).collect()
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
            self.devices.iter().any(|(device_id, device)| {
                let is_awake = device.ready_credits > 0 || self.holdings.contains_key(device_id);
                is_awake && device.suspended_until <= now && device.fits(Some(*id), needs)
            })
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
