//! The listening side: sockets in, a clean stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::IntoResponse;
use axum::{Router, middleware};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use site::{Shared, SiteConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::drain;
use crate::http::client_address::{ClientAddress, is_trusted, limit_key};
use crate::http::head::leave_unknown_length_out;
use crate::http::limits::Action;
use crate::http::place::Place;
use crate::http::stall::StallGuard;
use crate::metrics::requests::count_request;
use crate::metrics::serve as metrics;
use crate::{routes, tasks};

/// A request's head in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Files of the process besides its connections: the database, blobs, children.
const OTHER_FILES: u64 = 256;

/// How long a connection may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a request's head, and between requests.
    pub head: Duration,
    /// For the other end to take what it has asked for.
    pub reader: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), reader: Duration::from_secs(60) }
    }
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    raise_file_limit(config.limits.connections_max);
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let for_metrics = match config.metrics.metrics_listen {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?),
        None => None,
    };
    let app = App::start(config, Clock::System).await?;
    tasks::start(&app);
    if let Some(listener) = for_metrics {
        tracing::info!(address = %listener.local_addr()?, "metrics are served");
        app.tasks.spawn(metrics::listen(app.clone(), listener));
    }
    tracing::info!(address = %listener.local_addr()?, "listening");
    let draining = async {
        asked_to_stop().await;
        drain::drain(&app).await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        () = accept(&app, listener, Patience::default()) => {}
        never = draining => match never {},
    }
    app.shut_down().await;
    Ok(())
}

/// A connection is a file, and systems allow few unless asked.
fn raise_file_limit(connections: u32) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let wanted = u64::from(connections) + OTHER_FILES;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_none_or(|current| current >= wanted) {
            return;
        }
        let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let done = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
        if done.is_err() || raised < wanted {
            tracing::warn!(allowed = raised, wanted, "this system allows fewer files than connections");
        }
    }
}

/// Takes connections until the server stops, and lets those under way finish.
pub async fn accept(app: &App, listener: TcpListener, patience: Patience) {
    let (router, connections) = (router(app), TaskTracker::new());
    let room = Arc::new(Semaphore::new(app.config.limits.connections_max as usize));
    loop {
        // Whoever comes when the house is full waits outside, in the system's queue.
        let next = async {
            let seat = Arc::clone(&room).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            () = app.stop.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (app, router) = (app.clone(), router.clone());
                connections.spawn(async move {
                    connect(&app, router, stream, peer, (seat, patience)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connect(
    app: &App,
    router: Router,
    mut stream: TcpStream,
    peer: SocketAddr,
    (seat, patience): (impl Send + Sync + 'static, Patience),
) {
    let address = peer.ip().to_canonical();
    let is_proxy = is_trusted(address, &app.config.limits.trusted_proxies);
    let entry = app.limits.connections.try_enter(limit_key(address));
    if entry.is_none() && !is_proxy {
        let message = "too many connections are open from this address; close some";
        let body = serde_json::json!({ "code": wire::ErrorCode::RateLimited, "message": message }).to_string();
        let head =
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nconnection: close\r\ncontent-type: application/json";
        let refused = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        // It may be gone; then there is nobody to tell.
        stream.write_all(refused.as_bytes()).await.unwrap_or_default();
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
    }
    let place = Place::new((seat, entry, app.metrics.connection()));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(place.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.into_response()) }
    });
    // One that opens while the server drains is still told so, and closed after one answer.
    let (is_late, draining) = (app.draining.is_cancelled(), app.draining.clone());
    let mut http = http1::Builder::new();
    http.keep_alive(!is_late);
    http.timer(TokioTimer::new()).header_read_timeout(patience.head).max_buf_size(HEAD_BYTES_MAX);
    let io = TokioIo::new(StallGuard::new(stream, patience.reader, app.metrics.traffic.clone()));
    let connection = http.serve_connection(io, service).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled(), if !is_late => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = app.over.cancelled() => Ok(()),
            }
        }
        () = app.over.cancelled() => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection broke off");
    }
}

/// Everything this server answers.
pub fn router(app: &App) -> Router {
    let api = routes::api(app.clone());
    let config = SiteConfig {
        folder: app.config.site.clone(),
        downloads: app.config.downloads.clone(),
        public_url: app.config.public_url.clone(),
    };
    let drawing = app.clone();
    let shared = Shared {
        publications: app.publications.subscribe(),
        cores: Arc::clone(&app.checks),
        refuse_drawing: Arc::new(move |parts| {
            let address = ClientAddress::of(parts, &drawing.config.limits.trusted_proxies)?;
            drawing.limits.check(Action::DrawPage, address).err().map(IntoResponse::into_response)
        }),
    };
    site::router(config, shared, api.clone())
        .merge(api)
        .merge(metrics::router_with_token(app))
        .layer(middleware::from_fn(leave_unknown_length_out))
        .layer(middleware::from_fn_with_state(app.clone(), count_request))
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
