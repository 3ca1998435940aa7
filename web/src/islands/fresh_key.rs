use leptos::prelude::*;

use crate::text::text;

/// A key that the server shows only once.
#[component]
pub fn FreshKey(
    /// The key.
    secret: String,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="notice" role="status">
            <p>{t.account.account_opened}</p>
            <div class="joined">
                <code class="key" id="fresh-key" data-testid="key">{secret}</code>
                <button type="button" data-copy="fresh-key">{t.site.copy}</button>
            </div>
        </div>
    }
}
