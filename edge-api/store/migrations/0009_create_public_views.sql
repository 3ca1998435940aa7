-- What the explorer may read, and all that it may: nothing of a job that its owner did not publish, and of nobody's
-- account.
create view public_job as
select job_id, name, state, task, row_count, tiles, row_flops, price, cost, remaining_tiles, recomputed_tiles, created_at,
       ended_at
from job
where published = 1;

create view public_slice as
select slice.job_id as job_id, slice.first_tile as first_tile, slice.tiles as tiles, slice.settled as settled
from slice
join job on job.job_id = slice.job_id
where job.published = 1;

-- How many jobs there are is public; which, is not.
create view public_job_count as
select state, cast(count(*) as bigint) as jobs
from job
group by state;

-- Receipts are public; of which job one is, only when the job is published.
create view public_receipt as
select receipt.lease_id as lease_id, receipt.device_id as device_id, receipt.backend as backend,
       receipt.program as program, receipt.tiles as tiles, receipt.kflop as kflop, receipt.state as state,
       receipt.recomputed as recomputed, receipt.created_at as created_at,
       case when job.published = 1 then receipt.job_id else '' end as job_id
from receipt
join job on job.job_id = receipt.job_id;

-- What was signed names the job and the output, so it is public with the job alone, and only once it was checked: whoever
-- checks it has to compute it.
create view public_statement as
select receipt.lease_id as lease_id, receipt.job_id as job_id, receipt.device_id as device_id,
       receipt.first_tile as first_tile, receipt.tiles as tiles, receipt.root as root,
       receipt.output_hash as output_hash, receipt.program as program, receipt.backend as backend,
       receipt.device_time as device_time, receipt.signature as signature, receipt.state as state,
       receipt.cost as cost, receipt.recomputed as recomputed
from receipt
join job on job.job_id = receipt.job_id
where job.published = 1
  and receipt.state <> 'pending';

create view public_device as
select device.device_id as device_id, device.class as class, device.name as name, device.backend as backend,
       device.software as software, device.passed as passed, device.failed as failed,
       device.suspended_until as suspended_until, device.tiles as tiles, device.kflop as kflop,
       device.earned as earned, device.flops_per_sec as flops_per_sec, device.created_at as created_at,
       device.seen_at as seen_at, coalesce(presence.seen_at, 0) as present_at
from device
left join presence on presence.device_id = device.device_id;

create view public_device_day as
select device_id, day, online_micros
from device_day;

create view public_supply as
select period, device_micros, capacity_kflop
from supply_period;

create view public_work as
select period, receipts, tiles, kflop, cost
from work_period;
