-- Every movement of money, and what is set aside for running jobs. Balances in `account` are sums of these rows.

-- One row a leg; the legs of one kind, job, device and ten seconds are summed into one row, so the ledger does not
-- grow with leases. Rows are only ever added to. What is not about a job or a device has an empty id there.
create table ledger_entry (
    kind text not null,
    job_id text not null,
    device_id text not null,
    bucket bigint not null,
    account_id text not null references account (account_id),
    purse text not null,
    amount bigint not null,
    primary key (account_id, kind, job_id, device_id, bucket, purse),
    constraint ledger_entry_kind_known check (kind in ('faucet', 'settle', 'mature', 'void', 'claim')),
    constraint ledger_entry_purse_known check (purse in ('posted', 'pending'))
);

create index ledger_entry_by_account on ledger_entry (account_id, bucket);

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
