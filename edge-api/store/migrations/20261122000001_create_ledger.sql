-- Accounts, and every movement of money between them.
create table account (
    account_id text primary key,
    kind text not null,
    name text not null,
    verified bigint not null,
    posted bigint not null,
    held bigint not null,
    pending bigint not null,
    created_at bigint not null,
    constraint account_kind_known check (kind in ('customer', 'guest', 'faucet', 'fees')),
    constraint account_held_positive check (held >= 0),
    constraint account_pending_positive check (pending >= 0),
    -- Only the faucet may owe.
    constraint account_covers_holds check (kind = 'faucet' or posted >= held)
);

create table account_key (
    key_hash text primary key,
    account_id text not null references account (account_id),
    created_at bigint not null
);

create table session (
    token_hash text primary key,
    account_id text not null references account (account_id),
    expires_at bigint not null
);

-- One row a leg; the legs of one kind, job, device and ten seconds are summed into one row, so the
-- ledger does not grow with leases. Rows are only ever added to.
create table ledger_entry (
    kind text not null,
    job_id text not null,
    device_id text not null,
    bucket bigint not null,
    account_id text not null references account (account_id),
    purse text not null,
    amount bigint not null,
    primary key (account_id, kind, job_id, device_id, bucket, purse),
    constraint ledger_entry_purse_known check (purse in ('posted', 'pending'))
);

create table hold (
    hold_id text primary key,
    account_id text not null references account (account_id),
    amount bigint not null,
    settled bigint not null,
    state text not null,
    constraint hold_not_overdrawn check (settled >= 0 and settled <= amount),
    constraint hold_state_known check (state in ('open', 'released'))
);
