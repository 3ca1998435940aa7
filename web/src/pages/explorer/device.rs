use leptos::prelude::*;
use wire::DeviceId;
use wire::explorer::{PublicDevice, PublicDevicePage};

use crate::api::{Api, Failure};
use crate::components::{
    Breadcrumbs, Downloads, Fact, Moment, Pager, UptimeStrip, Whose, class_name, receipt_table, short,
};
use crate::document::Document;
use crate::format;
use crate::route::Page;
use crate::text::{Text, hardware, text};
use crate::visit::Visit;

/// One device: what it is, what it did, how it was checked.
pub(crate) async fn load(t: &'static Text, id: DeviceId, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let page = api.public_device(id, &visit.forward_query(&["after", "limit"])).await?;
    let title = format!("{} {}", t.site.device, short(&id));
    let description = format!(
        "{} · {} · {} {} · {} {} / {}",
        hardware(&page.device.name),
        format::speed(page.device.flops_per_sec),
        format::count(page.device.tiles),
        t.explorer.tiles_verified_of,
        t.explorer.checks,
        page.device.checks_passed,
        page.device.checks_failed
    );
    let heading = title.clone();
    let body = move || {
        let PublicDevicePage { device, uptime, uptime_from, receipts } = page;
        let first_seen = device.first_seen_at;
        view! {
            <Breadcrumbs parents=vec![(t.site.explorer, Page::Explorer), (t.site.devices, Page::Devices)]/>
            <h1>{heading} " " <span class=if device.online { "badge good" } else { "badge" }>{if device.online { t.explorer.online } else { t.explorer.offline }}</span></h1>
            <p class="mono soft">{id.to_string()}</p>
            <section class="card">
                <DeviceFacts device/>
            </section>
            <section class="card" aria-labelledby="uptime">
                <h2 id="uptime">{t.explorer.uptime}</h2>
                <UptimeStrip label=t.explorer.uptime days=uptime from=uptime_from first_seen/>
            </section>
            <section class="card" aria-labelledby="receipts">
                <h2 id="receipts">{t.site.receipts}</h2>
                {if receipts.rows.is_empty() {
                    view! { <p class="soft">{t.explorer.no_receipts}</p> }.into_any()
                } else {
                    receipt_table(receipts.rows, Whose::OneDevices).fixed().into_any()
                }}
                <Pager keep=&["limit"] cursor="after" next=receipts.next/>
            </section>
            <Downloads page=Page::Device(id)/>
        }
        .into_any()
    };
    Ok(Document::new(title, body).described(description))
}

#[component]
fn DeviceFacts(
    /// Whose.
    device: PublicDevice,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts">
            <Fact label=t.site.gpu><small>{hardware(&device.name)} {device.software.then(|| format!("{}{}", t.site.gap, t.explorer.software))}</small></Fact>
            <Fact label=t.explorer.class>{class_name(device.class)}</Fact>
            <Fact label=t.explorer.backend>{device.backend}</Fact>
            <Fact label=t.site.speed>{format::speed(device.flops_per_sec)}</Fact>
            {device.proved_at.map(|proved_at| view! {
                <Fact label=t.explorer.challenge>
                    {if device.proved_ops_per_sec == 0 { t.explorer.challenge_failed.to_owned() } else { format::ops_per_sec(device.proved_ops_per_sec) }}
                    " " <small><Moment time=proved_at/></small>
                </Fact>
            })}
            {(device.down_bytes_per_sec > 0 && device.up_bytes_per_sec > 0).then(|| view! {
                <Fact label=t.explorer.line>
                    {format!("{} / {}", format::bits_per_sec(device.down_bytes_per_sec), format::bits_per_sec(device.up_bytes_per_sec))}
                </Fact>
            })}
            <Fact label=t.site.tiles_verified>{format::count(device.tiles)}</Fact>
            <Fact label=t.site.work>{format::kflop(device.kflop)}</Fact>
            <Fact label=t.explorer.checks_passed>{format::count(device.checks_passed)}</Fact>
            <Fact label=t.explorer.checks_failed>{format::count(device.checks_failed)}</Fact>
            <Fact label=t.site.earned>{format::credits(device.earned)} " " <small>{t.site.credits}</small></Fact>
            <Fact label=t.explorer.first_seen><small><Moment time=device.first_seen_at/></small></Fact>
            <Fact label=t.explorer.last_seen><small><Moment time=device.seen_at/></small></Fact>
            {device.suspended_until.map(|until| view! { <Fact label=t.explorer.suspended_until><small><Moment time=until/></small></Fact> })}
        </dl>
    }
}
