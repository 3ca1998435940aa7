-- Who computed tiles of a receipt again before it was settled, and when that counts as the same; empty where nobody wrote it
-- down.
alter table receipt add column checked_by text not null default '';
alter table receipt add column check_rule text not null default '';

create view public_check as
select lease_id, checked_by, check_rule
from receipt
where state in ('accepted', 'matured')
  and checked_by <> '';
