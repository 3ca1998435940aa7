//! A page's lending, from start to stop: it starts the Web Worker, follows what it reports, and pauses it by
//! the person's settings. It shows nothing.

use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use wire::JobId;
use wire::lend::{FailureCode, FromWorker, PauseReason, Phase, Status, ToWorker};

use super::settings::LendSettings;
use crate::api;
use crate::browser::backend::Backend;
use crate::browser::conditions::{self, Conditions};
use crate::browser::web_worker::WebWorker;
use crate::browser::{monotonic_millis, origin};
use crate::text::text;

/// How often the time of day and the time lent are compared with the settings.
const CLOCK_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
const STORAGE_KEY: &str = "tessera-lend-settings";

/// What the page knows of its Web Worker.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum LendState {
    #[default]
    Idle,
    Starting,
    Working(Status),
    Failed(FailureCode, String),
}

impl LendState {
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

    /// What the page shows after it has shown `before`: whatever ends a session, its figures stay.
    pub fn shown(&self, before: Option<&Status>) -> Option<Status> {
        match self {
            Self::Working(status) => Some(status.clone()),
            Self::Failed(..) => before.map(|status| Status {
                phase: Phase::Stopped,
                tiles_in_hand: 0,
                busy_percent: 0,
                program: None,
                ..status.clone()
            }),
            Self::Idle | Self::Starting => None,
        }
    }
}

/// The figures that a page shows of a session.
pub fn shown_status(state: RwSignal<LendState>) -> Memo<Option<Status>> {
    Memo::new(move |before: Option<&Option<Status>>| state.with(|state| state.shown(before.and_then(Option::as_ref))))
}

/// Whose tiles a session computes.
#[derive(Clone, Copy, Debug)]
pub enum LendTarget {
    /// Anybody's, on the backend that the settings name. A signed-in person's account gets the earnings.
    Anybody { signed_in: bool },
    /// A job of the account that the page is signed in to, on the first of these backends that is there.
    Job(JobId, &'static [Backend]),
}

/// Copies are handles of the same session.
#[derive(Clone, Copy)]
pub struct LendSession {
    state: RwSignal<LendState>,
    settings: RwSignal<LendSettings>,
    target: LendTarget,
    /// What is started next where the last one is not there, best first.
    backends_left: StoredValue<&'static [Backend]>,
    worker: StoredValue<Option<SendWrapper<WebWorker>>>,
    conditions: RwSignal<Conditions>,
    /// On [`monotonic_millis`].
    started_millis: StoredValue<f64>,
}

impl LendSession {
    /// A session that is not started. It ends with the part of the page that made it.
    pub fn new(state: RwSignal<LendState>, settings: RwSignal<LendSettings>, target: LendTarget) -> Self {
        let session = Self {
            state,
            settings,
            target,
            backends_left: StoredValue::new(&[]),
            worker: StoredValue::new(None),
            conditions: RwSignal::new(Conditions::default()),
            started_millis: StoredValue::new(0.0),
        };
        Effect::new(move |_| {
            if let Some(stored) = read_stored() {
                settings.set(stored);
            }
            session.watch_page();
        });
        let duty = Memo::new(move |_| settings.with(|settings| settings.duty_percent));
        Effect::new(move |_| session.send(&ToWorker::Duty { percent: duty.get() }));
        let pause = Memo::new(move |_| settings.with(|settings| settings.pause(session.conditions.get())));
        Effect::new(move |_| session.send(&pause_or_resume(pause.get())));
        Effect::new(move |before: Option<()>| {
            let changed = settings.get();
            // The first run sees what was read from storage, or defaults.
            if before.is_some() {
                store(&changed);
            }
        });
        on_cleanup(move || session.drop_worker());
        session
    }

    pub fn start(self) {
        self.drop_worker();
        self.state.set(LendState::Starting);
        self.started_millis.set_value(monotonic_millis());
        self.backends_left.set_value(match self.target {
            LendTarget::Anybody { .. } => self.settings.with_untracked(|settings| settings.backend.alone()),
            LendTarget::Job(_, backends) => backends,
        });
        self.start_next_backend();
    }

    /// Asks the worker to give its work back. It reports when it has stopped.
    pub fn stop(self) {
        self.send(&ToWorker::Stop);
    }

    fn start_next_backend(self) {
        let Some((&backend, rest)) = self.backends_left.get_value().split_first() else { return };
        self.backends_left.set_value(rest);
        match WebWorker::start(backend, move |message| self.on_message(message, backend)) {
            Some(worker) => self.worker.set_value(Some(SendWrapper::new(worker))),
            None => self.state.set(LendState::Failed(FailureCode::Storage, text().lend.no_worker.to_owned())),
        }
    }

