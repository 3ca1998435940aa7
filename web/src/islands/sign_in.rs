use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Account, OpenedAccount};

use super::fresh_key::{self, FirstKey};
use super::toast::toast;
use crate::api;
use crate::browser::tab_storage;
use crate::text::text;

/// Opens an account, or signs in to one.
#[component]
pub fn SignIn(
    /// Called once there is a session, and a new account's key is kept.
    on_account: impl Fn(Account) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    let opened = RwSignal::new(None::<OpenedAccount>);
    let failure = RwSignal::new(None::<String>);
    let typed = RwSignal::new(String::new());
    let open = move |_| {
        spawn_local(async move {
            match api::open_account().await {
                Ok(fresh) => {
                    failure.set(None);
                    opened.set(Some(fresh));
                }
                Err(error) => failure.set(Some(error.message())),
            }
        });
    };
    let sign_in = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let key = typed.get_untracked().trim().to_owned();
        if key.is_empty() {
            failure.set(Some(t.account.no_key_typed.to_owned()));
            return;
        }
        spawn_local(async move {
            match api::sign_in(&key).await {
                Ok(found) => {
                    failure.set(None);
                    typed.set(String::new());
                    fresh_key::forget_others(found.id);
                    on_account(found);
                }
                // The key is all that was sent: it is what is wrong.
                Err(error) if error.is_unauthorized() => failure.set(Some(t.account.no_account_has_key.to_owned())),
                Err(error) => failure.set(Some(error.message())),
            }
        });
    };
    let kept = move || {
        if let Some(fresh) = opened.try_update(Option::take).flatten() {
            on_account(fresh.account);
        }
    };
    view! {
        <Show when=move || opened.with(Option::is_none)>
            <p class="actions"><button type="button" class="primary" on:click=open>{t.account.open_account}</button></p>
            <form on:submit=sign_in class="field">
                <label for="key">{t.account.key_label}</label>
                <div class="joined">
                    <input id="key" type="password" autocomplete="current-password" spellcheck="false" bind:value=typed
                        aria-describedby="key-error" aria-invalid=move || failure.with(Option::is_some).to_string()/>
                    <button type="submit">{t.site.sign_in_button}</button>
                </div>
            </form>
        </Show>
        <p class="error" id="key-error" role="alert">{move || failure.get()}</p>
        {move || opened.get().map(|fresh| view! { <FirstKey account=fresh.account.id secret=fresh.key on_kept=kept/> })}
    }
}

/// In place of a page that needs an account. Once there is one, the page is loaded again.
#[island]
pub fn SignInIsland() -> impl IntoView {
    let t = text();
    let signed_in = RwSignal::new(false);
    let on_account = move |_account| {
        signed_in.set(true);
        // A page that cannot be loaded anew has the link to press.
        window().location().reload().unwrap_or_default();
    };
    view! {
        <section class="card">
            <p>{t.account.not_signed_in}</p>
            <SignIn on_account/>
            <Show when=move || signed_in.get()>
                <p class="actions"><a class="button primary" href="">{t.account.go_on}</a></p>
            </Show>
        </section>
    }
}

/// Ends this browser's session.
#[island]
pub fn SignOutIsland() -> impl IntoView {
    let t = text();
    let out = move |_| {
        spawn_local(async move {
            match api::sign_out().await {
                Ok(()) => {
                    tab_storage::clear();
                    window().location().reload().unwrap_or_default();
                }
                Err(failure) => toast(&failure.message()),
            }
        });
    };
    view! { <button type="button" on:click=out>{t.account.sign_out}</button> }
}
