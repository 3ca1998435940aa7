//! What every handler and task shares. It starts nothing: `tasks` does.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rules::scheduling::core::Core;
use store::accounts::PlatformAccount;
use store::{Db, Dialect};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::{AccountId, Micros, Nonce, TileHash};

use crate::blobs::Blobs;
use crate::blobs::disk::DiskReserve;
use crate::clock::Clock;
use crate::compile::pool::Compilers;
use crate::config::Config;
use crate::convert::process::Converters;
use crate::fleet::gathered::Gathered;
use crate::fleet::scheduler::Scheduler;
use crate::http::limits::Limits;
use crate::memory::MemoryBudget;
use crate::metrics::counted::Metrics;
use crate::programs::infer::kept_plans::KeptPlans;
use crate::random;
use crate::status::known::KnownStatus;
use crate::traces::Traces;

/// The platform's own accounts have ids that no random one can be.
const FAUCET: AccountId = AccountId::platform(1);
const FEES: AccountId = AccountId::platform(2);

/// Outputs of leases that checks may hold in memory at once. Receipts wait in the database for their check, and their
/// outputs among the blobs.
const OUTPUT_BYTES_MAX: u64 = 256 << 20;

#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub db: Db,
    pub blobs: Blobs,
    pub disk: DiskReserve,
    pub clock: Clock,
    pub config: Config,
    pub scheduler: Scheduler,
    pub gathered: Gathered,
    pub compilers: Compilers,
    pub converters: Converters,
    pub plans: KeptPlans,
    pub metrics: Metrics,
    pub traces: Traces,
    pub status: KnownStatus,
    pub limits: Limits,
    /// Of outputs that are held against their receipts, or against what others computed.
    pub outputs: MemoryBudget,
    /// Checks that may run at once: one a core.
    pub checks: Arc<Semaphore>,
    /// One answer to a challenge is judged at a time.
    pub challenge_seat: Semaphore,
    /// One question is held against all names at a time.
    pub search_seat: Semaphore,
    /// Whether other replicas have devices, and when that was looked up.
    pub devices_elsewhere: Mutex<Option<(Micros, bool)>>,
    pub replica: String,
    /// Seals the tokens of leases; the same in all replicas.
    pub secret: [u8; 32],
    pub faucet: AccountId,
    pub fees: AccountId,
    /// Counts publications and their withdrawals, so that pages drawn before the last one are not shown again.
    pub publications: watch::Sender<u64>,
    /// This server takes no more work: requests and leases under way end first.
    pub draining: CancellationToken,
    /// What runs beside requests ends, and no connection is taken any more.
    pub stop: CancellationToken,
    /// Whatever is still under way breaks off.
    pub over: CancellationToken,
    /// Devices' sockets.
    pub sockets: TaskTracker,
    pub tasks: TaskTracker,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Time for checks under way once everything else has ended.
const LAST_CHECKS: Duration = Duration::from_millis(1500);

/// A database that is away is not waited for.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(1);

/// Blobs that are looked for where the place of blobs is not marked.
const KNOWN_BLOBS: i64 = 16;

impl App {
    /// Connects to the database and the blobs. Nothing runs beside requests before `tasks::start`.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let db = Db::connect(&config.database_url).await?;
        let now = clock.now();
        let mut tx = db.begin_write().await?;
        store::accounts::ensure_platform_account(&mut tx, FAUCET, PlatformAccount::Faucet, now).await?;
        store::accounts::ensure_platform_account(&mut tx, FEES, PlatformAccount::Fees, now).await?;
        let TileHash(secret) =
            store::replicas::find_or_insert_secret(&mut tx, "lease token", TileHash(random::bytes())).await?;
        if db.dialect == Dialect::Sqlite {
            // An embedded database has one process: whoever owned slices before is gone.
            store::replicas::delete_replicas(&mut tx, wire::Micros::MAX).await?;
            store::blobs::forget_collecting(&mut tx).await?;
            store::presence::delete_stale_presence(&mut tx, wire::Micros::MAX).await?;
        }
        let known = store::blobs::list_job_blobs(&mut tx, KNOWN_BLOBS).await?;
        tx.commit().await?;
        let blobs = Blobs::open(&config.blobs, &config.blob_variables)?.with_small(&db);
        anyhow::ensure!(
            config.blob_redirect_bytes.is_none() || blobs.can_sign(),
            "only s3:// and gs:// can let customers fetch blobs by themselves: leave --blob-redirect-bytes out"
        );
        blobs.mark(&known).await?;
        let replica = Nonce(random::bytes()).to_string();
        Ok(Self(Arc::new(Parts {
            traces: Traces::new(config.traces_endpoint.as_deref(), &replica)?,
            disk: DiskReserve::new(blobs.folder(), &config.database_url, config.limits.disk_reserve),
            blobs,
            scheduler: Scheduler::new(secret, Core::new(config.has_checkers(), config.lease_tiles_max)),
            gathered: Gathered::default(),
            converters: Converters::new(&config.compile)?,
            compilers: Compilers::new(config.compile.clone())?,
            plans: KeptPlans::default(),
            metrics: Metrics::default(),
            status: KnownStatus::default(),
            limits: Limits::new(config.limits.body_bytes_max, config.limits.connections_per_address_max),
            outputs: MemoryBudget::new(OUTPUT_BYTES_MAX),
            checks: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))),
            challenge_seat: Semaphore::new(1),
            search_seat: Semaphore::new(1),
            devices_elsewhere: Mutex::default(),
            replica,
            secret,
            faucet: FAUCET,
            fees: FEES,
            publications: watch::Sender::new(0),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            sockets: TaskTracker::new(),
            tasks: TaskTracker::new(),
            db,
            clock,
            config,
        })))
    }

    pub fn new_nonce(&self) -> Nonce {
        Nonce(random::bytes())
    }

    /// Ends everything, and lets the database go.
    pub async fn shut_down(&self) {
        self.end_tasks().await;
        self.db.close().await;
    }

    /// Ends background tasks, waits a moment for the checks under way, and leaves the slices to others.
    pub async fn end_tasks(&self) {
        self.draining.cancel();
        self.stop.cancel();
        self.tasks.close();
        // A receipt whose check is cut short waits in the database.
        if tokio::time::timeout(LAST_CHECKS, self.tasks.wait()).await.is_err() {
            tracing::warn!("checks are left to another replica");
        }
        self.over.cancel();
        let withdrawn = tokio::time::timeout(WITHDRAWN_WITHIN, self.withdraw()).await;
        if let Err(error) = withdrawn.map_err(anyhow::Error::from).flatten() {
            tracing::warn!(error = format!("{error:#}"), "this replica's slices are free only in some seconds");
        }
        let app = self.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || app.traces.shut_down()).await {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }

    /// Whatever is this replica's is anybody's from here on.
    async fn withdraw(&self) -> anyhow::Result<()> {
        let mut tx = self.db.begin_write().await?;
        store::slices::release_all_slices(&mut tx, &self.replica).await?;
        store::replicas::delete_replica(&mut tx, &self.replica).await?;
        store::notices::notify(&mut tx, &self.replica, store::notices::Notice::Work).await?;
        Ok(tx.commit().await?)
    }
}
