use leptos::prelude::*;
use leptos_meta::Title;
use wire::lend::{FailureCode, Phase, Status};

use crate::components::Fact;
use crate::format;
use crate::text::text;

/// What the page knows of its Web Worker.
#[cfg_attr(feature = "ssr", expect(dead_code, reason = "the server has no worker"))]
#[derive(Clone, Debug, PartialEq, Default)]
enum Lending {
    #[default]
    Idle,
    Starting,
    Working(Status),
    Failed(FailureCode, String),
}

/// Settings of the person whose machine this is.
#[derive(Clone, Copy)]
struct Wishes {
    duty_percent: RwSignal<u8>,
    while_hidden: RwSignal<bool>,
    on_battery: RwSignal<bool>,
}

/// One button to lend this browser's GPU.
#[component]
pub fn LendPage() -> impl IntoView {
    let t = text();
    let lending = RwSignal::new(Lending::Idle);
    let supported = RwSignal::new(true);
    let wishes = Wishes {
        duty_percent: RwSignal::new(50),
        while_hidden: RwSignal::new(false),
        on_battery: RwSignal::new(false),
    };
    let tab = tab::Tab::new(lending, wishes);
    Effect::new(move |_| supported.set(tab::has_webgpu()));
    let is_on = move || {
        lending.with(|lending| match lending {
            Lending::Starting => true,
            Lending::Working(status) => status.phase != Phase::Stopped,
            Lending::Idle | Lending::Failed(..) => false,
        })
    };
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
        <Title text=t.lend/>
        <h1>{t.lend}</h1>
        <p class="lead">{t.lend_lead}</p>
        <Show when=without_gpu><NoWebGpu/></Show>
        {move || failure().map(|message| view! { <p class="notice bad" role="alert">{t.stopped_because} " " {message}</p> })}
        <div class="columns">
            <section class="card">
                <div class="actions">
                    <Show when=is_on fallback=move || view! {
                        <button type="button" class="primary" disabled=without_gpu on:click=move |_| tab.start()>{t.start}</button>
                    }>
                        <button type="button" on:click=move |_| tab.stop()>{t.stop}</button>
                    </Show>
                </div>
                <Figures lending/>
            </section>
            <section class="card">
                <WishesForm wishes/>
            </section>
        </div>
        <section class="card">
            <h2>{t.tab_sees}</h2>
            <p>{t.tab_sees_text}</p>
            <p>{t.guest_note}</p>
        </section>
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
            <code class="key">"tessera-worker run --url " {tab::origin()}</code>
        </div>
    }
}

#[component]
fn Figures(
    /// What the worker last said.
    lending: RwSignal<Lending>,
) -> impl IntoView {
    let t = text();
    let status = Memo::new(move |_| {
        lending.with(|lending| match lending {
            Lending::Working(status) => Some(status.clone()),
            Lending::Idle | Lending::Starting | Lending::Failed(..) => None,
        })
    });
    let phase = move || match status.with(|status| status.as_ref().map(|status| status.phase)) {
        Some(phase) => t.phase(phase),
        None if lending.with(|lending| *lending == Lending::Starting) => t.connecting,
        None => t.idle,
    };
    let figure = move |read: fn(&Status) -> String| {
        move || status.with(|status| status.as_ref().map_or_else(|| "–".to_owned(), read))
    };
    view! {
        <dl class="facts" aria-live="polite">
            <Fact label=t.now_doing>
                <span data-testid="phase">{phase}</span>
                {move || status.with(|status| status.as_ref().map(|status| status.tiles_in_hand).filter(|tiles| *tiles > 0)).map(|tiles| view! {
                    <small>" · " {tiles} " " {t.in_hand}</small>
                })}
            </Fact>
            <Fact label=t.tiles_verified><span data-testid="tiles-verified">{figure(|status| format::count(status.tiles_verified))}</span></Fact>
            <Fact label=t.earned><span data-testid="earned">{figure(|status| format::credits(status.earnings.available))}</span> " " <small>{t.credits}</small></Fact>
            <Fact label=t.pending><span data-testid="pending">{figure(|status| format::credits(status.earnings.pending))}</span></Fact>
            <Fact label=t.speed>{figure(|status| format!("{:.2} GFLOP/s", status.gflops))}</Fact>
            <Fact label=t.refused>{figure(|status| format::count(status.leases_refused))}</Fact>
            <Fact label=t.gpu><small>{figure(|status| status.adapter.clone())}</small></Fact>
            <Fact label=t.device><small class="mono" data-testid="device">{figure(|status| status.device.to_string().chars().take(16).collect())}</small></Fact>
        </dl>
    }
}

