//! A job's events, followed until its end: lost connections are taken up again.

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

/// Longer than a connection takes to open.
const LOOK_MILLIS: u32 = 2_000;
const WAIT_FIRST_MILLIS: u32 = 500;
const WAIT_MAX_MILLIS: u32 = 15_000;

/// How the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Open,
    /// It broke off; another is tried.
    Lost,
    /// The session has ended: nothing more comes before signing in.
    SignedOut,
}

/// Follows until the job ends or the page's part goes.
pub fn watch(id: JobId, progress: RwSignal<JobProgress>, connection: RwSignal<Connection>) {
    let (stop, stopped) = oneshot::channel::<()>();
    on_cleanup(move || drop(stop));
    spawn_local(async move {
        select(pin!(follow(id, progress, connection)), stopped).await;
    });
}

async fn follow(id: JobId, progress: RwSignal<JobProgress>, connection: RwSignal<Connection>) {
    let mut wait = WAIT_FIRST_MILLIS;
    loop {
        let heard = listen(id, progress, connection).await;
        if progress.try_with_untracked(|progress| progress.job.state.has_ended()) != Some(false) {
            return;
        }
        connection.try_set(Connection::Lost);
        if heard {
            wait = WAIT_FIRST_MILLIS;
        }
        TimeoutFuture::new(wait).await;
        wait = (wait * 2).min(WAIT_MAX_MILLIS);
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

/// One connection's life. Whether anything came.
async fn listen(id: JobId, progress: RwSignal<JobProgress>, connection: RwSignal<Connection>) -> bool {
    let Ok(mut source) = EventSource::new(&events_path(id)) else { return false };
    let Ok(mut events) = source.subscribe("progress") else { return false };
    let mut heard = false;
    loop {
        // The browser says nothing of a connection that it is trying to take up again: we look.
        let message = match select(events.next(), TimeoutFuture::new(LOOK_MILLIS)).await {
            Either::Left((Some(Ok((_, message))), _)) => message,
            Either::Right(_) if source.state() == State::Open => continue,
            Either::Left(_) | Either::Right(_) => break,
        };
        let read = message.data().as_string().and_then(|text| serde_json::from_str::<JobProgress>(&text).ok());
        let Some(read) = read else { continue };
        heard = true;
        connection.try_set(Connection::Open);
        let ended = read.job.state.has_ended();
        progress.try_set(read);
        if ended {
            break;
        }
    }
    // Dropping the source closes it, so that the browser's own retry does not run beside ours.
    source.close();
    heard
}
