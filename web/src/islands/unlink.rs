use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::DeviceId;

use super::dialog::Confirm;
use super::toast::toast;
use crate::api;
use crate::text::text;

/// Takes one device from the account whose page it is on.
#[island]
pub fn UnlinkIsland(
    /// The device.
    device: DeviceId,
) -> impl IntoView {
    let t = text();
    let unlink = move || {
        spawn_local(async move {
            match api::unlink_device(device).await {
                // The list is the page's.
                Ok(()) => window().location().reload().unwrap_or_default(),
                Err(failure) => toast(&failure.message()),
            }
        });
    };
    let constant = |text: &'static str| Signal::stored(text);
    view! {
        <Confirm label=constant(t.account.unlink) class="small" title=constant(t.account.unlink_title) explanation=constant(t.account.unlink_explanation) is_danger=true on_yes=unlink/>
    }
}
