use leptos::html;
use leptos::prelude::*;

use crate::text::text;

/// A question before something that cannot be undone, or that shows something to everyone. The
/// browser's own dialog: it takes the focus, gives it back, and closes on Escape.
#[component]
pub fn Confirm(
    /// What opens it.
    label: Signal<&'static str>,
    /// The button's class.
    #[prop(default = "")]
    class: &'static str,
    /// The question.
    title: Signal<&'static str>,
    /// What it means to say yes.
    explanation: Signal<&'static str>,
    /// Whether yes takes something away.
    #[prop(default = false)]
    is_danger: bool,
    /// The answer was yes.
    on_yes: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let t = text();
    let dialog = NodeRef::<html::Dialog>::new();
    let open = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            // An open dialog stays open.
            dialog.show_modal().unwrap_or_default();
        }
    };
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    view! {
        <button type="button" class=class on:click=open>{move || label.get()}</button>
        <dialog node_ref=dialog>
            <h2>{move || title.get()}</h2>
            <p>{move || explanation.get()}</p>
            <div class="actions">
                <button type="button" class=if is_danger { "danger" } else { "primary" } on:click=move |_| { close(); on_yes(); }>{move || label.get()}</button>
                <button type="button" on:click=move |_| close()>{t.site.keep}</button>
            </div>
        </dialog>
    }
}
