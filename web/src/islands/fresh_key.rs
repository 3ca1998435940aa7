use leptos::prelude::*;

use crate::browser::tab_storage;
use crate::text::text;

/// Under this name the tab has a first key that nobody has said to have kept.
const FIRST_KEY: &str = "tessera-first-key";

/// A key that the server shows only once.
#[component]
pub fn FreshKey(
    /// The key.
    secret: String,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="joined">
            <code class="key" id="fresh-key" data-testid="key">{secret}</code>
            <button type="button" data-copy="fresh-key">{t.site.copy}</button>
        </div>
    }
}

/// A new account's first key: without it nobody signs in again, so it is a step of its own, which has to be confirmed.
/// Until then the tab has it: see [`FirstKeyIsland`].
#[component]
pub fn FirstKey(
    /// The key.
    secret: String,
    /// It is kept.
    on_kept: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    let is_kept = RwSignal::new(false);
    let unconfirmed = secret.clone();
    Effect::new(move || tab_storage::write(FIRST_KEY, &unconfirmed));
    let go_on = move |_| {
        tab_storage::remove(FIRST_KEY);
        on_kept();
    };
    view! {
        <section class="notice step" aria-labelledby="first-key-title" role="group">
            <h3 id="first-key-title" tabindex="-1">{t.account.first_key_title}</h3>
            <p>{t.account.first_key_explanation}</p>
            <FreshKey secret/>
            <div class="choice">
                <input type="checkbox" id="key-kept" bind:checked=is_kept/>
                <label for="key-kept">{t.account.first_key_kept}</label>
            </div>
            <p class="actions">
                <button type="button" class="primary" disabled=move || !is_kept.get() on:click=go_on>{t.account.go_on}</button>
            </p>
        </section>
    }
}

/// The same step again, where the page was loaded anew or left before its end.
#[island]
pub fn FirstKeyIsland() -> impl IntoView {
    let unconfirmed = RwSignal::new(None::<String>);
    Effect::new(move || unconfirmed.set(tab_storage::read(FIRST_KEY)));
    move || unconfirmed.get().map(|secret| view! { <FirstKey secret on_kept=move || unconfirmed.set(None)/> })
}

/// Another key of an account that has one.
#[component]
pub fn AnotherKey(
    /// What it is called.
    name: String,
    /// The key.
    secret: String,
    /// It need not be shown any more.
    on_done: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="notice" role="status">
            <p>{t.account.key_made} " " <b>{name}</b> {t.site.stop} {t.account.key_made_once}</p>
            <FreshKey secret/>
            <p class="actions"><button type="button" on:click=move |_| on_done()>{t.account.key_hide}</button></p>
        </div>
    }
}
