//! The lend page: the button that starts, what the device does and has earned, and the person's settings.

mod frames;
mod log;
mod native;
pub(super) mod session;
pub(super) mod settings;
mod settings_form;

use leptos::prelude::*;
use wire::lend::{FailureCode, Status, Trouble};
use wire::{Account, ErrorBody, ErrorCode};

use self::frames::Frames;
use self::log::DeviceLog;
use self::native::NativeCard;
use self::session::{LendSession, LendState, LendTarget, shown_status};
use self::settings::LendSettings;
use self::settings_form::LendSettingsForm;
use crate::browser::backend::Backend;
use crate::browser::{has_webgpu, origin};
use crate::components::Fact;
use crate::format;
use crate::text::{self, hardware, refusal, spaced, text};

/// One button to lend this browser's GPU.
#[island]
pub fn LendIsland(
    /// The account that earns, where the person is signed in.
    account: Option<Account>,
) -> impl IntoView {
    let t = text();
    let state = RwSignal::new(LendState::Idle);
    let supported = RwSignal::new(true);
    let settings = RwSignal::new(LendSettings::default());
    let shown = shown_status(state);
    let signed_in = account.is_some();
    let session = LendSession::new(state, settings, LendTarget::Anybody { signed_in });
    Effect::new(move |_| supported.set(has_webgpu()));
    let is_on = Memo::new(move |_| state.with(LendState::is_on));
    let backend = Memo::new(move |_| settings.with(|settings| settings.backend));
    // Why WebGPU cannot be used: there is none, or its only adapter is a software one.
    let missing = move || {
        let found = state.with(|state| match state {
            LendState::Failed(code @ (FailureCode::NoWebGpu | FailureCode::SoftwareAdapter), _) => Some(*code),
            _ => None,
        });
        if is_on.get() || backend.get() == Backend::Cpu {
            None
        } else if supported.get() {
            found
        } else {
            Some(FailureCode::NoWebGpu)
        }
    };
    let failure = move || {
        state.with(|state| match state {
            LendState::Failed(FailureCode::NoWebGpu | FailureCode::SoftwareAdapter, _) => None,
            LendState::Failed(code, message) => Some((why(*code, message), message.clone())),
            _ => None,
        })
    };
    let on_choice = Callback::new(move |backend| {
        settings.update(|settings| settings.backend = backend);
        session.start();
    });
    let cannot_start = move || !supported.get() && backend.get() != Backend::Cpu;
    view! {
        {move || missing().map(|missing| view! { <NoGpu missing on_choice/> })}
        {move || failure().map(|(why, message)| view! {
            <div class="notice bad" role="alert" data-testid="stopped-because">
                <p>{spaced(t.lend.stopped_because)} {why}</p>
                <details><summary>{t.lend.trouble_details}</summary><p class="mono wrap">{message}</p></details>
            </div>
        })}
        <div class="columns">
            <section class="card" aria-labelledby="now-title">
                <h2 id="now-title">{t.lend.now_title}</h2>
                <div class="actions">
                    <Show when=move || is_on.get() fallback=move || view! {
                        <button type="button" class="primary large" disabled=cannot_start on:click=move |_| session.start()>{t.lend.start}</button>
                    }>
                        <button type="button" class="large" on:click=move |_| session.stop()>{t.lend.stop}</button>
                    </Show>
                </div>
                <Figures state status=shown/>
                <TroubleNotice state/>
                <Frames is_on/>
                <p class="hint">{if signed_in { t.lend.earns_for_account } else { t.lend.guest_note }}</p>
            </section>
            <section class="card" aria-labelledby="rules-title">
                <h2 id="rules-title">{t.lend.rules_title}</h2>
                <LendSettingsForm settings is_on/>
            </section>
        </div>
        <NativeCard signed_in/>
        <section class="card" aria-labelledby="log-title">
            <h2 id="log-title">{t.lend.device_log}</h2>
            <DeviceLog device=Memo::new(move |_| shown.with(|status| status.as_ref().map(|status| status.device)))
                tiles_verified=Memo::new(move |_| shown.with(|status| status.as_ref().map_or(0, |status| status.tiles_verified)))/>
        </section>
    }
}

