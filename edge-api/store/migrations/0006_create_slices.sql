-- Tiles are not rows: a job is a handful of slices, each owned by one replica at a time. An owner's writes name the
-- slice's fence and version, so that one which slept changes nothing after it wakes.
create table replica (
    replica_id text primary key,
    heartbeat_at bigint not null
);

create table slice (
    slice_id text primary key,
    job_id text not null references job (job_id),
    first_tile bigint not null,
    tiles bigint not null,
    -- A bit a tile.
    settled bytea not null,
    remaining bigint not null,
    -- Empty while nobody owns it.
    owner text not null,
    fence bigint not null,
    version bigint not null,
    constraint slice_remaining_in_range check (remaining >= 0 and remaining <= tiles)
);

create index slice_by_job on slice (job_id, first_tile);
create index slice_unfinished on slice (slice_id) where remaining > 0;

-- What all replicas must know and nobody else may: the key that seals the tokens of leases.
create table secret (
    name text primary key,
    value text not null
);
