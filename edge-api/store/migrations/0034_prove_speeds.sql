-- What a device showed when it was last challenged, in operations on integers a second, and when; 0 where it never was,
-- and a speed of 0 at a time where it failed.
alter table device add column proved_ops_per_sec bigint not null default 0;
alter table device add column proved_at bigint not null default 0;
-- By its verified work for others alone; `flops_per_sec` is what others are shown of both.
alter table device add column worked_flops_per_sec bigint not null default 0;
-- Its line as measured, in bytes a second, and when both ways were measured on purpose; 0 where they were not.
alter table device add column line_down bigint not null default 0;
alter table device add column line_up bigint not null default 0;
alter table device add column line_probed_at bigint not null default 0;

update device set worked_flops_per_sec = flops_per_sec;

drop view public_device;

create view public_device as
select device.device_id as device_id, device.class as class, device.name as name, device.backend as backend,
       device.software as software, device.passed as passed, device.failed as failed,
       device.suspended_until as suspended_until, device.tiles as tiles, device.kflop as kflop,
       device.earned as earned, device.flops_per_sec as flops_per_sec, device.created_at as created_at,
       device.seen_at as seen_at, coalesce(presence.seen_at, 0) as present_at,
       device.proved_ops_per_sec as proved_ops_per_sec, device.proved_at as proved_at, device.line_down as line_down,
       device.line_up as line_up
from device
left join presence on presence.device_id = device.device_id;
