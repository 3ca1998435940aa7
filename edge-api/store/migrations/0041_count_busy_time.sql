-- How much of their capacity devices use is the time that they work of the time that they take work: what they did against
-- what they could have done by speeds that were measured otherwise said 100 % of an idle device.
alter table supply_period add column offered_micros bigint not null default 0;
alter table supply_period add column busy_micros bigint not null default 0;

drop view public_supply;

create view public_supply as
select period, device_micros, offered_micros, busy_micros, capacity_kflop
from supply_period;
