-- Devices' signed statements, what became of them, and who is paid.
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
    -- All of these are 0 until the receipt is accepted. Work is in thousands of operations.
    cost bigint not null,
    fee bigint not null,
    kflop bigint not null,
    recomputed bigint not null,
    -- It matures once so much of its device's work in this program is verified, in thousands of operations.
    matures_at bigint not null,
    created_at bigint not null,
    constraint receipt_state_known check (state in ('pending', 'accepted', 'matured', 'void', 'rejected'))
);

create index receipt_by_job on receipt (job_id, state, first_tile);
create index receipt_unmatured on receipt (device_id, matures_at) where state = 'accepted';
create index receipt_pending on receipt (slice_id) where state = 'pending';
create index receipt_by_time on receipt (created_at, lease_id);
create index receipt_by_device on receipt (device_id, created_at, lease_id);
