use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::Account;

use super::Fact;
use crate::api::{self, Failure};
use crate::format;
use crate::text::text;

/// The caller's account, or the two ways to one.
#[component]
pub fn AccountCard(
    /// The account, if the caller has one.
    account: RwSignal<Option<Account>>,
) -> impl IntoView {
    let t = text();
    let key = RwSignal::new(None::<String>);
    view! {
        <section class="card" aria-labelledby="account-title">
            <h2 id="account-title">{t.account}</h2>
            {move || key.get().map(|key| view! {
                <div class="notice" role="status">
                    <p>{t.account_opened}</p>
                    <code class="key" data-testid="key">{key}</code>
                </div>
            })}
            {move || match account.get() {
                Some(account) => view! { <Balance account/> }.into_any(),
                None => view! { <Doors account key/> }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Balance(
    /// Whose.
    account: Account,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts">
            <Fact label=t.available>{format::credits(account.available)} " " <small>{t.credits}</small></Fact>
            <Fact label=t.held>{format::credits(account.held)}</Fact>
            <Fact label=t.pending>{format::credits(account.pending)}</Fact>
        </dl>
        {account.development.then(|| view! { <p class="hint">{t.development}</p> })}
    }
}

/// Open an account, or sign in to one.
#[component]
fn Doors(
    /// Filled once there is one.
    account: RwSignal<Option<Account>>,
    /// Filled with a fresh account's key.
    key: RwSignal<Option<String>>,
) -> impl IntoView {
    let t = text();
    let failure = RwSignal::new(None::<Failure>);
    let typed = RwSignal::new(String::new());
    let open = move |_| {
        spawn_local(async move {
            match api::open_account().await {
                Ok(opened) => {
                    key.set(Some(opened.key));
                    account.set(Some(opened.account));
                }
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    let sign_in = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        spawn_local(async move {
            match api::sign_in(typed.get_untracked().trim()).await {
                Ok(found) => account.set(Some(found)),
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    view! {
        <p>{t.no_account}</p>
        <p class="actions"><button type="button" class="primary" on:click=open>{t.open_account}</button></p>
        <details>
            <summary>{t.sign_in}</summary>
            <form on:submit=sign_in class="field">
                <label for="key">{t.key_label}</label>
                <input id="key" type="text" autocomplete="off" spellcheck="false" bind:value=typed/>
                <p class="actions"><button type="submit">{t.sign_in_button}</button></p>
            </form>
        </details>
        <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
    }
}
