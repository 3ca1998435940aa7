-- How large the job's model or kernel is: a lease leaves time to fetch it. 0 for jobs from before.
alter table job add column code_bytes bigint not null default 0;
