//! A job's server-sent events, followed until the job ends: a lost connection is opened again.

use std::pin::pin;

use futures::StreamExt;
use futures::channel::oneshot;
use futures::future::{Either, select};
use gloo_net::eventsource::State;
use gloo_net::eventsource::futures::EventSource;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{JobId, JobProgress};

use crate::api::{Api, events_path};

/// How often the connection's state is looked at: longer than one takes to open.
const STATE_CHECK_MILLIS: u32 = 2_000;
const RETRY_FIRST_MILLIS: u32 = 500;
const RETRY_MAX_MILLIS: u32 = 15_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Open,
    /// It broke, and another is being opened.
    Lost,
    /// The session has ended: nothing more is read before the person signs in.
    SignedOut,
}

/// Writes each event into `progress` until the job ends or the part of the page that called is gone.
pub fn follow_job(id: JobId, progress: RwSignal<JobProgress>, connection: RwSignal<Connection>) {
    let (stop, stopped) = oneshot::channel::<()>();
    on_cleanup(move || drop(stop));
    spawn_local(async move {
        select(pin!(reconnect_until_ended(id, progress, connection)), stopped).await;
    });
}

async fn reconnect_until_ended(id: JobId, progress: RwSignal<JobProgress>, connection: RwSignal<Connection>) {
    let mut retry_millis = RETRY_FIRST_MILLIS;
    loop {
        let received = read_events(id, progress, connection).await;
        if progress.try_with_untracked(|progress| progress.job.state.has_ended()) != Some(false) {
            return;
        }
        connection.try_set(Connection::Lost);
        if received {
            retry_millis = RETRY_FIRST_MILLIS;
        }
        TimeoutFuture::new(retry_millis).await;
        retry_millis = (retry_millis * 2).min(RETRY_MAX_MILLIS);
        match Api::default().job_progress(id).await {
            Ok(read) => {
                progress.try_set(read);
            }
            Err(failure) if failure.is_unauthorized() => {
                connection.try_set(Connection::SignedOut);
                return;
            }
            Err(_not_yet) => {}
        }
    }
}

/// Reads one connection until it breaks or the job ends. Returns whether any event came.
async fn read_events(id: JobId, progress: RwSignal<JobProgress>, connection: RwSignal<Connection>) -> bool {
    let Ok(mut source) = EventSource::new(&events_path(id)) else { return false };
    let Ok(mut events) = source.subscribe("progress") else { return false };
    let mut received = false;
    loop {
        // The browser reports nothing while it reopens a connection by itself, so its state is polled.
        let message = match select(events.next(), TimeoutFuture::new(STATE_CHECK_MILLIS)).await {
            Either::Left((Some(Ok((_, message))), _)) => message,
            Either::Right(_) if source.state() == State::Open => continue,
            Either::Left(_) | Either::Right(_) => break,
        };
        let read = message.data().as_string().and_then(|text| serde_json::from_str::<JobProgress>(&text).ok());
        let Some(read) = read else { continue };
        received = true;
        connection.try_set(Connection::Open);
        let ended = read.job.state.has_ended();
        progress.try_set(read);
        if ended {
            break;
        }
    }
    // Dropping the source closes it, so that the browser's own retry does not run beside ours.
    source.close();
    received
}
