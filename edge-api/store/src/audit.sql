-- Every entry, by account and purse.
with entries as (
    select account_id,
           sum(case when purse = 'posted' then amount else 0 end) as posted,
           sum(case when purse = 'pending' then amount else 0 end) as pending
    from ledger_entry
    group by account_id
),
-- What open holds still set aside.
holds as (
    select account_id, sum(amount - settled) as held
    from hold
    where state = 'open'
    group by account_id
),
-- What accepted work cost.
work as (
    select job_id, sum(cost) as cost
    from receipt
    where state in ('accepted', 'matured')
    group by job_id
)
select
    cast(coalesce((select sum(amount) from ledger_entry), 0) as bigint),
    cast((
        select count(*)
        from account
        left join entries on entries.account_id = account.account_id
        where account.posted <> coalesce(entries.posted, 0)
           or account.pending <> coalesce(entries.pending, 0)
    ) as bigint),
    cast((
        select count(*)
        from account
        left join holds on holds.account_id = account.account_id
        where account.held <> coalesce(holds.held, 0)
    ) as bigint),
    cast((
        select count(*)
        from job
        left join work on work.job_id = job.job_id
        where job.cost <> coalesce(work.cost, 0)
    ) as bigint)