#[component]
fn WishesForm(
    /// What the person wants.
    wishes: Wishes,
) -> impl IntoView {
    let t = text();
    let on_duty = move |event| {
        if let Ok(percent) = event_target_value(&event).parse() {
            wishes.duty_percent.set(percent);
        }
    };
    view! {
        <div class="field">
            <label for="duty">{t.duty} ": " {move || wishes.duty_percent.get()} " %"</label>
            <input id="duty" type="range" min="5" max="100" step="5" prop:value=move || wishes.duty_percent.get().to_string() on:input=on_duty/>
        </div>
        <div class="choice">
            <input id="while-hidden" type="checkbox" bind:checked=wishes.while_hidden/>
            <label for="while-hidden">{t.stay_hidden}<small>{t.stay_hidden_hint}</small></label>
        </div>
        <div class="choice">
            <input id="on-battery" type="checkbox" bind:checked=wishes.on_battery/>
            <label for="on-battery">{t.battery}</label>
        </div>
    }
}

/// The tab around the worker: who starts it, what it hears, when it must rest.
#[cfg(not(feature = "ssr"))]
mod tab {
    use js_sys::{Function, Reflect};
    use leptos::prelude::*;
    use leptos::task::spawn_local;
    use wasm_bindgen::{JsCast, JsValue, closure::Closure};
    use web_sys::{MessageEvent, VisibilityState, Worker, WorkerOptions, WorkerType};
    use wire::lend::{FailureCode, FromWorker, PauseReason, ToWorker};

    use super::{Lending, Wishes};

    const WORKER: &str = "/pkg/browser-worker_loader.js";

    pub(super) fn has_webgpu() -> bool {
        Reflect::get(&window().navigator(), &JsValue::from_str("gpu")).is_ok_and(|gpu| !gpu.is_undefined())
    }

    pub(super) fn origin() -> String {
        window().location().origin().unwrap_or_default()
    }

    #[derive(Clone, Copy)]
    pub(super) struct Tab {
        lending: RwSignal<Lending>,
        wishes: Wishes,
        worker: StoredValue<Option<Worker>, LocalStorage>,
        hidden: RwSignal<bool>,
        on_battery: RwSignal<bool>,
    }

    impl Tab {
        pub(super) fn new(lending: RwSignal<Lending>, wishes: Wishes) -> Self {
            let tab = Self {
                lending,
                wishes,
                worker: StoredValue::new_local(None),
                hidden: RwSignal::new(false),
                on_battery: RwSignal::new(false),
            };
            tab.watch_page();
            Effect::new(move |_| tab.send(&ToWorker::Duty { percent: tab.wishes.duty_percent.get() }));
            Effect::new(move |_| tab.send(&tab.pace()));
            on_cleanup(move || tab.end());
            tab
        }

        /// Whether the person's rules let the worker go on.
        fn pace(self) -> ToWorker {
            if self.hidden.get() && !self.wishes.while_hidden.get() {
                ToWorker::Pause { reason: PauseReason::Hidden }
            } else if self.on_battery.get() && !self.wishes.on_battery.get() {
                ToWorker::Pause { reason: PauseReason::Battery }
            } else {
                ToWorker::Resume
            }
        }

