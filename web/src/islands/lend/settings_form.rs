use leptos::prelude::*;

use super::settings::{LendSettings, parse_minute, show_minute};
use crate::browser::backend::Backend;
use crate::text::text;

/// How long to lend, in minutes; 0 for until stopped.
const STOPS: [u32; 6] = [0, 30, 60, 120, 240, 480];
const NIGHT: (u16, u16) = (22 * 60, 7 * 60);

/// How much of the GPU, when, and for how long.
#[component]
pub fn LendSettingsForm(
    /// What the person has set.
    settings: RwSignal<LendSettings>,
    /// Whether the page lends now.
    is_on: Memo<bool>,
) -> impl IntoView {
    let t = text();
    let duty = move || settings.with(|settings| settings.duty_percent);
    let on_duty = move |event| {
        if let Ok(percent) = event_target_value(&event).parse() {
            settings.update(|settings| settings.duty_percent = percent);
        }
    };
    let on_stop = move |event| {
        if let Ok(minutes) = event_target_value(&event).parse() {
            settings.update(|settings| settings.stop_after_minutes = minutes);
        }
    };
    let stop_label = move |minutes: u32| match minutes {
        0 => t.lend.never.to_owned(),
        30 => format!("30 {}", t.lend.minutes),
        minutes => format!("{} {}", minutes / 60, if minutes == 60 { t.lend.hour } else { t.lend.hours }),
    };
    view! {
        <BackendField settings is_on/>
        <ModelsOnlyField settings is_on/>
        <div class="field">
            <label for="duty">{t.lend.duty} {t.site.colon} <output for="duty">{duty} " %"</output></label>
            <input id="duty" type="range" min="5" max="100" step="5" prop:value=move || duty().to_string() on:input=on_duty/>
        </div>
        <div class="field">
            <label for="stop-after">{t.lend.stop_after}</label>
            <select id="stop-after" on:change=on_stop>
                {STOPS.map(|minutes| view! {
                    <option value=minutes.to_string() prop:selected=move || settings.with(|settings| settings.stop_after_minutes == minutes)>{stop_label(minutes)}</option>
                }).collect_view()}
            </select>
        </div>
        <HoursField settings/>
        <div class="choice">
            <input id="while-hidden" type="checkbox" prop:checked=move || settings.with(|settings| settings.while_hidden)
                on:change=move |event| { let on = event_target_checked(&event); settings.update(|settings| settings.while_hidden = on); }/>
            <label for="while-hidden">{t.lend.stay_hidden}<small>{t.lend.stay_hidden_hint}</small></label>
        </div>
        <div class="choice">
            <input id="on-battery" type="checkbox" prop:checked=move || settings.with(|settings| settings.on_battery)
                on:change=move |event| { let on = event_target_checked(&event); settings.update(|settings| settings.on_battery = on); }/>
            <label for="on-battery">{t.lend.battery}<small>{t.lend.battery_hint}</small></label>
        </div>
        <p class="hint">{t.lend.rules_kept}</p>
    }
}

/// The only hours at which to lend.
#[component]
fn HoursField(
    /// What the person has set.
    settings: RwSignal<LendSettings>,
) -> impl IntoView {
    let t = text();
    let hours = move || settings.with(|settings| settings.hours);
    // Empty where none are set: a time of day is a text or nothing.
    let shown = move |which: fn((u16, u16)) -> u16| hours().map(|hours| show_minute(which(hours))).unwrap_or_default();
    let on_hours = move |event| {
        let on = event_target_checked(&event);
        settings.update(|settings| settings.hours = on.then_some(NIGHT));
    };
    let set_hour = move |event, set: fn(&mut (u16, u16), u16)| {
        if let Some(minute) = parse_minute(&event_target_value(&event)) {
            settings.update(|settings| {
                if let Some(hours) = &mut settings.hours {
                    set(hours, minute);
                }
            });
        }
    };
    view! {
        <div class="choice">
            <input id="only-hours" type="checkbox" prop:checked=move || hours().is_some() on:change=on_hours/>
            <label for="only-hours">{t.lend.only_hours}</label>
        </div>
        <div class="field hours" hidden=move || hours().is_none()>
            <span>
                <label for="hours-from">{t.lend.from}</label>
                <input id="hours-from" type="time" prop:value=move || shown(|hours| hours.0) on:change=move |event| set_hour(event, |hours, minute| hours.0 = minute)/>
            </span>
            <span>
                <label for="hours-to">{t.lend.to}</label>
                <input id="hours-to" type="time" prop:value=move || shown(|hours| hours.1) on:change=move |event| set_hour(event, |hours, minute| hours.1 = minute)/>
            </span>
        </div>
    }
}

/// Whether kernels are left to others.
#[component]
fn ModelsOnlyField(
    /// What the person has set.
    settings: RwSignal<LendSettings>,
    /// Whether the page lends now.
    is_on: Memo<bool>,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="choice">
            <input id="models-only" type="checkbox" disabled=move || is_on.get() || settings.with(|settings| settings.backend == Backend::Cpu)
                prop:checked=move || settings.with(|settings| settings.models_only || settings.backend == Backend::Cpu)
                on:change=move |event| { let on = event_target_checked(&event); settings.update(|settings| settings.models_only = on); }/>
            <label for="models-only">{t.lend.models_only}<small>{t.lend.models_only_hint}</small></label>
        </div>
    }
}

/// The backend that computes.
#[component]
fn BackendField(
    /// What the person has set.
    settings: RwSignal<LendSettings>,
    /// Whether the page lends now: a running worker keeps its backend.
    is_on: Memo<bool>,
) -> impl IntoView {
    let t = text();
    let on_choice = move |event| {
        let name = event_target_value(&event);
        if let Some(backend) = Backend::ALL.into_iter().find(|backend| backend.name() == name) {
            settings.update(|settings| settings.backend = backend);
        }
    };
    let label = move |backend| match backend {
        Backend::Gpu => t.lend.with_gpu,
        Backend::Cpu => t.lend.with_cpu,
        Backend::Software => t.lend.with_software,
    };
    view! {
        <div class="field">
            <label for="with">{t.lend.compute_with}</label>
            <select id="with" disabled=move || is_on.get() on:change=on_choice>
                {Backend::ALL.map(|backend| view! {
                    <option value=backend.name() prop:selected=move || settings.with(|settings| settings.backend == backend)>{label(backend)}</option>
                }).collect_view()}
            </select>
        </div>
    }
}
