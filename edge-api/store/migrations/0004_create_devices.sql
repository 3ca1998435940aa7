-- Devices: what they say of themselves, what others verified of them, and when they were here.
create table device (
    device_id text primary key,
    account_id text not null references account (account_id),
    class text not null,
    name text not null,
    backend text not null,
    -- The adapter is a processor that stands in for a GPU.
    software bigint not null,
    -- Accepted leases, how many of them there were when a check last failed, and failed checks.
    passed bigint not null,
    passed_at_failure bigint not null,
    failed bigint not null,
    suspended_until bigint not null,
    -- Verified work, in tiles and in thousands of operations, and what it earned.
    tiles bigint not null,
    kflop bigint not null,
    earned bigint not null,
    -- As the scheduler measured it, in operations a second; 0 until it has shown one.
    flops_per_sec bigint not null,
    created_at bigint not null,
    seen_at bigint not null,
    constraint device_class_known check (class in ('native', 'tab')),
    constraint device_software_is_flag check (software in (0, 1))
);

create index device_by_work on device (kflop, device_id);
create index device_by_account on device (account_id, seen_at, device_id);

-- Links one device to an account, once.
create table device_code (
    code_hash text primary key,
    account_id text not null references account (account_id),
    expires_at bigint not null
);

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