/// Why lending stopped, in the reader's language.
pub(super) fn why(code: FailureCode, message: &str) -> String {
    let t = text();
    match code {
        FailureCode::DeviceLost => t.lend.device_lost.to_owned(),
        FailureCode::Storage => t.lend.storage_failed.to_owned(),
        FailureCode::Sample => t.lend.sample_failed.to_owned(),
        FailureCode::NoWebGpu => t.lend.no_webgpu.to_owned(),
        FailureCode::SoftwareAdapter => t.lend.only_software.to_owned(),
        FailureCode::Refused(ErrorCode::ReplayedFrame) => t.lend.lends_elsewhere.to_owned(),
        FailureCode::Refused(code) => {
            refusal(&ErrorBody { code, message: message.to_owned(), field: None, place: None, detail: None })
        }
    }
}

/// Why this browser's GPU cannot be lent, and what can be lent instead.
#[component]
fn NoGpu(
    /// What is missing.
    missing: FailureCode,
    /// Starts lending on another backend.
    on_choice: Callback<Backend>,
) -> impl IntoView {
    let t = text();
    let is_software = missing == FailureCode::SoftwareAdapter;
    view! {
        <div class="notice" role="alert">
            <h2>{if is_software { t.lend.only_software } else { t.lend.no_webgpu }}</h2>
            <p>{t.lend.lend_cpu_help}</p>
            <p class="actions">
                <button type="button" class="primary" on:click=move |_| on_choice.run(Backend::Cpu)>{t.lend.lend_cpu}</button>
                {is_software.then(|| view! {
                    <button type="button" on:click=move |_| on_choice.run(Backend::Software)>{t.lend.lend_software}</button>
                })}
            </p>
            <p>{t.lend.no_webgpu_help}</p>
            <code class="key">"tessera-worker run --url " {origin()}</code>
        </div>
    }
}

/// What went wrong, and that it costs its owner nothing.
#[component]
fn TroubleNotice(
    /// What the worker last reported.
    state: RwSignal<LendState>,
) -> impl IntoView {
    let t = text();
    let trouble = Memo::new(move |_| state.with(|state| state.status().and_then(|status| status.trouble.clone())));
    move || {
        trouble.get().map(|trouble| {
            let (what, message) = match trouble {
                Trouble::CannotCompile { message } => (t.lend.cannot_compile, message),
                Trouble::Restarted { message } => (t.lend.restarted, message),
                Trouble::GivenBack { message } => (t.lend.given_back, message),
            };
            view! {
                <div class="notice" role="status" data-testid="trouble">
                    <p>{what}</p>
                    <details><summary>{t.lend.trouble_details}</summary><p class="mono wrap">{message}</p></details>
                </div>
            }
        })
    }
}

#[component]
fn Figures(
    /// Whether it begins.
    state: RwSignal<LendState>,
    /// What the worker last reported.
    status: Memo<Option<Status>>,
) -> impl IntoView {
    let t = text();
    let phase = move || match status.with(|status| status.as_ref().map(|status| status.phase)) {
        Some(phase) => t.lend.phase(phase),
        None if state.with(|state| *state == LendState::Starting) => t.lend.connecting,
        None => t.lend.idle,
    };
    let figure = move |read: fn(&Status) -> String| {
        move || status.with(|status| status.as_ref().map_or_else(|| "–".to_owned(), read))
    };
    let in_hand =
        move || status.with(|status| status.as_ref().map(|status| status.tiles_in_hand).filter(|tiles| *tiles > 0));
    view! {
        <dl class="facts">
            <Fact label=t.lend.now_doing>
                // The figures change each second: they are not read out.
                <span data-testid="phase" aria-live="polite">{phase}</span>
                {move || in_hand().map(|tiles| view! { <small>" · " {t.lend.in_hand} {text::tiles(tiles.into())}</small> })}
            </Fact>
            <Fact label=t.site.program>{figure(|status| status.program.clone().unwrap_or_else(|| "–".to_owned()))}</Fact>
            <Fact label=t.site.tiles_verified><span data-testid="tiles-verified">{figure(|status| format::count(status.tiles_verified))}</span></Fact>
            <Fact label=t.site.speed>{figure(|status| format!("{:.2} GOP/s", status.gflops))}</Fact>
            <Fact label=t.lend.busy>{figure(|status| format!("{} %", status.busy_percent))}</Fact>
            <Fact label=t.site.earned><span data-testid="earned">{figure(|status| format::credits(status.earnings.by_device))}</span> " " <small>{t.site.credits}</small></Fact>
            <Fact label=t.lend.refused>{figure(|status| format::count(status.leases_refused))}</Fact>
            <Fact label=t.site.gpu><small>{figure(|status| hardware(&status.adapter))}</small></Fact>
            <Fact label=t.site.device><small class="mono" data-testid="device">{figure(|status| status.device.to_string().chars().take(16).collect())}</small></Fact>
        </dl>
    }
}
