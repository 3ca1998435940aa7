-- Who pays or is paid, and what opens an account: keys for programs, sessions for browsers. Secrets are kept as hashes.
create table account (
    account_id text primary key,
    kind text not null,
    name text not null,
    -- An operator knows who this is.
    verified bigint not null,
    -- All that is the account's; of it, what running jobs may still take; and what it earned and may yet lose.
    posted bigint not null,
    held bigint not null,
    pending bigint not null,
    created_at bigint not null,
    constraint account_kind_known check (kind in ('customer', 'guest', 'faucet', 'fees')),
    constraint account_verified_is_flag check (verified in (0, 1)),
    constraint account_held_positive check (held >= 0),
    constraint account_pending_positive check (pending >= 0),
    constraint account_covers_holds check (posted >= held)
);

-- Its owner knows a key by its name and by the last characters of the secret.
create table account_key (
    key_hash text primary key,
    account_id text not null references account (account_id),
    name text not null,
    hint text not null,
    created_at bigint not null
);

create index account_key_by_account on account_key (account_id, created_at);

create table session (
    token_hash text primary key,
    account_id text not null references account (account_id),
    expires_at bigint not null
);
