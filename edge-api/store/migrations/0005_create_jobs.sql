-- Customers' orders, and what happened to them.
create table job (
    job_id text primary key,
    account_id text not null references account (account_id),
    -- A retry with the same key gets the first answer, if it asks for the same.
    idempotency_key text not null,
    request_hash text not null,
    name text not null,
    state text not null,
    -- Why its program cannot finish, as JSON; empty in every other state.
    fault text not null,
    privacy text not null,
    published bigint not null,
    -- What the customer asked for, what a device does, where each input begins, and when two outputs are the same:
    -- JSON each, since programs differ.
    program text not null,
    task text not null,
    sources text not null,
    check_rule text not null,
    row_count bigint not null,
    tile_rows bigint not null,
    tiles bigint not null,
    row_flops bigint not null,
    price bigint not null,
    -- Of the largest buffer that a device needs for a tile, and of all that it needs at once.
    device_bytes bigint not null,
    peak_bytes bigint not null,
    hold bigint not null,
    -- Paid so far, the platform's part of it, and what verified work is worth beyond it, in 10^-18 credits: money is
    -- rounded once a job, so what one settlement leaves over a later one pays.
    cost bigint not null,
    fee bigint not null,
    cost_rest bigint not null,
    remaining_tiles bigint not null,
    recomputed_tiles bigint not null,
    created_at bigint not null,
    -- 0 while it runs.
    ended_at bigint not null,
    constraint job_idempotency unique (account_id, idempotency_key),
    constraint job_state_known check (state in ('running', 'done', 'cancelled', 'nondeterministic', 'failed')),
    constraint job_fault_says_why_it_failed check ((state = 'failed') = (fault <> '')),
    constraint job_end_has_a_time check ((state = 'running') = (ended_at = 0)),
    constraint job_privacy_known check (privacy in ('open', 'known', 'own')),
    constraint job_published_is_flag check (published in (0, 1)),
    constraint job_remaining_in_range check (remaining_tiles >= 0 and remaining_tiles <= tiles)
);

create index job_by_account on job (account_id, job_id);
create index job_by_state on job (state, job_id);

-- What happened to a job, for its owner. What happened twice at one moment happened once.
create table job_event (
    job_id text not null references job (job_id),
    created_at bigint not null,
    kind text not null,
    -- Empty where no device has a part in it.
    device_id text not null,
    primary key (job_id, created_at, kind, device_id)
);
