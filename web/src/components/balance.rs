use leptos::prelude::*;
use wire::Account;

use super::facts::Fact;
use crate::format;
use crate::text::text;

/// What an account holds.
#[component]
pub fn Balance(
    /// Whose.
    account: Account,
    /// The class of its figures.
    #[prop(default = "facts")]
    class: &'static str,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class=class>
            <Fact label=t.account.available>{format::credits(account.available)} " " <small>{t.site.credits}</small></Fact>
            <Fact label=t.account.held>{format::credits(account.held)}</Fact>
            <Fact label=t.site.pending>{format::credits(account.pending)}</Fact>
        </dl>
        {account.development.then(|| view! { <p class="hint">{t.account.development}</p> })}
    }
}
