-- Jobs of several inputs and outputs and of the customer's own kernels: what a device does is one
-- text (`Task` as JSON), and where its inputs begin another.
alter table job add column task text not null default '';
alter table job add column sources text not null default '';
alter table job add column check_rule text not null default '{"kind":"exact"}';
alter table job add column peak_bytes bigint not null default 0;
-- Why a job's program cannot finish, as JSON; such a job is cancelled, and called failed.
alter table job add column fault text not null default '';

update job
set task = '{"kind":"infer","model":"' || model_hash || '","inputs":[{"name":"input","dtype":"float32","shape":['
        || row_shape || ']}],"outputs":[{"name":"output","dtype":"float32","shape":[' || output_row_shape || ']}]}',
    sources = '[{"blob":"' || input_hash || '","offset":' || cast(input_offset as text) || '}]';

drop view public_job_source;
create view public_job_source as
select job_id, task, sources, check_rule, row_count, tile_rows, tiles, row_flops
from job
where published = 1;

drop view public_job;
create view public_job as
select job_id, name, case when fault <> '' then 'failed' else state end as state, model_hash, row_count, tile_rows,
       tiles, row_flops, price, cost, remaining_tiles, recomputed_tiles, created_at, ended_at
from job
where published = 1;
