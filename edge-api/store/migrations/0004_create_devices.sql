-- Devices: what they say of themselves, what others verified of them, and when they were here.
create table device (
    device_id text primary key,
    account_id text not null references account (account_id),
    class text not null,
    name text not null,
    backend text not null,
    -- The adapter is a processor that stands in for a GPU.
    software bigint not null,
    -- Where it last connected from: the first address of its network, or empty where that tells nobody apart.
    network text not null,
    -- Accepted leases, and failed checks.
    passed bigint not null,
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

-- A device's work that others verified, by program, in thousands of operations: ever, and when a check last failed.
-- What came since then is its standing.
create table device_standing (
    device_id text not null references device (device_id),
    program text not null,
    verified_kflop bigint not null,
    verified_at_failure bigint not null,
    primary key (device_id, program),
    constraint device_standing_in_range check (verified_at_failure >= 0 and verified_at_failure <= verified_kflop)
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
