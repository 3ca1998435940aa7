-- What the page of the network's health shows: what was found of each part when a replica last looked, for how long of each day
-- it was found to work and not to, and incidents. Written by whichever replica looks first; rows are kept for ninety days.
create table status_look (
    look_id bigint primary key,
    -- By the database's clock; 0 for never.
    looked_at bigint not null,
    constraint status_look_is_one check (look_id = 1)
);
insert into status_look (look_id, looked_at) values (1, 0);

create table part_status (
    part text primary key,
    -- 'works', 'idle', or what is wrong.
    finding text not null,
    -- The first look in a row that found something wrong; 0 while none does.
    failing_since bigint not null,
    -- In microseconds; -1 where there is none.
    latency bigint not null,
    -- How many there are; -1 where nobody counts.
    present bigint not null
);

create table part_day (
    part text not null,
    day bigint not null,
    up_micros bigint not null,
    down_micros bigint not null,
    primary key (part, day)
);

create table incident (
    part text not null,
    began_at bigint not null,
    -- 0 while it goes on.
    ended_at bigint not null,
    trouble text not null,
    primary key (part, began_at),
    constraint incident_ends_after_it_began check (ended_at = 0 or ended_at >= began_at)
);

-- One at a time goes on of each part.
create unique index incident_open on incident (part) where ended_at = 0;
create index incident_by_time on incident (began_at);
