-- Blobs, devices, jobs, their slices and receipts.
create table blob (
    hash text primary key,
    size bigint not null,
    created_at bigint not null
);

-- A hash is an address: who may read by it stands here.
create table blob_owner (
    account_id text not null references account (account_id),
    hash text not null references blob (hash),
    created_at bigint not null,
    primary key (account_id, hash)
);

create table device (
    device_id text primary key,
    account_id text not null references account (account_id),
    class text not null,
    name text not null,
    backend text not null,
    software bigint not null,
    -- Accepted leases, and how many of them there were when a check last failed.
    passed bigint not null,
    passed_at_failure bigint not null,
    failed bigint not null,
    suspended_until bigint not null,
    created_at bigint not null,
    seen_at bigint not null
);

create table job (
    job_id text primary key,
    account_id text not null references account (account_id),
    idempotency_key text not null,
    request_hash text not null,
    name text not null,
    state text not null,
    privacy text not null,
    published bigint not null,
    program text not null,
    model_hash text not null,
    input_hash text not null,
    input_offset bigint not null,
    row_count bigint not null,
    row_shape text not null,
    output_row_shape text not null,
    tile_rows bigint not null,
    tiles bigint not null,
    row_flops bigint not null,
    price bigint not null,
    device_bytes bigint not null,
    hold bigint not null,
    cost bigint not null,
    remaining_tiles bigint not null,
    recomputed_tiles bigint not null,
    created_at bigint not null,
    ended_at bigint not null,
    constraint job_idempotency unique (account_id, idempotency_key),
    constraint job_state_known check (state in ('running', 'done', 'cancelled', 'nondeterministic')),
    constraint job_remaining_in_range check (remaining_tiles >= 0 and remaining_tiles <= tiles)
);

create index job_by_account on job (account_id, job_id);
create index job_by_state on job (state, job_id);

create table replica (
    replica_id text primary key,
    heartbeat_at bigint not null
);

create table slice (
    slice_id text primary key,
    job_id text not null references job (job_id),
    first_tile bigint not null,
    tiles bigint not null,
    settled bytea not null,
    remaining bigint not null,
    owner text not null,
    fence bigint not null,
    version bigint not null,
    constraint slice_remaining_in_range check (remaining >= 0 and remaining <= tiles)
);

create index slice_by_job on slice (job_id, first_tile);
create index slice_unfinished on slice (slice_id) where remaining > 0;

create table receipt (
    lease_id text primary key,
    job_id text not null references job (job_id),
    slice_id text not null references slice (slice_id),
    device_id text not null references device (device_id),
    account_id text not null references account (account_id),
    first_tile bigint not null,
    tiles bigint not null,
    root text not null,
    output_hash text not null,
    program text not null,
    backend text not null,
    device_time bigint not null,
    signature text not null,
    state text not null,
    cost bigint not null,
    fee bigint not null,
    recomputed bigint not null,
    sequence bigint not null,
    created_at bigint not null,
    constraint receipt_state_known check (state in ('pending', 'accepted', 'matured', 'void', 'rejected'))
);

create index receipt_by_job on receipt (job_id, state, first_tile);
create index receipt_unmatured on receipt (device_id, sequence) where state = 'accepted';

-- What the explorer may read: nothing of a job that its owner did not publish.
create view public_job as
select job_id, name, state, model_hash, row_count, tile_rows, tiles, row_flops, price, cost, remaining_tiles,
       recomputed_tiles, created_at, ended_at
from job
where published = 1;

create view public_share as
select receipt.job_id as job_id, receipt.device_id as device_id, receipt.backend as backend,
       cast(sum(receipt.tiles) as bigint) as tiles, cast(count(*) as bigint) as receipts
from receipt
join job on job.job_id = receipt.job_id
where job.published = 1
  and receipt.state in ('accepted', 'matured')
group by receipt.job_id, receipt.device_id, receipt.backend;

create view public_slice as
select slice.job_id as job_id, slice.first_tile as first_tile, slice.tiles as tiles, slice.settled as settled
from slice
join job on job.job_id = slice.job_id
where job.published = 1;

-- What all replicas must know and nobody else may: the key that seals the passes of leases.
create table secret (
    name text primary key,
    value text not null
);
