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
    select job_id, sum(cost) as cost, sum(fee) as fee, sum(tiles) as tiles
    from receipt
    where state in ('accepted', 'matured')
    group by job_id
),
-- What is promised and may yet be taken back.
promised as (
    select account_id, sum(cost - fee) as earned
    from receipt
    where state = 'accepted'
    group by account_id
),
-- What each lease moved: to whoever was its provider then, to the platform, and from the customer.
moved as (
    select entry.reference as lease_id,
           sum(case when entry.kind = 'settle' and account.kind <> 'fees' and entry.purse = 'pending' then entry.amount else 0 end) as earned,
           sum(case when entry.kind = 'settle' and account.kind = 'fees' then entry.amount else 0 end) as fee,
           sum(case when entry.kind = 'settle' and entry.purse = 'posted' then entry.amount else 0 end) as paid,
           sum(case when entry.kind = 'void' and entry.purse = 'posted' then entry.amount else 0 end) as returned,
           sum(case when entry.kind = 'mature' and entry.purse = 'posted' then entry.amount else 0 end) as matured
    from ledger_entry as entry
    join account on account.account_id = entry.account_id
    where entry.kind in ('settle', 'void', 'mature')
    group by entry.reference
),
-- What each device computed again of others' leases, and what it was paid for that.
answered as (
    select device_id, sum(attos) as attos
    from judge_answer
    group by device_id
),
judged as (
    select entry.device_id as device_id, sum(entry.amount) as paid
    from ledger_entry as entry
    join account on account.account_id = entry.account_id
    where entry.kind = 'judge'
      and account.kind <> 'fees'
    group by entry.device_id
),
settled as (
    select slice_id, sum(tiles) as tiles
    from receipt
    where state in ('accepted', 'matured')
    group by slice_id
),
shares as (
    select job_id, device_id, sum(tiles) as tiles, count(*) as receipts, sum(recomputed) as recomputed, sum(kflop) as kflop
    from receipt
    where state in ('accepted', 'matured')
    group by job_id, device_id
),
left_over as (
    select job_id, sum(remaining) as remaining
    from slice
    group by job_id
)
select
    cast((
        select count(*)
        from (select asset from ledger_entry group by asset having sum(amount) <> 0) as assets
    ) as bigint) as assets_off,
    cast((
        select count(*)
        from account
        left join entries on entries.account_id = account.account_id
        where account.kind in ('customer', 'guest')
          and (account.posted <> coalesce(entries.posted, 0) or account.pending <> coalesce(entries.pending, 0))
    ) as bigint) as accounts_off,
    cast((
        select count(*)
        from account
        left join holds on holds.account_id = account.account_id
        where account.held <> coalesce(holds.held, 0)
    ) + (
        select count(*)
        from hold
        join job on job.job_id = hold.hold_id
        where hold.settled <> job.cost
           or hold.amount <> job.hold
           or hold.account_id <> job.account_id
    ) as bigint) as holds_off,
    cast((
        select count(*)
        from job
        left join work on work.job_id = job.job_id
        where job.cost <> coalesce(work.cost, 0)
           or job.fee <> coalesce(work.fee, 0)
    ) as bigint) as jobs_off,
    cast((
        select count(*)
        from receipt
        left join moved on moved.lease_id = receipt.lease_id
        where coalesce(moved.earned, 0) <> receipt.cost - receipt.fee
           or coalesce(moved.fee, 0) <> receipt.fee
           or coalesce(moved.paid, 0) <> -receipt.cost
           or coalesce(moved.returned, 0) <> case when receipt.state in ('void', 'rejected') then receipt.cost else 0 end
           or coalesce(moved.matured, 0) <> case when receipt.state = 'matured' then receipt.cost else 0 end
    ) + (
        select count(*)
        from ledger_entry as entry
        join account on account.account_id = entry.account_id
        join receipt on receipt.lease_id = entry.reference
        where (
            entry.kind = 'mature'
            and account.kind <> 'fees'
            and entry.account_id <> receipt.account_id
        )
           or (
            entry.kind = 'settle'
            and entry.purse = 'pending'
            and account.kind <> 'fees'
            and entry.account_id <> receipt.account_id
            -- What a guest earned went with its device.
            and not exists (
              select 1
              from ledger_entry as claim
              where claim.kind = 'claim'
                and claim.account_id = entry.account_id
                and claim.device_id = receipt.device_id
                and claim.amount < 0
            )
        )
    ) + (
        select count(*)
        from moved
        left join receipt on receipt.lease_id = moved.lease_id
        where receipt.lease_id is null
    ) as bigint) as receipts_off,
    cast((
        select count(*)
        from account
        left join promised on promised.account_id = account.account_id
        where account.kind in ('customer', 'guest')
          and account.pending <> coalesce(promised.earned, 0)
    ) + (
        select count(*)
        from account
        left join entries on entries.account_id = account.account_id
        where account.kind = 'fees'
          and coalesce(entries.pending, 0) <> (select coalesce(sum(fee), 0) from receipt where state = 'accepted')
    ) as bigint) as pending_off,
    cast((
        select count(*)
        from slice
        left join settled on settled.slice_id = slice.slice_id
        where slice.tiles - slice.remaining <> coalesce(settled.tiles, 0)
    ) + (
        select count(*)
        from job
        left join left_over on left_over.job_id = job.job_id
        where job.remaining_tiles <> coalesce(left_over.remaining, 0)
    ) as bigint) as tiles_off,
    cast((
        select count(*)
        from device
        left join answered on answered.device_id = device.device_id
        left join judged on judged.device_id = device.device_id
        where coalesce(answered.attos, 0) <> device.owed_attos + 1000000000000 * coalesce(judged.paid, 0)
           or device.owed_attos < 0
    ) as bigint) as judges_off,
    cast((
        select count(*)
        from shares
        full join job_share on job_share.job_id = shares.job_id and job_share.device_id = shares.device_id
        where coalesce(shares.tiles, 0) <> coalesce(job_share.tiles, 0)
           or coalesce(shares.receipts, 0) <> coalesce(job_share.receipts, 0)
           or coalesce(shares.recomputed, 0) <> coalesce(job_share.recomputed, 0)
           or coalesce(shares.kflop, 0) <> coalesce(job_share.kflop, 0)
    ) + (
        select count(*)
        from job
        where job.devices <> (select count(*) from job_share where job_share.job_id = job.job_id)
    ) as bigint) as shares_off
