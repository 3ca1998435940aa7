use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::{Deserialize, Serialize};
use wire::AccountId;

use crate::api::Api;
use crate::browser::tab_storage;
use crate::text::text;

/// Under this name the tab has a first key that nobody has said to have kept.
const FIRST_KEY: &str = "tessera-first-key";

/// What the tab has of it. Whoever signs in next in the same tab is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unconfirmed {
    account: AccountId,
    key: String,
}

impl Unconfirmed {
    /// The key among what the tab keeps, if it is this account's.
    fn key_of(kept: &str, account: AccountId) -> Option<String> {
        let kept: Self = serde_json::from_str(kept).ok()?;
        (kept.account == account).then_some(kept.key)
    }
}

/// Once somebody has signed in: another account's is gone.
pub(super) fn forget_others(account: AccountId) {
    if tab_storage::read(FIRST_KEY).is_some_and(|kept| Unconfirmed::key_of(&kept, account).is_none()) {
        tab_storage::remove(FIRST_KEY);
    }
}

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
    /// The account's number.
    account: AccountId,
    /// The key.
    secret: String,
    /// It is kept.
    on_kept: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    let is_kept = RwSignal::new(false);
    let unconfirmed = Unconfirmed { account, key: secret.clone() };
    Effect::new(move || {
        if let Ok(text) = serde_json::to_string(&unconfirmed) {
            tab_storage::write(FIRST_KEY, &text);
        }
    });
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

/// The same step again, where the page was loaded anew or left before its end. It is shown to that account alone.
#[island]
pub fn FirstKeyIsland() -> impl IntoView {
    let unconfirmed = RwSignal::new(None::<(AccountId, String)>);
    Effect::new(move || {
        let Some(kept) = tab_storage::read(FIRST_KEY) else { return };
        spawn_local(async move {
            // Who cannot be asked for now may be another: the page shows it when it is loaded again.
            if let Ok(account) = Api::default().account().await {
                unconfirmed.set(Unconfirmed::key_of(&kept, account.id).map(|key| (account.id, key)));
            }
        });
    });
    move || {
        unconfirmed
            .get()
            .map(|(account, secret)| view! { <FirstKey account secret on_kept=move || unconfirmed.set(None)/> })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_key_is_its_own_accounts_alone() {
        let (one, other) = (AccountId::platform(1), AccountId::platform(2));
        let kept = serde_json::to_string(&Unconfirmed { account: one, key: "tsk_one".to_owned() }).unwrap();

        assert_eq!(Unconfirmed::key_of(&kept, one).as_deref(), Some("tsk_one"));
        assert_eq!(Unconfirmed::key_of(&kept, other), None);
        assert_eq!(Unconfirmed::key_of("tsk_one", one), None, "a key that nobody's name stands beside is nobody's");
    }
}
