-- What each device did of a job, kept as it is settled, so that nobody who looks at a job counts its receipts.
create table job_share (
    job_id text not null references job (job_id),
    device_id text not null references device (device_id),
    -- That of its latest receipt.
    backend text not null,
    -- Of settled receipts.
    tiles bigint not null,
    receipts bigint not null,
    recomputed bigint not null,
    kflop bigint not null,
    primary key (job_id, device_id)
);

insert into job_share (job_id, device_id, backend, tiles, receipts, recomputed, kflop)
select job_id, device_id, max(backend), cast(sum(tiles) as bigint), count(*), cast(sum(recomputed) as bigint),
       cast(sum(kflop) as bigint)
from receipt
where state in ('accepted', 'matured')
group by job_id, device_id;

create view public_share as
select job_share.job_id as job_id, job_share.device_id as device_id, job_share.backend as backend,
       job_share.tiles as tiles, job_share.receipts as receipts, job_share.recomputed as recomputed,
       job_share.kflop as kflop
from job_share
join job on job.job_id = job_share.job_id
where job.published = 1;

-- Devices with a share.
alter table job add column devices bigint not null default 0;
update job set devices = (select count(*) from job_share where job_share.job_id = job.job_id);

-- 1 once nothing of an ended job can become anything else: its receipts are mature or void, its hold is released.
alter table job add column closed bigint not null default 0;
update job
set closed = 1
where state <> 'running'
  and not exists (
    select 1
    from receipt
    where receipt.job_id = job.job_id
      and receipt.state in ('accepted', 'pending')
  );
create index job_to_close on job (job_id) where closed = 0 and (state <> 'running' or remaining_tiles = 0);

-- Where tiles in check lie is read from the index alone.
drop index receipt_pending;
create index receipt_pending on receipt (slice_id, first_tile, tiles) where state = 'pending';
