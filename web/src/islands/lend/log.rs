use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::DeviceId;
use wire::explorer::PublicReceipt;

use crate::api::Api;
use crate::components::{FoldedReceipts, Whose, receipt_table};
use crate::route::Page;
use crate::text::{spaced, text};
use crate::visit::href;

const REFRESH_EVERY: std::time::Duration = std::time::Duration::from_secs(3);

/// Everything that ran on this device lately, from the same public record that everyone reads.
#[component]
pub fn DeviceLog(
    /// Which device, once the worker has reported its key.
    device: Memo<Option<DeviceId>>,
    /// The log is read again when this grows.
    tiles_verified: Memo<u64>,
) -> impl IntoView {
    let t = text();
    let receipts = RwSignal::new(Vec::<PublicReceipt>::new());
    let seen = StoredValue::new(None::<(DeviceId, u64)>);
    Effect::new(move |_| {
        let refresh = move || {
            let Some(id) = device.get_untracked() else { return };
            let now = (id, tiles_verified.get_untracked());
            if seen.get_value() == Some(now) {
                return;
            }
            seen.set_value(Some(now));
            spawn_local(async move {
                // A device that has done nothing yet has no page; the next refresh tries again.
                match Api::default().device_receipts(id).await {
                    Ok(read) => {
                        receipts.try_set(read);
                    }
                    Err(_failure) => seen.try_update_value(|seen| *seen = None).unwrap_or_default(),
                }
            });
        };
        if let Ok(interval) = set_interval_with_handle(refresh, REFRESH_EVERY) {
            on_cleanup(move || interval.clear());
        }
    });
    view! {
        <p class="soft">{spaced(t.lend.device_log_hint)}
            {move || device.get().map(|id| view! { <a href=href(Page::Device(id))>{t.lend.device_page}</a> })}
        </p>
        <Show when=move || receipts.with(Vec::is_empty)><p class="soft">{t.lend.nothing_ran}</p></Show>
        <FoldedReceipts receipts table=|receipts| receipt_table(receipts, Whose::OneDevices).live().into_any()/>
    }
}
