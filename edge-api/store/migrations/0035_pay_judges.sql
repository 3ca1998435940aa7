-- What a device has earned by computing again what others did, in atto-credits, and was not paid: less than a micro-credit.
alter table device add column owed_attos bigint not null default 0;

-- What was computed again of a lease, from which tile on, and what that was worth: once for each device.
create table judge_answer (
    lease_id text not null,
    tile bigint not null,
    device_id text not null references device (device_id),
    attos bigint not null,
    created_at bigint not null,
    primary key (lease_id, tile, device_id)
);

create index judge_answer_by_device on judge_answer (device_id);

-- A kind of movement more. Not every engine can change a constraint.
drop index ledger_entry_by_account;
drop index ledger_entry_by_job;
alter table ledger_entry rename to ledger_entry_before;

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
    constraint ledger_entry_kind_known check (kind in ('faucet', 'settle', 'mature', 'void', 'claim', 'judge')),
    constraint ledger_entry_purse_known check (purse in ('posted', 'pending'))
);

insert into ledger_entry (kind, reference, account_id, purse, asset, amount, job_id, device_id, bucket, created_at)
select kind, reference, account_id, purse, asset, amount, job_id, device_id, bucket, created_at
from ledger_entry_before;

drop table ledger_entry_before;

create index ledger_entry_by_account on ledger_entry (account_id, bucket, kind, job_id, device_id, purse);
create index ledger_entry_by_job on ledger_entry (job_id, device_id);
