use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::DeviceCode;

use crate::api::{self, Failure};
use crate::browser::site_address;
use crate::route::Page;
use crate::text::text;
use crate::visit::href;

/// The one command that makes a whole machine lend, with a code that links it to the account.
#[component]
pub fn NativeCard(
    /// Whether there is an account to link it to.
    signed_in: bool,
) -> impl IntoView {
    let t = text();
    let code = RwSignal::new(None::<DeviceCode>);
    let failure = RwSignal::new(None::<Failure>);
    let site = site_address();
    let make_code = move |_| {
        spawn_local(async move {
            match api::make_device_code().await {
                Ok(made) => {
                    failure.set(None);
                    code.set(Some(made));
                }
                Err(error) => failure.set(Some(error)),
            }
        });
    };
    let command = move || {
        let code = code.get().map_or_else(String::new, |made| format!(" -s -- --code {}", made.code));
        format!("curl -fsSL {}/install.sh | sh{code}", site.get())
    };
    view! {
        <section class="card" aria-labelledby="native-title">
            <h2 id="native-title">{t.lend.native_title}</h2>
            <p>{t.lend.native_lead}</p>
            <div class="joined">
                <code class="key" id="native-command" data-testid="native-command">{command}</code>
                <button type="button" data-copy="native-command">{t.site.copy}</button>
            </div>
            {if signed_in {
                view! {
                    <p class="actions"><button type="button" on:click=make_code>{t.lend.make_code}</button></p>
                    <p class="hint">{t.lend.code_hint}</p>
                }.into_any()
            } else {
                view! { <p class="hint">{t.lend.code_needs_account} " " <a href=href(Page::Account)>{t.site.sign_in_button}</a></p> }.into_any()
            }}
            <p class="error" role="alert">{move || failure.get().map(|failure| failure.message())}</p>
        </section>
    }
}
