use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Account, AccountKey, MadeKey, NewKey};

use super::dialog::Confirm;
use super::toast::toast;
use crate::api::{self, Api, Failure};
use crate::components::Moment;
use crate::format;
use crate::text::text;

/// The two ways to an account: open one, or sign in.
#[component]
pub fn Doors(
    /// There is a session now.
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
            <p class="actions"><button type="button" class="primary" on:click=open>{t.open_account}</button></p>
            <form on:submit=sign_in class="field">
                <label for="key">{t.key_label}</label>
                <div class="joined">
                    <input id="key" type="password" autocomplete="current-password" spellcheck="false" bind:value=typed
                        aria-describedby="key-error" aria-invalid=move || failure.with(Option::is_some).to_string()/>
                    <button type="submit">{t.sign_in_button}</button>
                </div>
            </form>
        </Show>
        <p class="error" id="key-error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
        {move || key.get().map(|key| view! { <FreshKey secret=key/> })}
    }
}

/// A key that is shown this once.
#[component]
fn FreshKey(
    /// The key.
    secret: String,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="notice" role="status">
            <p>{t.account_opened}</p>
            <div class="joined">
                <code class="key" id="fresh-key" data-testid="key">{secret}</code>
                <button type="button" data-copy="fresh-key">{t.copy}</button>
            </div>
        </div>
    }
}

/// What an account holds.
#[component]
pub fn Balance(
    /// Whose.
    account: Account,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts">
            <crate::components::Fact label=t.available>{format::credits(account.available)} " " <small>{t.credits}</small></crate::components::Fact>
            <crate::components::Fact label=t.held>{format::credits(account.held)}</crate::components::Fact>
            <crate::components::Fact label=t.pending>{format::credits(account.pending)}</crate::components::Fact>
        </dl>
        {account.development.then(|| view! { <p class="hint">{t.development}</p> })}
    }
}

/// Stands where a page needs an account and there is none. Once there is one, the page comes anew,
/// but a fresh key stays to be read.
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
            <h2 id="sign-in-title">{t.sign_in_title}</h2>
            <p>{t.not_signed_in}</p>
            <Doors on_account/>
            <Show when=move || signed_in.get()>
                <p class="actions"><a class="button primary" href="">{t.go_on}</a></p>
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
    view! { <button type="button" on:click=out>{t.sign_out}</button> }
}

/// An account's keys: make one, revoke one.
#[island]
pub fn KeysIsland(
    /// As they were when the page was made.
    keys: Vec<AccountKey>,
) -> impl IntoView {
    let t = text();
    let keys = RwSignal::new(keys);
    let made = RwSignal::new(None::<MadeKey>);
    let failure = RwSignal::new(None::<Failure>);
    let name = RwSignal::new(String::new());
    let read = move || {
        spawn_local(async move {
            match Api::default().keys().await {
                Ok(found) => keys.set(found),
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    let make = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        spawn_local(async move {
            match api::make_key(&NewKey { name: name.get_untracked() }).await {
                Ok(key) => {
                    failure.set(None);
                    name.set(String::new());
                    made.set(Some(key));
                    read();
                }
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    let revoke = move |id: StoredValue<String>| {
        spawn_local(async move {
            match api::revoke_key(&id.get_value()).await {
                Ok(()) => {
                    failure.set(None);
                    toast(t.key_revoked);
                    read();
                }
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    let row = move |key: AccountKey| {
        let id = StoredValue::new(key.id);
        let constant = |text: &'static str| Signal::stored(text);
        view! {
            <tr>
                <td>{key.name}</td>
                <td class="mono">"…"{key.hint}</td>
                <td><Moment at=key.created_at/></td>
                <td class="number">
                    <Confirm label=constant(t.revoke) class="small" title=constant(t.revoke_title) explanation=constant(t.revoke_explanation) on_yes=move || revoke(id)/>
                </td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.keys>
            <table>
                <thead><tr><th scope="col">{t.name}</th><th scope="col">{t.key}</th><th scope="col">{t.made}</th><th scope="col"><span class="unseen">{t.revoke}</span></th></tr></thead>
                <tbody><For each=move || keys.get() key=|key| key.id.clone() children=row/></tbody>
            </table>
        </div>
        {move || made.get().map(|made| view! { <FreshKey secret=made.secret/> })}
        <form class="field" on:submit=make>
            <label for="key-name">{t.new_key_name}</label>
            <div class="joined">
                <input id="key-name" type="text" maxlength="64" bind:value=name/>
                <button type="submit">{t.make_key}</button>
            </div>
            <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
        </form>
    }
}
