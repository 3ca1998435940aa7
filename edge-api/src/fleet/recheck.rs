//! Waiting for tiles that somebody else recomputes.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use rules::Job;
use rules::scheduling::recheck_request::{Answer, Answered, RecheckError, RecheckRequest, Whom};
use rules::verification::party::{Parties, Party};

use wire::BlobHash;

use crate::app::App;

/// Whoever was asked gave the tiles back, or broke over them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nobody could compute tiles {} to {} again", tiles.start, tiles.end - 1)]
pub struct GivenUp {
    /// Counted over the job.
    pub tiles: Range<u64>,
}

/// Has tiles recomputed by somebody who has no part in it; waits for as long as it takes. Fails with
/// [`GivenUp`].
pub async fn recompute_elsewhere(
    app: &App,
    job: &Arc<Job>,
    tiles: Range<u64>,
    parties: Parties,
) -> anyhow::Result<Answered> {
    let (whom, given_up) = (Whom::Checkers, GivenUp { tiles: tiles.clone() });
    let request_of = RecheckRequest { job: Arc::clone(job), tiles, whom, parties, has_fallback: false, nudge: None };
    request(app, request_of).await?.map_err(|_gone| given_up.into())
}

/// Has tiles recomputed by a checker; `None` when none of those connected can, so that this server should.
pub async fn recompute_by_checker(app: &App, job: &Arc<Job>, tiles: Range<u64>) -> anyhow::Result<Option<Answered>> {
    let (parties, whom) = (Parties::default(), Whom::Checkers);
    let request_of =
        RecheckRequest { job: Arc::clone(job), tiles: tiles.clone(), whom, parties, has_fallback: true, nudge: None };
    match request(app, request_of).await? {
        Ok(answered) => Ok(Some(answered)),
        Err(RecheckError::NoChecker) => Ok(None),
        Err(RecheckError::GivenUp) => Err(GivenUp { tiles }.into()),
    }
}

/// A tile's output by the operator's checkers, with each float that is computed moved by this seed.
pub async fn nudge_by_checker(app: &App, job: &Arc<Job>, tile: u64, seed: u64) -> anyhow::Result<BlobHash> {
    let (tiles, parties) = (tile..tile + 1, Parties::default());
    let request_of = RecheckRequest {
        job: Arc::clone(job),
        tiles: tiles.clone(),
        whom: Whom::Checkers,
        parties,
        has_fallback: false,
        nudge: Some(seed),
    };
    match request(app, request_of).await? {
        Ok(Answered { answer: Answer::Output(hash), .. }) => Ok(hash),
        Ok(Answered { answer: Answer::Fault(_), .. }) | Err(_) => Err(GivenUp { tiles }.into()),
    }
}

/// Why others who are trusted cannot compute a tile; `None` where one did, be it to a fault.
pub async fn try_elsewhere(app: &App, job: &Arc<Job>, tile: u64) -> anyhow::Result<Option<String>> {
    let (tiles, whom) = (tile..tile + 1, Whom::Checkers);
    let parties = Parties::default().with(Party { account: job.customer, network: None });
    let tried =
        request(app, RecheckRequest { job: Arc::clone(job), tiles, whom, parties, has_fallback: false, nudge: None })
            .await?;
    Ok(tried.err().map(|error| error.to_string()))
}

pub async fn request(app: &App, request: RecheckRequest) -> anyhow::Result<Result<Answered, RecheckError>> {
    let (_pending, outcome) = app.scheduler.request_recheck(app.clock.now(), request);
    tokio::select! {
        () = app.stop.cancelled() => anyhow::bail!("the server is stopping"),
        outcome = outcome => outcome.context("the scheduler has dropped a request"),
    }
}
