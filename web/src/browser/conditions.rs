//! The tab's visibility and the machine's power, as the browser reports them.

use js_sys::{Function, Reflect};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::VisibilityState;

/// What the settings may pause for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub hidden: bool,
    pub on_battery: bool,
    /// Minutes since midnight, local time.
    pub minute_of_day: u16,
}

/// Writes visibility and battery into `conditions` as they change, and reports when the tab is frozen or
/// thawed.
pub fn watch(conditions: RwSignal<Conditions>, on_frozen: impl Fn(bool) + Copy + 'static) {
    let is_hidden = || document().visibility_state() == VisibilityState::Hidden;
    conditions.update(|conditions| conditions.hidden = is_hidden());
    let changed = Closure::<dyn Fn()>::new(move || conditions.update(|conditions| conditions.hidden = is_hidden()));
    let frozen = Closure::<dyn Fn()>::new(move || on_frozen(true));
    let resumed = Closure::<dyn Fn()>::new(move || on_frozen(false));
    let callbacks =
        send_wrapper::SendWrapper::new([("visibilitychange", changed), ("freeze", frozen), ("resume", resumed)]);
    for (name, callback) in callbacks.iter() {
        document().add_event_listener_with_callback(name, callback.as_ref().unchecked_ref()).unwrap_or_default();
    }
    on_cleanup(move || {
        for (name, callback) in callbacks.iter() {
            document().remove_event_listener_with_callback(name, callback.as_ref().unchecked_ref()).unwrap_or_default();
        }
    });
    spawn_local(async move {
        // A browser without the battery interface counts as plugged in.
        watch_battery(conditions).await.unwrap_or_default();
    });
}

async fn watch_battery(conditions: RwSignal<Conditions>) -> Result<(), JsValue> {
    let navigator = window().navigator();
    let get: Function = Reflect::get(&navigator, &JsValue::from_str("getBattery"))?.dyn_into()?;
    let promise: js_sys::Promise = get.call0(&navigator)?.dyn_into()?;
    let battery = wasm_bindgen_futures::JsFuture::from(promise).await?;
    let charging = JsValue::from_str("charging");
    let read = {
        let battery = battery.clone();
        move || {
            let charging = Reflect::get(&battery, &charging).ok().and_then(|charging| charging.as_bool());
            conditions.try_update(|conditions| conditions.on_battery = charging == Some(false)).unwrap_or_default();
        }
    };
    read();
    let changed = Closure::<dyn Fn()>::new(read);
    let target: &web_sys::EventTarget = battery.unchecked_ref();
    target.add_event_listener_with_callback("chargingchange", changed.as_ref().unchecked_ref())?;
    // The browser keeps one battery object for as long as the page lives.
    changed.forget();
    Ok(())
}
