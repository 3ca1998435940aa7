use leptos::prelude::*;
use wire::explorer::{Page as TablePage, PublicDevice};
use wire::{DeviceId, LedgerEntry};

use crate::api::{Api, Failure};
use crate::components::{Balance, DeviceTable, EmptyState, Moment, Pager, short};
use crate::document::Document;
use crate::format;
use crate::islands::{KeysIsland, SignOutIsland, UnlinkIsland};
use crate::route::Page;
use crate::text::{Lang, Text, text};
use crate::visit::{Visit, href};

/// What an account has: credits, devices, keys, settings.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let account = api.account().await?;
    let entries = api.entries(&visit.forward_query(&["after"])).await?;
    let devices = api.devices().await?;
    let keys = api.keys().await?;
    let lang = visit.lang;
    let body = move || {
        let name = account.name.clone();
        view! {
            <div class="title-row"><h1>{name}</h1><SignOutIsland/></div>
            <p class="mono soft">{account.id.to_string()}</p>
            <section class="card" aria-labelledby="credits">
                <h2 id="credits">{t.account.credits_title}</h2>
                <Balance account=account.clone() class="facts big"/>
                <Entries entries/>
            </section>
            <section class="card" aria-labelledby="devices">
                <h2 id="devices">{t.account.devices_i_lend}</h2>
                <Devices devices/>
            </section>
            <section class="card" aria-labelledby="keys">
                <h2 id="keys">{t.account.keys}</h2>
                <p class="soft">{t.account.keys_hint}</p>
                <KeysIsland keys/>
            </section>
            <Settings lang/>
        }
        .into_any()
    };
    Ok(Document::new(t.site.account, body))
}

#[component]
fn Entries(
    /// Newest first.
    entries: TablePage<LedgerEntry>,
) -> impl IntoView {
    let t = text();
    let row = |entry: LedgerEntry| {
        let class = if entry.amount.micros() < 0 { "number minus" } else { "number plus" };
        view! {
            <tr>
                <td><Moment time=entry.at/></td>
                <td>{t.account.ledger_kind(&entry.kind)}</td>
                <td>{if entry.purse == "pending" { t.site.pending } else { t.account.available }}</td>
                <td class="mono">{entry.job.map(|job| short(&job))}</td>
                <td class="mono">{entry.device.map(|device| view! { <a href=href(Page::Device(device))>{short(&device)}</a> })}</td>
                <td class=class>{format::credits(entry.amount)}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.account.movements>
            <table>
                <caption>{t.account.movements}</caption>
                <thead>
                    <tr>
                        <th scope="col">{t.account.when}</th>
                        <th scope="col">{t.account.what}</th>
                        <th scope="col">{t.account.purse}</th>
                        <th scope="col">{t.site.job}</th>
                        <th scope="col">{t.site.device}</th>
                        <th scope="col" class="number">{t.site.credits}</th>
                    </tr>
                </thead>
                <tbody>{entries.rows.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        <Pager keep=&[] cursor="after" next=entries.next/>
    }
}

#[component]
fn Devices(
    /// Those seen last first.
    devices: Vec<PublicDevice>,
) -> impl IntoView {
    let t = text();
    if devices.is_empty() {
        return view! {
            <EmptyState title=t.account.no_devices_lent>
                <p>{t.account.no_devices_lent_help}</p>
                <p class="actions"><a class="button" href=href(Page::Lend)>{t.site.lend}</a></p>
            </EmptyState>
        }
        .into_any();
    }
    let unlink: fn(DeviceId) -> AnyView = |device| view! { <UnlinkIsland device/> }.into_any();
    view! { <DeviceTable devices action=unlink/> }.into_any()
}

/// Works without Wasm: the page's script keeps what is chosen.
#[component]
fn Settings(
    /// The language in use.
    lang: Lang,
) -> impl IntoView {
    let t = text();
    view! {
        <section class="card" aria-labelledby="settings">
            <h2 id="settings">{t.account.settings}</h2>
            <div class="toolbar">
                <div>
                    <label for="language">{t.account.language}</label>
                    <select id="language" data-lang-field>
                        <option value="en" lang="en" selected=lang == Lang::En>"English"</option>
                        <option value="zh" lang="zh-CN" selected=lang == Lang::Zh>"简体中文"</option>
                    </select>
                </div>
                <div>
                    <label for="theme">{t.site.theme}</label>
                    <select id="theme" data-theme-field>
                        <option value="">{t.account.theme_system}</option>
                        <option value="light">{t.account.theme_light}</option>
                        <option value="dark">{t.account.theme_dark}</option>
                    </select>
                </div>
            </div>
        </section>
    }
}
