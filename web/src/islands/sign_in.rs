use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::Account;

use super::fresh_key::FreshKey;
use super::toast::toast;
use crate::api::{self, Failure};
use crate::text::text;

/// Opens an account, or signs in to one.
#[component]
pub fn SignIn(
    /// Called once there is a session.
    on_account: impl Fn(Account) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    let key = RwSignal::new(None::<String>);
    let failure = RwSignal::new(None::<Failure>);
    let typed = RwSignal::new(String::new());
    let open = move |_| {
        spawn_local(async move {
            match api::open_account().await {
                Ok(opened) => {
                    failure.set(None);
                    key.set(Some(opened.key));
                    on_account(opened.account);
                }
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    let sign_in = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        spawn_local(async move {
            match api::sign_in(typed.get_untracked().trim()).await {
                Ok(found) => {
                    failure.set(None);
                    on_account(found);
                }
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    view! {
        <Show when=move || key.with(Option::is_none)>
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
        <p class="error" id="key-error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
        {move || key.get().map(|key| view! { <FreshKey secret=key/> })}
    }
}

/// In place of a page that needs an account. Once there is one, the page is loaded again, unless a new
/// account's key has to be read first.
#[island]
pub fn SignInIsland() -> impl IntoView {
    let t = text();
    let signed_in = RwSignal::new(false);
    let on_account = move |_account| {
        signed_in.set(true);
        // Signing in shows nothing that must be read first; a fresh account shows its key.
        if document().get_element_by_id("fresh-key").is_none() {
            set_timeout(reload_unless_key, std::time::Duration::ZERO);
        }
    };
    view! {
        <section class="card" aria-labelledby="sign-in-title">
            <h2 id="sign-in-title">{t.account.sign_in_title}</h2>
            <p>{t.account.not_signed_in}</p>
            <SignIn on_account/>
            <Show when=move || signed_in.get()>
                <p class="actions"><a class="button primary" href="">{t.account.go_on}</a></p>
            </Show>
        </section>
    }
}

fn reload_unless_key() {
    if document().get_element_by_id("fresh-key").is_none() {
        // A page that cannot be loaded anew has the link to press.
        window().location().reload().unwrap_or_default();
    }
}

/// Ends this browser's session.
#[island]
pub fn SignOutIsland() -> impl IntoView {
    let t = text();
    let out = move |_| {
        spawn_local(async move {
            match api::sign_out().await {
                Ok(()) => window().location().reload().unwrap_or_default(),
                Err(failure) => toast(&failure.message()),
            }
        });
    };
    view! { <button type="button" on:click=out>{t.account.sign_out}</button> }
}
