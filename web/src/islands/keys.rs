use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{AccountKey, MadeKey, NewKey};

use super::dialog::Confirm;
use super::fresh_key::AnotherKey;
use super::toast::toast;
use crate::api::{self, Api, Failure};
use crate::components::Moment;
use crate::text::text;

/// An account's keys: make one, revoke one.
#[island]
pub fn KeysIsland(
    /// As they were when the page was made.
    keys: Vec<AccountKey>,
) -> impl IntoView {
    let t = text();
    let keys = RwSignal::new(keys);
    let made_key = RwSignal::new(None::<MadeKey>);
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
                    made_key.set(Some(key));
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
                    toast(t.account.key_revoked);
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
                <td data-label=t.site.name>{t.account.given_name(key.name)}</td>
                <td data-label=t.account.key class="mono">"…"{key.hint}</td>
                <td data-label=t.account.made><Moment time=key.created_at/></td>
                <td class="number">
                    <Confirm label=constant(t.account.revoke) class="small" title=constant(t.account.revoke_title) explanation=constant(t.account.revoke_explanation) is_danger=true on_yes=move || revoke(id)/>
                </td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.account.keys>
            <table class="rows">
                <thead><tr><th scope="col">{t.site.name}</th><th scope="col">{t.account.key}</th><th scope="col">{t.account.made}</th><th scope="col"><span class="unseen">{t.account.revoke}</span></th></tr></thead>
                <tbody>{move || keys.get().into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        {move || made_key.get().map(|made| view! { <AnotherKey name=made.key.name secret=made.secret on_done=move || made_key.set(None)/> })}
        <form class="field" on:submit=make>
            <label for="key-name">{t.account.new_key_name}</label>
            <div class="joined">
                <input id="key-name" type="text" maxlength="64" bind:value=name/>
                <button type="submit">{t.account.make_key}</button>
            </div>
            <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
        </form>
    }
}
