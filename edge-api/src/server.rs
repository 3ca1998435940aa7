//! The listening side: sockets in, a clean stop.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::{Router, middleware};
use site::{Shared, SiteConfig};
use tokio::net::TcpListener;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::head::leave_unknown_length_out;
use crate::{routes, tasks};

/// Serves until the process is asked to stop, then finishes the checks under way.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let app = App::start(config, Clock::System).await?;
    tasks::start(&app);
    tracing::info!(address = %listener.local_addr()?, "listening");
    let stop = app.stop.clone();
    let stopping = stop.clone();
    app.tasks.spawn(async move {
        asked_to_stop().await;
        stopping.cancel();
    });
    axum::serve(listener, router(&app).into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await?;
    app.shut_down().await;
    Ok(())
}

/// Everything this server answers.
pub fn router(app: &App) -> Router {
    let api = routes::api(app.clone());
    let config = SiteConfig {
        folder: app.config.site.clone(),
        downloads: app.config.downloads.clone(),
        public_url: app.config.public_url.clone(),
    };
    let shared = Shared { publications: app.publications.subscribe(), cores: Arc::clone(&app.checks) };
    site::router(config, shared, api.clone()).merge(api).layer(middleware::from_fn(leave_unknown_length_out))
}

async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .expect("a signal handler should install");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt => {}
        }
    }
    #[cfg(not(unix))]
    interrupt.await.expect("a signal handler should install");
}