        /// Visibility, freezing and battery. A frozen tab runs no code, so it gives back before.
        fn watch_page(self) {
            Effect::new(move |_| {
                let is_hidden = || document().visibility_state() == VisibilityState::Hidden;
                self.hidden.set(is_hidden());
                let changed = Closure::<dyn Fn()>::new(move || self.hidden.set(is_hidden()));
                let frozen =
                    Closure::<dyn Fn()>::new(move || self.send(&ToWorker::Pause { reason: PauseReason::Hidden }));
                let resumed = Closure::<dyn Fn()>::new(move || self.send(&self.pace()));
                for (name, callback) in [("visibilitychange", &changed), ("freeze", &frozen), ("resume", &resumed)] {
                    document()
                        .add_event_listener_with_callback(name, callback.as_ref().unchecked_ref())
                        .unwrap_or_default();
                }
                let callbacks = send_wrapper::SendWrapper::new([
                    ("visibilitychange", changed),
                    ("freeze", frozen),
                    ("resume", resumed),
                ]);
                on_cleanup(move || {
                    for (name, callback) in callbacks.iter() {
                        document()
                            .remove_event_listener_with_callback(name, callback.as_ref().unchecked_ref())
                            .unwrap_or_default();
                    }
                });
            });
            spawn_local(async move {
                // Browsers without the battery interface say nothing, and nothing is assumed.
                watch_battery(self.on_battery).await.unwrap_or_default();
            });
        }

        pub(super) fn start(self) {
            self.end();
            self.lending.set(Lending::Starting);
            let options = WorkerOptions::new();
            options.set_type(WorkerType::Module);
            let Ok(worker) = Worker::new_with_options(WORKER, &options) else {
                self.lending.set(Lending::Failed(FailureCode::Storage, WORKER.to_owned()));
                return;
            };
            let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                let message = event.data().as_string().and_then(|text| serde_json::from_str(&text).ok());
                if let Some(message) = message {
                    self.hear(message);
                }
            });
            worker.set_onmessage(Some(heard.as_ref().unchecked_ref()));
            // Lives as long as its worker, which `end` terminates.
            heard.forget();
            self.worker.set_value(Some(worker));
        }

        fn hear(self, message: FromWorker) {
            match message {
                FromWorker::Loaded => {
                    self.send(&ToWorker::Start {
                        url: origin(),
                        duty_percent: self.wishes.duty_percent.get_untracked(),
                    });
                    self.send(&untrack(|| self.pace()));
                }
                FromWorker::Status(status) => self.lending.set(Lending::Working(status)),
                FromWorker::Failed { code, message } => {
                    self.end();
                    self.lending.set(Lending::Failed(code, message));
                }
            }
        }

        pub(super) fn stop(self) {
            self.send(&ToWorker::Stop);
        }

        fn end(self) {
            self.worker.update_value(|worker| {
                if let Some(worker) = worker.take() {
                    worker.terminate();
                }
            });
        }

        fn send(self, message: &ToWorker) {
            self.worker.with_value(|worker| {
                if let (Some(worker), Ok(text)) = (worker, serde_json::to_string(message)) {
                    worker.post_message(&JsValue::from_str(&text)).unwrap_or_default();
                }
            });
        }
    }

    async fn watch_battery(on_battery: RwSignal<bool>) -> Result<(), JsValue> {
        let navigator = window().navigator();
        let get: Function = Reflect::get(&navigator, &JsValue::from_str("getBattery"))?.dyn_into()?;
        let promise: js_sys::Promise = get.call0(&navigator)?.dyn_into()?;
        let battery = wasm_bindgen_futures::JsFuture::from(promise).await?;
        let charging = JsValue::from_str("charging");
        let read = {
            let battery = battery.clone();
            move || {
                on_battery
                    .set(Reflect::get(&battery, &charging).is_ok_and(|charging| charging.as_bool() == Some(false)));
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

#[cfg(feature = "ssr")]
mod tab {
    use leptos::prelude::RwSignal;

    use super::{Lending, Wishes};

    pub(super) fn has_webgpu() -> bool {
        true
    }

    pub(super) fn origin() -> String {
        String::new()
    }

    /// The server has no tab.
    #[derive(Clone, Copy)]
    pub(super) struct Tab;

    impl Tab {
        pub(super) fn new(_lending: RwSignal<Lending>, _wishes: Wishes) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the browser's tab needs itself")]
        pub(super) fn start(self) {}

        #[expect(clippy::unused_self, reason = "the browser's tab needs itself")]
        pub(super) fn stop(self) {}
    }
}
