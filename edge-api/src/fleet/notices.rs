//! What other replicas say is done here at once: claims, ended jobs, pages, disconnected devices. Whatever is missed is found
//! by looking, as it would be without.

use std::time::Duration;

use store::Dialect;
use store::notices::{Heard, Notice, Notices};

use crate::app::App;
use crate::devices::unlink;

/// Before a database that is away is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Listens until the server stops. An embedded database has no other replica.
pub async fn run(app: App) {
    if app.db.dialect == Dialect::Sqlite {
        return;
    }
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            ended = listen(&app) => {
                if let Err(error) = ended {
                    tracing::warn!(error = format!("{error:#}"), "other replicas are not heard");
                }
            }
        }
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

async fn listen(app: &App) -> anyhow::Result<()> {
    let mut notices = Notices::listen(&app.config.database_url, &app.replica).await?;
    catch_up(app).await?;
    loop {
        match notices.next().await? {
            Heard::Notice(notice) => on_notice(app, notice).await?,
            Heard::Missed => catch_up(app).await?,
        }
    }
}

/// Something may have been said that was not heard.
async fn catch_up(app: &App) -> anyhow::Result<()> {
    on_notice(app, Notice::Work).await?;
    on_notice(app, Notice::Published).await?;
    on_notice(app, Notice::Unlinked).await
}

async fn on_notice(app: &App, notice: Notice) -> anyhow::Result<()> {
    let now = app.clock.now();
    match notice {
        Notice::Work => app.scheduler.work.notify_one(),
        Notice::JobChanged(job) => app.scheduler.job_changed(job),
        Notice::JobEnded(job) => {
            app.scheduler.end_job(now, job);
            app.scheduler.job_changed(job);
        }
        Notice::Published => app.publications.send_modify(|publications| *publications += 1),
        Notice::Unlinked => unlink::disconnect_unlinked(app, now).await?,
        Notice::Suspended(device, until) => {
            app.scheduler.lock().drive(|core, link| core.on_device_suspended(link, now, device, until));
        }
    }
    Ok(())
}
