//! The tab around the worker: who starts it, what it hears, when it must rest.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::lend::{FailureCode, FromWorker, PauseReason, ToWorker};

use super::super::schedule::{Lent, Surroundings, Wishes};
use super::super::worker::{Handle, monotonic_millis, origin};
use super::Lending;
use crate::api;
use crate::text::text;

/// How often hours of the day and the time given are looked at.
const LOOK: std::time::Duration = std::time::Duration::from_secs(5);
const KEPT_AS: &str = "tessera-wishes";

#[derive(Clone, Copy)]
pub struct Tab {
    lending: RwSignal<Lending>,
    wishes: RwSignal<Wishes>,
    /// Whether an account is there to link the device to.
    signed_in: bool,
    worker: StoredValue<Option<SendHandle>>,
    around: RwSignal<Surroundings>,
    /// When lending was started, on a clock that never jumps.
    started: StoredValue<f64>,
}

type SendHandle = send_wrapper::SendWrapper<Handle>;

impl Tab {
    pub fn new(lending: RwSignal<Lending>, wishes: RwSignal<Wishes>, signed_in: bool) -> Self {
        let tab = Self {
            lending,
            wishes,
            signed_in,
            worker: StoredValue::new(None),
            around: RwSignal::new(Surroundings::default()),
            started: StoredValue::new(0.0),
        };
        Effect::new(move |_| {
            if let Some(kept) = read_kept() {
                wishes.set(kept);
            }
            tab.watch_page();
        });
        let duty = Memo::new(move |_| wishes.with(|wishes| wishes.duty_percent));
        Effect::new(move |_| tab.send(&ToWorker::Duty { percent: duty.get() }));
        let pause = Memo::new(move |_| wishes.with(|wishes| wishes.pause(tab.around.get())));
        Effect::new(move |_| tab.send(&pace(pause.get())));
        Effect::new(move |before: Option<()>| {
            let now = wishes.get();
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
        let on_cpu = self.wishes.with_untracked(|wishes| wishes.lent == Lent::Cpu);
        match Handle::start(on_cpu, move |message| self.hear(message)) {
            Some(handle) => self.worker.set_value(Some(SendHandle::new(handle))),
            None => self.lending.set(Lending::Failed(FailureCode::Storage, text().no_worker.to_owned())),
        }
    }

    pub fn stop(self) {
        self.send(&ToWorker::Stop);
    }

    fn hear(self, message: FromWorker) {
        match message {
            FromWorker::Loaded => self.begin(),
            FromWorker::Status(status) => {
                self.lending.try_set(Lending::Working(status));
            }
            FromWorker::Failed { code, message } => {
                self.lending.try_set(Lending::Failed(code, message));
                // Not from within its own message.
                set_timeout(move || self.end(), std::time::Duration::ZERO);
            }
            FromWorker::Benchmarked(_) | FromWorker::Recomputed(_) | FromWorker::Tried(_) => {}
        }
    }

    /// Links the device to the account where there is one, and lets it work.
    fn begin(self) {
        spawn_local(async move {
            let code = if self.signed_in { api::make_device_code().await.ok().map(|made| made.code) } else { None };
            let (duty_percent, lent) = self.wishes.with_untracked(|wishes| (wishes.duty_percent, wishes.lent));
            let software = lent == Lent::Software;
            self.send(&ToWorker::Start { url: origin(), software, duty_percent, code });
            self.send(&pace(self.wishes.with_untracked(|wishes| wishes.pause(self.around.get_untracked()))));
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
            self.around.update(|around| around.minute_of_day = minute_of_day());
            let lent = monotonic_millis() - self.started.get_value();
            if self.lending.with_untracked(Lending::is_on) && self.wishes.with_untracked(|wishes| wishes.is_over(lent))
            {
                self.stop();
            }
        };
        look();
        if let Ok(interval) = set_interval_with_handle(look, LOOK) {
            on_cleanup(move || interval.clear());
        }
        browser::watch(self.around, move |frozen| {
            // A frozen tab runs no code, so it gives back before.
            let reason = if frozen {
                Some(PauseReason::Hidden)
            } else {
                self.wishes.with_untracked(|wishes| wishes.pause(self.around.get_untracked()))
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

fn read_kept() -> Option<Wishes> {
    let text = storage()?.get_item(KEPT_AS).ok()??;
    serde_json::from_str(&text).ok()
}

fn keep(wishes: &Wishes) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(wishes)) {
        // A browser that keeps nothing asks again next time.
        storage.set_item(KEPT_AS, &text).unwrap_or_default();
    }
}

#[cfg(feature = "ssr")]
mod browser {
    use leptos::prelude::RwSignal;

    use super::Surroundings;

    pub(super) fn watch(_around: RwSignal<Surroundings>, _on_frozen: impl Fn(bool) + Copy + 'static) {}
}

#[cfg(not(feature = "ssr"))]
mod browser {
    use js_sys::{Function, Reflect};
    use leptos::prelude::*;
    use leptos::task::spawn_local;
    use wasm_bindgen::{JsCast, JsValue, closure::Closure};
    use web_sys::VisibilityState;

    use super::Surroundings;

    /// Visibility, freezing and battery.
    pub(super) fn watch(around: RwSignal<Surroundings>, on_frozen: impl Fn(bool) + Copy + 'static) {
        let is_hidden = || document().visibility_state() == VisibilityState::Hidden;
        around.update(|around| around.hidden = is_hidden());
        let changed = Closure::<dyn Fn()>::new(move || around.update(|around| around.hidden = is_hidden()));
        let frozen = Closure::<dyn Fn()>::new(move || on_frozen(true));
        let resumed = Closure::<dyn Fn()>::new(move || on_frozen(false));
        let callbacks =
            send_wrapper::SendWrapper::new([("visibilitychange", changed), ("freeze", frozen), ("resume", resumed)]);
        for (name, callback) in callbacks.iter() {
            document().add_event_listener_with_callback(name, callback.as_ref().unchecked_ref()).unwrap_or_default();
        }
        on_cleanup(move || {
            for (name, callback) in callbacks.iter() {
                document()
                    .remove_event_listener_with_callback(name, callback.as_ref().unchecked_ref())
                    .unwrap_or_default();
            }
        });
        spawn_local(async move {
            // Browsers without the battery interface say nothing, and nothing is assumed.
            watch_battery(around).await.unwrap_or_default();
        });
    }

    async fn watch_battery(around: RwSignal<Surroundings>) -> Result<(), JsValue> {
        let navigator = window().navigator();
        let get: Function = Reflect::get(&navigator, &JsValue::from_str("getBattery"))?.dyn_into()?;
        let promise: js_sys::Promise = get.call0(&navigator)?.dyn_into()?;
        let battery = wasm_bindgen_futures::JsFuture::from(promise).await?;
        let charging = JsValue::from_str("charging");
        let read = {
            let battery = battery.clone();
            move || {
                let charging = Reflect::get(&battery, &charging).ok().and_then(|charging| charging.as_bool());
                around.try_update(|around| around.on_battery = charging == Some(false)).unwrap_or_default();
            }
        };
        read();
        let changed = Closure::<dyn Fn()>::new(read);
        let target: &web_sys::EventTarget = battery.unchecked_ref();
        target.add_event_listener_with_callback("chargingchange", changed.as_ref().unchecked_ref())?;
        // The battery outlives the page's parts.
        changed.forget();
        Ok(())
    }
}
