//! The tab around the worker: who starts it, what it hears, when it must rest.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::JobId;
use wire::lend::{FailureCode, FromWorker, PauseReason, Phase, Status, ToWorker};

use super::settings::LendSettings;
use crate::api;
use crate::browser::backend::Backend;
use crate::browser::conditions::{self, Conditions};
use crate::browser::web_worker::WebWorker;
use crate::browser::{monotonic_millis, origin};
use crate::text::text;

/// How often hours of the day and the time given are looked at.
const LOOK: std::time::Duration = std::time::Duration::from_secs(5);
const STORAGE_KEY: &str = "tessera-lend-settings";

/// What the page knows of its Web Worker.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Lending {
    #[default]
    Idle,
    Starting,
    Working(Status),
    Failed(FailureCode, String),
}

impl Lending {
    pub fn is_on(&self) -> bool {
        match self {
            Self::Starting => true,
            Self::Working(status) => status.phase != Phase::Stopped,
            Self::Idle | Self::Failed(..) => false,
        }
    }

    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Working(status) => Some(status),
            Self::Idle | Self::Starting | Self::Failed(..) => None,
        }
    }
}

/// Whose tiles a tab computes.
#[derive(Clone, Copy, Debug)]
pub enum LendTarget {
    /// Anybody, as its person chose, who may have an account to link the device to.
    Anybody { signed_in: bool },
    /// A job of the account that the page is signed in to, on the first of these that is there.
    Job(JobId, &'static [Backend]),
}

#[derive(Clone, Copy)]
pub struct Tab {
    lending: RwSignal<Lending>,
    settings: RwSignal<LendSettings>,
    target: LendTarget,
    /// What is started next where the last one is not there, best first.
    backends_left: StoredValue<&'static [Backend]>,
    worker: StoredValue<Option<SendWebWorker>>,
    conditions: RwSignal<Conditions>,
    /// When lending was started, on a clock that never jumps.
    started: StoredValue<f64>,
}

type SendWebWorker = send_wrapper::SendWrapper<WebWorker>;

impl Tab {
    pub fn new(lending: RwSignal<Lending>, settings: RwSignal<LendSettings>, target: LendTarget) -> Self {
        let tab = Self {
            lending,
            settings,
            target,
            backends_left: StoredValue::new(&[]),
            worker: StoredValue::new(None),
            conditions: RwSignal::new(Conditions::default()),
            started: StoredValue::new(0.0),
        };
        Effect::new(move |_| {
            if let Some(kept) = read_kept() {
                settings.set(kept);
            }
            tab.watch_page();
        });
        let duty = Memo::new(move |_| settings.with(|settings| settings.duty_percent));
        Effect::new(move |_| tab.send(&ToWorker::Duty { percent: duty.get() }));
        let pause = Memo::new(move |_| settings.with(|settings| settings.pause(tab.conditions.get())));
        Effect::new(move |_| tab.send(&pace(pause.get())));
        Effect::new(move |before: Option<()>| {
            let now = settings.get();
            // The first run only knows what is kept already.
            if before.is_some() {
                keep(&now);
            }
        });
        on_cleanup(move || tab.end());
        tab
    }

    pub fn start(self) {
        self.end();
        self.lending.set(Lending::Starting);
        self.started.set_value(monotonic_millis());
        self.backends_left.set_value(match self.target {
            LendTarget::Anybody { .. } => self.settings.with_untracked(|settings| settings.backend.alone()),
            LendTarget::Job(_, backends) => backends,
        });
        self.start_next();
    }

    fn start_next(self) {
        let Some((&backend, rest)) = self.backends_left.get_value().split_first() else { return };
        self.backends_left.set_value(rest);
        match WebWorker::start(backend, move |message| self.hear(message, backend)) {
            Some(worker) => self.worker.set_value(Some(SendWebWorker::new(worker))),
            None => self.lending.set(Lending::Failed(FailureCode::Storage, text().lend.no_worker.to_owned())),
        }
    }

    pub fn stop(self) {
        self.send(&ToWorker::Stop);
    }

    fn hear(self, message: FromWorker, backend: Backend) {
        match message {
            FromWorker::Loaded => self.begin(backend),
            FromWorker::Status(status) => {
                self.lending.try_set(Lending::Working(status));
            }
            FromWorker::Failed { code: FailureCode::NoWebGpu | FailureCode::SoftwareAdapter, .. }
                if !self.backends_left.get_value().is_empty() =>
            {
                // Not from within its own message.
                set_timeout(move || self.start_next(), std::time::Duration::ZERO);
            }
            FromWorker::Failed { code, message } => {
                self.lending.try_set(Lending::Failed(code, message));
                set_timeout(move || self.end(), std::time::Duration::ZERO);
            }
            FromWorker::Benchmarked(_) | FromWorker::Recomputed(_) | FromWorker::Tried(_) => {}
        }
    }

    /// Links the device to the account where there is one, and lets it work.
    fn begin(self, backend: Backend) {
        let (signed_in, only_job) = match self.target {
            LendTarget::Anybody { signed_in } => (signed_in, None),
            LendTarget::Job(id, _) => (true, Some(id)),
        };
        spawn_local(async move {
            let code = if signed_in { api::make_device_code().await.ok().map(|made| made.code) } else { None };
            let duty_percent = self.settings.with_untracked(|settings| settings.duty_percent);
            let software = backend.allows_software();
            self.send(&ToWorker::Start { url: origin(), software, duty_percent, code, only_job });
            self.send(&pace(self.settings.with_untracked(|settings| settings.pause(self.conditions.get_untracked()))));
        });
    }

    fn end(self) {
        self.worker.try_update_value(|worker| *worker = None).unwrap_or_default();
    }

    fn send(self, message: &ToWorker) {
        self.worker.with_value(|worker| {
            if let Some(worker) = worker {
                worker.send(message);
            }
        });
    }

    /// The hours and the time given, and what the browser says of the tab and its power.
    fn watch_page(self) {
        let look = move || {
            self.conditions.update(|conditions| conditions.minute_of_day = minute_of_day());
            let lent = monotonic_millis() - self.started.get_value();
            if self.lending.with_untracked(Lending::is_on) && self.settings.with_untracked(|settings| settings.is_over(lent))
            {
                self.stop();
            }
        };
        look();
        if let Ok(interval) = set_interval_with_handle(look, LOOK) {
            on_cleanup(move || interval.clear());
        }
        conditions::watch(self.conditions, move |frozen| {
            // A frozen tab runs no code, so it gives back before.
            let reason = if frozen {
                Some(PauseReason::Hidden)
            } else {
                self.settings.with_untracked(|settings| settings.pause(self.conditions.get_untracked()))
            };
            self.send(&pace(reason));
        });
    }
}

fn pace(pause: Option<PauseReason>) -> ToWorker {
    pause.map_or(ToWorker::Resume, |reason| ToWorker::Pause { reason })
}

#[expect(clippy::cast_possible_truncation, reason = "below 1440")]
fn minute_of_day() -> u16 {
    let now = js_sys::Date::new_0();
    (now.get_hours() * 60 + now.get_minutes()) as u16
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn read_kept() -> Option<LendSettings> {
    let text = storage()?.get_item(STORAGE_KEY).ok()??;
    serde_json::from_str(&text).ok()
}

fn keep(settings: &LendSettings) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(settings)) {
        // A browser that keeps nothing asks again next time.
        storage.set_item(STORAGE_KEY, &text).unwrap_or_default();
    }
}
