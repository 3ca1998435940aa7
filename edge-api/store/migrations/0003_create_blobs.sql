-- What lies in the blob store, and who may read it: a hash is an address, never a permission.
create table blob (
    hash text primary key,
    size bigint not null
);

create table blob_owner (
    account_id text not null references account (account_id),
    hash text not null references blob (hash),
    primary key (account_id, hash)
);
