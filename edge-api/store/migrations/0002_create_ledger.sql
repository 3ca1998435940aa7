-- Every movement of money, and what is set aside for running jobs. Balances in `account` are sums of these rows, but
-- for the platform's own accounts, which have no balance of their own: a row that every settlement would have to write.

-- One row a leg, only ever inserted. The key lets a lease be settled, taken back or matured once. What is not about a
-- job or a device has an empty id there. Lists show the legs of ten seconds, a bucket, as one.
create table ledger_entry (
    kind text not null,
    reference text not null,
    account_id text not null references account (account_id),
    purse text not null,
    asset text not null,
    amount bigint not null,
    job_id text not null,
    device_id text not null,
    bucket bigint not null,
    created_at bigint not null,
    primary key (kind, reference, account_id, purse),
    constraint ledger_entry_kind_known check (kind in ('faucet', 'settle', 'mature', 'void', 'claim')),
    constraint ledger_entry_purse_known check (purse in ('posted', 'pending'))
);

create index ledger_entry_by_account on ledger_entry (account_id, bucket, kind, job_id, device_id, purse);
create index ledger_entry_by_job on ledger_entry (job_id, device_id);

-- One a job, by the job's id: opened at submit, ended once.
create table hold (
    hold_id text primary key,
    account_id text not null references account (account_id),
    amount bigint not null,
    settled bigint not null,
    state text not null,
    constraint hold_not_overdrawn check (settled >= 0 and settled <= amount),
    constraint hold_state_known check (state in ('open', 'released'))
);
