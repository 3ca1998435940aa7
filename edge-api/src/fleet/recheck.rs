//! Waiting for tiles that somebody else recomputes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use rules::Job;
use rules::scheduling::recheck_request::{Answered, RecheckError, RecheckRequest, Whom};
use wire::AccountId;

use crate::app::App;

/// Has tiles recomputed by somebody whose account is not excluded; waits for as long as it takes.
pub async fn recompute_elsewhere(
    app: &App,
    job: &Arc<Job>,
    tiles: Range<u64>,
    excluded_accounts: BTreeSet<AccountId>,
) -> anyhow::Result<Answered> {
    Ok(request(
        app,
        RecheckRequest { job: Arc::clone(job), tiles, whom: Whom::Checkers, excluded_accounts, has_fallback: false },
    )
    .await??)
}

/// Has tiles recomputed by a checker; `None` when none of those connected can, so that this server should.
pub async fn recompute_by_checker(app: &App, job: &Arc<Job>, tiles: Range<u64>) -> anyhow::Result<Option<Answered>> {
    let excluded_accounts = BTreeSet::new();
    let whom = Whom::Checkers;
    let request_of = RecheckRequest { job: Arc::clone(job), tiles, whom, excluded_accounts, has_fallback: true };
    match request(app, request_of).await? {
        Ok(answered) => Ok(Some(answered)),
        Err(RecheckError::NoChecker) => Ok(None),
        Err(error @ RecheckError::GivenUp) => Err(error.into()),
    }
}

pub async fn request(app: &App, request: RecheckRequest) -> anyhow::Result<Result<Answered, RecheckError>> {
    let (_pending, outcome) = app.scheduler.request_recheck(app.clock.now(), request);
    tokio::select! {
        () = app.stop.cancelled() => anyhow::bail!("the server is stopping"),
        outcome = outcome => outcome.context("the scheduler has dropped a request"),
    }
}
