-- Ten minutes of supply as one replica saw it, and of settled work: what the explorer's charts are drawn from.
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
