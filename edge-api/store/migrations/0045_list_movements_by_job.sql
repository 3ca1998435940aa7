-- What each job moved of an account's money, a row a job: newest jobs first, a page at a time.
create index ledger_entry_by_account_job on ledger_entry (account_id, job_id);
