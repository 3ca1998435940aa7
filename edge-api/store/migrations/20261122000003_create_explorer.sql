-- What the explorer shows of devices and of the network over time, and what a portal needs besides jobs.

-- Verified work of a device, and its speed as the scheduler measures it, in operations a second.
alter table device add column tiles bigint not null default 0;
alter table device add column kflop bigint not null default 0;
alter table device add column earned bigint not null default 0;
alter table device add column flops_per_sec bigint not null default 0;
create index device_by_work on device (kflop, device_id);
create index device_by_account on device (account_id, device_id);

-- In thousands of operations; 0 until the receipt is accepted.
alter table receipt add column kflop bigint not null default 0;
create index receipt_by_time on receipt (created_at, lease_id);
create index receipt_by_device on receipt (device_id, created_at, lease_id);

-- Devices on a replica's sockets. A row that nobody refreshed for a minute is stale.
create table presence (
    device_id text primary key references device (device_id),
    replica_id text not null,
    seen_at bigint not null
);

-- Time that a device was online on one day (UTC), counted from midnights.
create table device_day (
    device_id text not null references device (device_id),
    day bigint not null,
    online_micros bigint not null,
    primary key (device_id, day)
);

-- Ten minutes of supply as one replica saw it, and of settled work.
create table supply_period (
    period bigint not null,
    replica_id text not null,
    device_micros bigint not null,
    capacity_kflop bigint not null,
    primary key (period, replica_id)
);

create table work_period (
    period bigint primary key,
    receipts bigint not null,
    tiles bigint not null,
    kflop bigint not null,
    cost bigint not null
);

-- What happened to a job, for its owner.
create table job_event (
    event_id text primary key,
    job_id text not null references job (job_id),
    kind text not null,
    device_id text not null,
    created_at bigint not null
);
create index job_event_by_job on job_event (job_id, event_id);

-- Keys have a name and show their last four characters.
alter table account_key add column name text not null default '';
alter table account_key add column hint text not null default '';
create index account_key_by_account on account_key (account_id, created_at);

-- Links one device to an account, once.
create table device_code (
    code_hash text primary key,
    account_id text not null references account (account_id),
    expires_at bigint not null
);

create index ledger_entry_by_account on ledger_entry (account_id, bucket);

create view public_device as
select device.device_id as device_id, device.class as class, device.name as name, device.backend as backend,
       device.software as software, device.passed as passed, device.failed as failed,
       device.suspended_until as suspended_until, device.tiles as tiles, device.kflop as kflop, device.earned as earned,
       device.flops_per_sec as flops_per_sec, device.created_at as created_at, device.seen_at as seen_at,
       coalesce(presence.seen_at, 0) as present_at
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

-- How many jobs there are is public; which, is not.
create view public_job_count as
select state, cast(count(*) as bigint) as jobs
from job
group by state;

-- What a receipt says of its job is there only when the job is published.
create view public_receipt as
select receipt.lease_id as lease_id, receipt.device_id as device_id, receipt.backend as backend,
       receipt.program as program, receipt.tiles as tiles, receipt.kflop as kflop, receipt.state as state,
       receipt.recomputed as recomputed, receipt.created_at as created_at, job.published as published,
       case when job.published = 1 then receipt.job_id else '' end as job_id
from receipt
join job on job.job_id = receipt.job_id;

create view public_statement as
select receipt.lease_id as lease_id, receipt.job_id as job_id, receipt.device_id as device_id,
       receipt.first_tile as first_tile, receipt.tiles as tiles, receipt.root as root,
       receipt.output_hash as output_hash, receipt.program as program, receipt.backend as backend,
       receipt.device_time as device_time, receipt.signature as signature, receipt.state as state,
       receipt.cost as cost
from receipt
join job on job.job_id = receipt.job_id
where job.published = 1;

create view public_job_source as
select job_id, model_hash, input_hash, input_offset, row_count, row_shape, output_row_shape, tile_rows, tiles, row_flops
from job
where published = 1;
