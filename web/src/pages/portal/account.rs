use leptos::prelude::*;
use wire::explorer::{Page as TablePage, PublicDevice};
use wire::{Credits, DeviceId, JobMovement, LedgerEntry};

use crate::api::{Api, Failure};
use crate::components::{Balance, EmptyState, Moment, Pager, device_table, short};
use crate::document::Document;
use crate::format;
use crate::islands::{KeysIsland, SignOutIsland, UnlinkIsland};
use crate::route::Page;
use crate::text::{Lang, Text, text};
use crate::visit::{Visit, href};

/// What an account has: credits, devices, keys, settings.
pub(crate) async fn load(t: &'static Text, visit: &Visit, api: &Api) -> Result<Document, Failure> {
    let account = api.account().await?;
    let movements = api.movements(&visit.forward_query(&["after"])).await?;
    let others = api.entries("?job=none&limit=20").await?.rows;
    let devices = api.devices().await?;
    let keys = api.keys().await?;
    let lang = visit.lang;
    let body = move || {
        let name = t.account.given_name(account.name.clone());
        view! {
            <div class="title-row"><h1>{name}</h1><SignOutIsland/></div>
            <p class="mono soft">{account.id.to_string()}</p>
            <section class="card" aria-labelledby="credits">
                <h2 id="credits">{t.account.credits_title}</h2>
                <Balance account=account.clone() class="facts big"/>
                <Movements movements/>
                <Others entries=others/>
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

/// What each job moved.
#[component]
fn Movements(
    /// Newest jobs first.
    movements: TablePage<JobMovement>,
) -> impl IntoView {
    let t = text();
    let row = |movement: JobMovement| {
        let name = if movement.name.is_empty() { short(&movement.job) } else { movement.name };
        let job = if movement.own {
            view! { <a href=href(Page::Job(movement.job))>{name}</a> }.into_any()
        } else if movement.published {
            view! { <a href=href(Page::PublicJob(movement.job))>{name}</a> }.into_any()
        } else {
            view! { <span title=t.account.private_job>{name}" "<small class="soft">{t.explorer.private}</small></span> }
                .into_any()
        };
        view! {
            <tr>
                <td data-label=t.site.job class="name">{job}</td>
                <td data-label=t.account.last_moved><Moment time=movement.at/></td>
                <td data-label=t.account.available class=amount_class(movement.available)>{format::movement(movement.available)}</td>
                <td data-label=t.site.pending class=amount_class(movement.pending)>{format::movement(movement.pending)}</td>
            </tr>
        }
    };
    if movements.rows.is_empty() {
        return view! { <p class="soft">{t.account.no_movements}</p> }.into_any();
    }
    view! {
        <h3 id="movements">{t.account.movements}</h3>
        <div class="scroll" tabindex="0" role="group" aria-labelledby="movements">
            <table class="rows">
                <thead>
                    <tr>
                        <th scope="col">{t.site.job}</th>
                        <th scope="col">{t.account.last_moved}</th>
                        <th scope="col" class="number">{t.account.available}</th>
                        <th scope="col" class="number">{t.site.pending}</th>
                    </tr>
                </thead>
                <tbody>{movements.rows.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        <Pager keep=&[] cursor="after" next=movements.next/>
    }
    .into_any()
}

fn amount_class(amount: Credits) -> &'static str {
    if amount.micros() > 0 { "number plus" } else { "number" }
}

/// What moved for no job: the faucet, what guests had earned.
#[component]
fn Others(
    /// Newest first.
    entries: Vec<LedgerEntry>,
) -> impl IntoView {
    let t = text();
    let row = |entry: LedgerEntry| {
        view! {
            <tr>
                <td data-label=t.account.what>{t.account.ledger_kind(&entry.kind)}</td>
                <td data-label=t.account.when><Moment time=entry.at/></td>
                <td data-label=t.account.purse>{if entry.purse == "pending" { t.site.pending } else { t.account.available }}</td>
                <td data-label=t.account.credits_title class=amount_class(entry.amount)>{format::movement(entry.amount)}</td>
            </tr>
        }
    };
    (!entries.is_empty()).then(|| {
        view! {
            <h3 id="others">{t.account.other_movements}</h3>
            <div class="scroll" tabindex="0" role="group" aria-labelledby="others">
                <table class="rows">
                    <thead>
                        <tr>
                            <th scope="col">{t.account.what}</th>
                            <th scope="col">{t.account.when}</th>
                            <th scope="col">{t.account.purse}</th>
                            <th scope="col" class="number">{t.account.credits_title}</th>
                        </tr>
                    </thead>
                    <tbody>{entries.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        }
    })
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
    device_table(devices, Some(unlink)).fixed().into_any()
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
