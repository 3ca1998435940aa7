-- A job may end by itself, and its owner sees it by the names of the files that they gave. Of a receipt it is kept when it
-- was settled, which may be long after it came in.
-- 0 where the customer set none.
alter table job add column deadline bigint not null default 0;
-- JSON, by the order's fields.
alter table job add column file_names text not null default '{}';
-- 0 until it is settled, and for what was settled before this was kept.
alter table receipt add column settled_at bigint not null default 0;

create index job_by_deadline on job (deadline) where state = 'running' and deadline > 0;
