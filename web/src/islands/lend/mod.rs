//! The lend page: one button, what the GPU does, what its person allows, what it has earned.

mod frames;
mod log;
mod native;
mod tab;
mod wishes;

use leptos::prelude::*;
use wire::Account;
use wire::lend::{FailureCode, Phase, Status};

use self::frames::Frames;
use self::log::DeviceLog;
use self::native::NativeCard;
use self::tab::Tab;
use self::wishes::WishesForm;
use super::schedule::Wishes;
use super::worker::{has_webgpu, origin};
use crate::components::Fact;
use crate::format;
use crate::text::text;

/// What the page knows of its Web Worker.
#[derive(Clone, Debug, PartialEq, Default)]
enum Lending {
    #[default]
    Idle,
    Starting,
    Working(Status),
    Failed(FailureCode, String),
}

impl Lending {
    fn is_on(&self) -> bool {
        match self {
            Self::Starting => true,
            Self::Working(status) => status.phase != Phase::Stopped,
            Self::Idle | Self::Failed(..) => false,
        }
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Working(status) => Some(status),
            Self::Idle | Self::Starting | Self::Failed(..) => None,
        }
    }
}

/// One button to lend this browser's GPU.
#[island]
pub fn LendIsland(
    /// The account that earns, where the person is signed in.
    account: Option<Account>,
) -> impl IntoView {
    let t = text();
    let lending = RwSignal::new(Lending::Idle);
    let supported = RwSignal::new(true);
    let wishes = RwSignal::new(Wishes::default());
    let signed_in = account.is_some();
    let tab = Tab::new(lending, wishes, signed_in);
    Effect::new(move |_| supported.set(has_webgpu()));
    let is_on = Memo::new(move |_| lending.with(Lending::is_on));
    let without_gpu = move || {
        !supported.get() || lending.with(|lending| matches!(lending, Lending::Failed(FailureCode::NoWebGpu, _)))
    };
    let failure = move || {
        lending.with(|lending| match lending {
            Lending::Failed(code, message) if *code != FailureCode::NoWebGpu => Some(message.clone()),
            _ => None,
        })
    };
    view! {
        <Show when=without_gpu><NoWebGpu/></Show>
        {move || failure().map(|message| view! { <p class="notice bad" role="alert">{t.stopped_because} " " {message}</p> })}
        <div class="columns">
            <section class="card" aria-labelledby="now-title">
                <h2 id="now-title">{t.now_title}</h2>
                <div class="actions">
                    <Show when=move || is_on.get() fallback=move || view! {
                        <button type="button" class="primary large" disabled=without_gpu on:click=move |_| tab.start()>{t.start}</button>
                    }>
                        <button type="button" class="large" on:click=move |_| tab.stop()>{t.stop}</button>
                    </Show>
                </div>
                <Figures lending/>
                <Frames is_on/>
                <p class="hint">{if signed_in { t.earns_for_account } else { t.guest_note }}</p>
            </section>
            <section class="card" aria-labelledby="rules-title">
                <h2 id="rules-title">{t.rules_title}</h2>
                <WishesForm wishes/>
            </section>
        </div>
        <section class="card" aria-labelledby="log-title">
            <h2 id="log-title">{t.device_log}</h2>
            <DeviceLog device=Memo::new(move |_| lending.with(|lending| lending.status().map(|status| status.device)))
                done=Memo::new(move |_| lending.with(|lending| lending.status().map_or(0, |status| status.tiles_verified)))/>
        </section>
        <NativeCard signed_in/>
    }
}

/// What is missing, and what to do.
#[component]
fn NoWebGpu() -> impl IntoView {
    let t = text();
    view! {
        <div class="notice bad" role="alert">
            <h2>{t.no_webgpu}</h2>
            <p>{t.no_webgpu_help}</p>
            <code class="key">"tessera-worker run --url " {origin()}</code>
        </div>
    }
}

#[component]
fn Figures(
    /// What the worker last said.
    lending: RwSignal<Lending>,
) -> impl IntoView {
    let t = text();
    let status = Memo::new(move |_| lending.with(|lending| lending.status().cloned()));
    let phase = move || match status.with(|status| status.as_ref().map(|status| status.phase)) {
        Some(phase) => t.phase(phase),
        None if lending.with(|lending| *lending == Lending::Starting) => t.connecting,
        None => t.idle,
    };
    let figure = move |read: fn(&Status) -> String| {
        move || status.with(|status| status.as_ref().map_or_else(|| "–".to_owned(), read))
    };
    let in_hand =
        move || status.with(|status| status.as_ref().map(|status| status.tiles_in_hand).filter(|tiles| *tiles > 0));
    view! {
        <dl class="facts" aria-live="polite">
            <Fact label=t.now_doing>
                <span data-testid="phase">{phase}</span>
                {move || in_hand().map(|tiles| view! { <small>" · " {tiles} " " {t.in_hand}</small> })}
            </Fact>
            <Fact label=t.program>{figure(|status| status.program.clone().unwrap_or_else(|| "–".to_owned()))}</Fact>
            <Fact label=t.tiles_verified><span data-testid="tiles-verified">{figure(|status| format::count(status.tiles_verified))}</span></Fact>
            <Fact label=t.speed>{figure(|status| format!("{:.2} GFLOP/s", status.gflops))}</Fact>
            <Fact label=t.busy>{figure(|status| format!("{} %", status.busy_percent))}</Fact>
            <Fact label=t.earned><span data-testid="earned">{figure(|status| format::credits(status.earnings.available))}</span> " " <small>{t.credits}</small></Fact>
            <Fact label=t.pending><span data-testid="pending">{figure(|status| format::credits(status.earnings.pending))}</span></Fact>
            <Fact label=t.refused>{figure(|status| format::count(status.leases_refused))}</Fact>
            <Fact label=t.gpu><small>{figure(|status| status.adapter.clone())}</small></Fact>
            <Fact label=t.device><small class="mono" data-testid="device">{figure(|status| status.device.to_string().chars().take(16).collect())}</small></Fact>
        </dl>
    }
}
