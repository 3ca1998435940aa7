-- Blobs are collected once nothing refers to them: so each says when it was last used, each job says which it needs,
-- and each lease which output it has. A receipt refers to its output by itself.
alter table blob add column used_at bigint not null default 0;
-- 0, or since when it is being deleted: what names a blob from then on waits until it is gone, and brings it anew.
alter table blob add column collected_at bigint not null default 0;

create index blob_by_use on blob (used_at, hash);

create table job_blob (
    hash text not null references blob (hash),
    job_id text not null references job (job_id),
    primary key (hash, job_id)
);

-- Jobs that are older than this table.
insert into job_blob (hash, job_id)
select blob.hash, job.job_id
from job
join blob on job.task like '%' || blob.hash || '%' or job.sources like '%' || blob.hash || '%';

-- One a lease, until the lease is over; it is a receipt's from then on, or nobody's.
create table lease_output (
    lease_id text primary key,
    hash text not null references blob (hash),
    expires_at bigint not null
);

create index lease_output_by_hash on lease_output (hash);
create index lease_output_by_end on lease_output (expires_at);
create index receipt_by_output on receipt (output_hash);
