-- Who computed tiles of a receipt again before it was settled, and when that counts as the same; empty where nobody wrote it
-- down.
alter table receipt add column checked_by text not null default '';
alter table receipt add column check_rule text not null default '';

-- The rule is its customer's, and public with the job alone. So is that nobody computed tiles of a receipt again: of work for
-- one's own account nobody does.
create view public_check as
select receipt.lease_id as lease_id, receipt.checked_by as checked_by,
       case when job.published = 1 then receipt.check_rule else '' end as check_rule
from receipt
join job on job.job_id = receipt.job_id
where receipt.state in ('accepted', 'matured')
  and receipt.checked_by <> ''
  and (job.published = 1 or receipt.recomputed > 0);
