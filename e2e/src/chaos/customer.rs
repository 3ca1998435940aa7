//! A customer who orders a job a round, whatever the servers do, and knows what must come of it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use client::{Client, ClientError, Patience};
use fastrand::Rng;
use wire::{Credits, Infer, Job, JobState, Nonce, Program, SubmitJob};

use crate::digits;
use crate::fleet::Fleet;
use crate::until::found;

/// Tiles of a job: some seconds of all devices' time.
const TILES: std::ops::Range<u32> = 200..1200;
/// A job in so many is cancelled.
const CANCELLED_IN: u32 = 6;
/// Longer than any fault lasts, with the servers' start.
const ANSWERED_WITHIN: Duration = Duration::from_secs(90);
const ENDS_WITHIN: Duration = Duration::from_secs(180);

pub(super) struct Customer {
    client: Client,
    folder: std::path::PathBuf,
    began_with: Credits,
    pub(super) orders: Vec<Order>,
}

pub(super) struct Order {
    job: Job,
    values: Vec<f32>,
    is_cancelled: bool,
}

/// Asks until it is answered: what failed in passing is asked again.
async fn persist<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, ClientError>) -> anyhow::Result<T> {
    let since = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if is_passing(&error) && since.elapsed() < ANSWERED_WITHIN => tokio::task::yield_now().await,
            Err(error) => return Err(error).context(format!("{what}, after {:?}", since.elapsed())),
        }
    }
}

/// What a server had read by a process that was killed meanwhile it takes for too much.
fn is_passing(error: &ClientError) -> bool {
    error.is_passing()
        || matches!(error, ClientError::Refused { body, .. } if body.message.contains("takes more than 1024 MB"))
}

impl Customer {
    pub(super) async fn open(fleet: &Fleet) -> anyhow::Result<Self> {
        // The line may be silent for as long as a server sleeps.
        let patience = Patience { silence: Duration::from_secs(20), ..Patience::default() };
        let client = fleet.customer().await?.with_patience(patience);
        let began_with = client.account().await?.available;
        Ok(Self { client, folder: fleet.stack.folder().to_owned(), began_with, orders: Vec::new() })
    }

    /// Orders a job, and may think better of it.
    pub(super) async fn order(&mut self, rng: &mut Rng) -> anyhow::Result<()> {
        let values: Vec<f32> = (0..rng.u32(TILES)).map(|_| f32::from(rng.i16(..)) + 0.5).collect();
        let input = self.folder.join("column.npy");
        std::fs::write(&input, digits::column_of(&values))?;
        let model = persist("uploading the model", async || self.client.upload(&digits::relu()).await).await?.hash;
        let input = persist("uploading the input", async || self.client.upload(&input).await).await?.hash;
        let infer = Infer { model, input: Some(input), inputs: std::collections::BTreeMap::new(), tile_rows: Some(1) };
        let request = SubmitJob::new(Program::Infer(infer));
        let key = Nonce(std::array::from_fn(|_| rng.u8(..))).to_string();
        let job = persist("submitting a job", async || self.client.submit(&request, &key).await).await?;
        // Said again, it is the same one.
        let again = persist("submitting it again", async || self.client.submit(&request, &key).await).await?;
        ensure!(job.id == again.id, "one order became two jobs, {} and {}", job.id, again.id);
        let is_cancelled = rng.u32(..CANCELLED_IN) == 0;
        if is_cancelled {
            // Where it has ended meanwhile, that is refused.
            match persist("cancelling a job", async || self.client.cancel(job.id).await).await {
                Ok(_job) => {}
                Err(error) => ensure!(self.job(&job).await?.state == JobState::Done, "{error:#}"),
            }
        }
        self.orders.push(Order { job, values, is_cancelled });
        Ok(())
    }

    async fn job(&self, job: &Job) -> anyhow::Result<Job> {
        persist("asking after a job", async || self.client.job(job.id).await).await
    }

    /// Waits until all but the latest so many have ended.
    pub(super) async fn jobs_end(&self, but: usize) -> anyhow::Result<()> {
        for order in self.orders.iter().rev().skip(but) {
            let ended = found(ENDS_WITHIN, async || {
                self.client.job(order.job.id).await.ok().filter(|job| job.state != JobState::Running)
            });
            if ended.await.is_none() {
                let job = self.job(&order.job).await?;
                anyhow::bail!("job {} stands still at {} of {} tiles", job.id, job.verified_tiles, job.tiles);
            }
        }
        Ok(())
    }

    /// Everything has ended: what each job says, its result, and the money.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let mut cost = 0;
        for order in &self.orders {
            let job = self.job(&order.job).await?;
            let is_right = match job.state {
                JobState::Done => job.verified_tiles == job.tiles && job.cost == job.hold,
                JobState::Cancelled => order.is_cancelled && job.cost <= job.hold,
                _ => false,
            };
            ensure!(is_right, "job {} ended wrongly: {job:?}", job.id);
            cost += job.cost.micros();
            if job.state == JobState::Done {
                self.check_result(order, &self.folder.join("result.npy")).await?;
            }
        }
        let settled = found(ENDS_WITHIN, async || {
            let account = self.client.account().await.ok()?;
            (account.held.micros() == 0).then_some(account)
        });
        let account = settled.await.context("not all holds are released")?;
        let left = self.began_with.micros() - cost;
        ensure!(account.available.micros() == left, "{:?} are left, not {left} micro-credits", account.available);
        Ok(())
    }

    async fn check_result(&self, order: &Order, path: &Path) -> anyhow::Result<()> {
        persist("downloading a result", async || self.client.download(order.job.id, path).await).await?;
        let expected: Vec<f32> = order.values.iter().map(|value| value.max(0.0)).collect();
        let result = digits::floats(&std::fs::read(path)?);
        let is_same = |(result, expected): (&f32, &f32)| result.to_bits() == expected.to_bits();
        let is_right = result.len() == expected.len() && result.iter().zip(&expected).all(is_same);
        ensure!(is_right, "the result of job {} is wrong", order.job.id);
        Ok(())
    }
}
