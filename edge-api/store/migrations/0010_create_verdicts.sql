-- What is drawn of a receipt before anything of it is compared, and what came of it: a crash resumes the same draw.
create table verdict (
    lease_id text not null references receipt (lease_id),
    -- Why tiles were drawn: 'commit', 'final' at the job's end, or 'after' and the lease of the same device that was
    -- rejected.
    cause text not null,
    seed text not null,
    -- Counted from the lease's first, as a JSON list.
    tiles text not null,
    state text not null,
    created_at bigint not null,
    -- 0 while it is open.
    decided_at bigint not null,
    primary key (lease_id, cause),
    constraint verdict_state_known check (state in ('open', 'passed', 'rejected')),
    constraint verdict_decision_has_a_time check ((state = 'open') = (decided_at = 0))
);

create index verdict_open on verdict (created_at) where state = 'open';

-- A tile on which two runs disagree. Nothing is taken from anybody before its outcome.
create table dispute (
    lease_id text not null references receipt (lease_id),
    -- Counted over the job.
    tile bigint not null,
    job_id text not null references job (job_id),
    device_id text not null references device (device_id),
    account_id text not null references account (account_id),
    -- Who found the mismatch: a device, or empty for the operator's checker.
    finder_device_id text not null,
    finder_account_id text not null,
    -- The tile as the device signed it, and as the finder computed it: blobs. Empty where that ran out of fuel.
    signed_output text not null,
    finder_output text not null,
    -- Empty while it is open.
    outcome text not null,
    created_at bigint not null,
    decided_at bigint not null,
    primary key (lease_id, tile),
    constraint dispute_outcome_known check (outcome in ('', 'device_wrong', 'checker_wrong', 'not_reproducible')),
    constraint dispute_decision_has_a_time check ((outcome = '') = (decided_at = 0))
);

create index dispute_by_job on dispute (job_id, created_at);
-- Both outputs are kept for as long as the dispute is.
create index dispute_by_signed_output on dispute (signed_output);
create index dispute_by_finder_output on dispute (finder_output);

-- What others computed of it, and the accused once more.
create table dispute_run (
    lease_id text not null,
    tile bigint not null,
    device_id text not null,
    account_id text not null,
    -- Whether its result is that which the device had signed, and that of the finder.
    with_device bigint not null,
    with_checker bigint not null,
    created_at bigint not null,
    primary key (lease_id, tile, device_id),
    constraint dispute_run_of_dispute foreign key (lease_id, tile) references dispute (lease_id, tile),
    constraint dispute_run_with_device_is_flag check (with_device in (0, 1)),
    constraint dispute_run_with_checker_is_flag check (with_checker in (0, 1))
);
