-- Outputs of a few bytes lie here, written with the receipt that names them; larger ones where blobs are kept.
create table small_blob (
    hash text primary key references blob (hash),
    bytes bytea not null
);
