-- What a key has opened ends with it: the sessions that were made with it, and the devices that linked themselves by it.
-- Empty for what was made otherwise, or before.
alter table session add column key_hash text not null default '';
alter table device add column key_hash text not null default '';

create index session_by_key on session (key_hash);
create index device_by_key on device (key_hash);

-- When it was taken from an account since it last connected; 0 where it was not.
alter table device add column unlinked_at bigint not null default 0;
-- The account whose owner has unlinked it, to which no key links it any more but a code does; empty where there is none.
alter table device add column unlinked_from text not null default '';

create index device_by_unlinking on device (unlinked_at);