    fn on_message(self, message: FromWorker, backend: Backend) {
        match message {
            FromWorker::Loaded => self.on_loaded(backend),
            FromWorker::Status(status) => {
                self.state.try_set(LendState::Working(status));
            }
            FromWorker::Failed { code: FailureCode::NoWebGpu | FailureCode::SoftwareAdapter, .. }
                if !self.backends_left.get_value().is_empty() =>
            {
                // Starting another drops this worker, which must not happen within its own message.
                set_timeout(move || self.start_next_backend(), std::time::Duration::ZERO);
            }
            FromWorker::Failed { code, message } => {
                self.state.try_set(LendState::Failed(code, message));
                set_timeout(move || self.drop_worker(), std::time::Duration::ZERO);
            }
            FromWorker::Benchmarked(_) | FromWorker::Recomputed(_) | FromWorker::Tried(_) => {}
        }
    }

    /// Links the device to the account where there is one, and lets it work.
    fn on_loaded(self, backend: Backend) {
        let (signed_in, only_job) = match self.target {
            LendTarget::Anybody { signed_in } => (signed_in, None),
            LendTarget::Job(id, _) => (true, Some(id)),
        };
        spawn_local(async move {
            // Without a code the device works all the same, as a guest.
            let code = if signed_in { api::make_device_code().await.ok().map(|made| made.code) } else { None };
            let (duty_percent, models_only) =
                self.settings.with_untracked(|settings| (settings.duty_percent, settings.models_only));
            // Whoever computes a job of their own wants that one done.
            let models_only = models_only && only_job.is_none();
            let software = backend.allows_software();
            self.send(&ToWorker::Start { url: origin(), software, duty_percent, models_only, code, only_job });
            self.send(&pause_or_resume(self.pause_reason()));
        });
    }

    fn pause_reason(self) -> Option<PauseReason> {
        self.settings.with_untracked(|settings| settings.pause(self.conditions.get_untracked()))
    }

    fn drop_worker(self) {
        self.worker.try_update_value(|worker| *worker = None).unwrap_or_default();
    }

    fn send(self, message: &ToWorker) {
        self.worker.with_value(|worker| {
            if let Some(worker) = worker {
                worker.send(message);
            }
        });
    }

    fn is_time_over(self) -> bool {
        let lent_millis = monotonic_millis() - self.started_millis.get_value();
        self.state.with_untracked(LendState::is_on)
            && self.settings.with_untracked(|settings| settings.is_over(lent_millis))
    }

    /// The time of day and the time lent, and what the browser says of the tab and its power.
    fn watch_page(self) {
        let on_clock = move || {
            self.conditions.update(|conditions| conditions.minute_of_day = minute_of_day());
            if self.is_time_over() {
                self.stop();
            }
        };
        on_clock();
        if let Ok(interval) = set_interval_with_handle(on_clock, CLOCK_EVERY) {
            on_cleanup(move || interval.clear());
        }
        conditions::watch(self.conditions, move |frozen| {
            // A frozen tab runs no code, so it gives its work back before that, whatever the settings say.
            let reason = if frozen { Some(PauseReason::Hidden) } else { self.pause_reason() };
            self.send(&pause_or_resume(reason));
        });
    }
}

fn pause_or_resume(pause: Option<PauseReason>) -> ToWorker {
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

fn read_stored() -> Option<LendSettings> {
    let text = storage()?.get_item(STORAGE_KEY).ok()??;
    serde_json::from_str(&text).ok()
}

fn store(settings: &LendSettings) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(settings)) {
        // A browser that keeps nothing asks again next time.
        storage.set_item(STORAGE_KEY, &text).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use wire::DeviceId;
    use wire::device::Earnings;

    use super::*;

    #[test]
    fn a_session_that_something_ends_keeps_its_figures() {
        let status = Status {
            phase: Phase::Computing,
            device: DeviceId([3; 32]),
            adapter: "A GPU".to_owned(),
            tiles_verified: 225,
            leases_refused: 1,
            earnings: Earnings::default(),
            tiles_in_hand: 4,
            gflops: 2.5,
            program: Some("infer/1".to_owned()),
            busy_percent: 50,
            trouble: None,
        };
        let ended = LendState::Failed(FailureCode::DeviceLost, String::new());

        let shown = ended.shown(LendState::Working(status.clone()).shown(None).as_ref()).unwrap();

        assert_eq!((shown.phase, shown.tiles_in_hand, shown.tiles_verified), (Phase::Stopped, 0, 225));
        assert_eq!(ended.shown(None), None, "nothing was lent");
        assert_eq!(LendState::Starting.shown(Some(&status)), None, "another session begins");
    }
}
