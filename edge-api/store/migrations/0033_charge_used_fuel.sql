-- Operations of a lease that were not needed of those that it was lent for, and are not charged: fuel that was left.
alter table receipt add column flops_left bigint not null default 0;
