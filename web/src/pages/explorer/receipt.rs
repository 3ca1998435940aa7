use leptos::prelude::*;
use wire::explorer::{PublicReceipt, ReceiptState, SignedReceipt};
use wire::{Check, CheckRule, CheckedBy, LeaseId};

use crate::api::{Api, Failure};
use crate::components::{Breadcrumbs, Downloads, Fact, Moment, ReceiptBadge, short};
use crate::document::Document;
use crate::format;
use crate::route::Page;
use crate::text::{Text, text};
use crate::visit::href;

/// What a device signed, what was checked, and how.
pub(crate) async fn load(t: &'static Text, id: LeaseId, api: &Api) -> Result<Document, Failure> {
    let page = api.receipt(id).await?;
    let title = format!("{} {}", t.explorer.receipt, short(&id));
    let description = format!(
        "{} {} · {} {} · {}",
        format::count(page.receipt.tiles),
        t.site.tiles,
        format::count(page.receipt.recomputed_tiles),
        t.explorer.recomputed_short,
        t.explorer.receipt_state(page.receipt.state)
    );
    let heading = title.clone();
    let body = move || {
        let state = page.receipt.state;
        view! {
            <Breadcrumbs parents=vec![(t.site.explorer, Page::Explorer), (t.site.receipts, Page::Receipts)]/>
            <h1>{heading} " " <ReceiptBadge state/></h1>
            <p class="mono soft">{id.to_string()}</p>
            <section class="card">
                <Figures receipt=page.receipt.clone()/>
            </section>
            <section class="card" aria-labelledby="check">
                <h2 id="check">{t.explorer.how_checked}</h2>
                <p data-testid="how-checked">{how_checked(t, &page.receipt, page.check.map(|check| check.by))}</p>
                {page.check.and_then(|check| check.rule).map(|found| view! { <p class="soft" data-testid="check-rule">{rule(t, found)}</p> })}
            </section>
            <section class="card" aria-labelledby="statement">
                <h2 id="statement">{t.explorer.statement}</h2>
                {match page.statement {
                    Some(statement) => view! { <Statement statement/> }.into_any(),
                    None => view! { <p class="soft">{t.explorer.statement_private}</p> }.into_any(),
                }}
            </section>
            <Downloads page=Page::Receipt(id)/>
        }
        .into_any()
    };
    Ok(Document::new(title, body).described(description))
}

fn how_checked(t: &'static Text, receipt: &PublicReceipt, by: Option<CheckedBy>) -> String {
    match receipt.state {
        ReceiptState::Pending => t.explorer.checked_pending.to_owned(),
        ReceiptState::Rejected => t.explorer.checked_rejected.to_owned(),
        ReceiptState::Void => t.explorer.checked_void.to_owned(),
        ReceiptState::Accepted | ReceiptState::Matured => {
            let who = match by {
                Some(CheckedBy::Owner) => return t.explorer.checked_by_owner.to_owned(),
                None if receipt.recomputed_tiles == 0 => return t.explorer.checked_private.to_owned(),
                _ if receipt.recomputed_tiles == 0 => return t.explorer.checked_none_drawn.to_owned(),
                Some(CheckedBy::Edge) => t.explorer.checked_by_edge,
                Some(CheckedBy::Checker) => t.explorer.checked_by_checker,
                Some(CheckedBy::Quorum) => t.explorer.checked_by_quorum,
                None => t.explorer.checked_recomputed,
            };
            let (again, tiles) = (format::count(receipt.recomputed_tiles), format::count(receipt.tiles));
            who.replace("{again}", &again).replace("{tiles}", &tiles)
        }
    }
}

/// When two results of a tile are the same.
fn rule(t: &'static Text, rule: CheckRule) -> String {
    match rule {
        CheckRule::Reference => t.explorer.check_rule.to_owned(),
        CheckRule::Stated { check: Check::Exact } => t.explorer.rule_exact.to_owned(),
        CheckRule::Stated { check: Check::Tolerance { rtol, atol, integers } } => {
            let (rtol, atol) = (format!("{:e}", rtol.get()), format!("{:e}", atol.get()));
            let floats = t.explorer.rule_floats.replace("{rtol}", &rtol).replace("{atol}", &atol);
            let integers = integers.map(|integers| {
                let share = f64::from(integers.fraction.get()) * 100.0;
                let units = format::count(integers.units.into());
                let said = t.explorer.rule_integers.replace("{units}", &units);
                format!("{}{}", t.site.gap, said.replace("{share}", &format!("{share:.1}")))
            });
            floats + &integers.unwrap_or_default()
        }
    }
}

#[component]
fn Figures(
    /// The receipt.
    receipt: PublicReceipt,
) -> impl IntoView {
    let t = text();
    view! {
        <dl class="facts">
            <Fact label=t.site.tiles>{format::count(receipt.tiles)}</Fact>
            <Fact label=t.site.recomputed>{format::count(receipt.recomputed_tiles)}</Fact>
            <Fact label=t.site.work>{format::kflop(receipt.kflop)}</Fact>
            <Fact label=t.site.program>{receipt.program}</Fact>
            <Fact label=t.explorer.backend>{receipt.backend}</Fact>
            <Fact label=t.explorer.received><small><Moment time=receipt.received_at/></small></Fact>
            <Fact label=t.site.device><small class="mono"><a href=href(Page::Device(receipt.device))>{short(&receipt.device)}</a></small></Fact>
            <Fact label=t.site.job>
                <small class="mono">
                    {match receipt.job {
                        Some(job) => view! { <a href=href(Page::PublicJob(job))>{short(&job)}</a> }.into_any(),
                        None => view! { {t.explorer.private} }.into_any(),
                    }}
                </small>
            </Fact>
        </dl>
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[component]
fn Statement(
    /// What was signed.
    statement: SignedReceipt,
) -> impl IntoView {
    let t = text();
    let bytes = hex(&statement.receipt.signing_bytes());
    let SignedReceipt { receipt, device, signature, cost } = statement;
    let row = |label: &'static str, value: String| view! { <tr><th scope="row">{label}</th><td class="mono">{value}</td></tr> };
    view! {
        <p>{t.explorer.statement_lead}</p>
        <div class="scroll" tabindex="0" role="group" aria-label=t.explorer.statement>
            <table class="statement">
                <tbody>
                    {row(t.explorer.lease, receipt.lease.to_string())}
                    {row(t.site.job, receipt.job.to_string())}
                    {row(t.site.tiles, format!("{} – {}", receipt.first_tile, receipt.first_tile + u64::from(receipt.tiles) - 1))}
                    {row(t.explorer.merkle_root, receipt.root.to_string())}
                    {row(t.explorer.output_hash, receipt.output.to_string())}
                    {row(t.site.program, receipt.program)}
                    {row(t.explorer.backend, receipt.backend.name().to_owned())}
                    {row(t.explorer.device_time, format::utc(receipt.time))}
                    {row(t.explorer.signer, device.to_string())}
                    {row(t.explorer.signature, signature.to_string())}
                    {row(t.explorer.paid, format!("{} {}", format::credits(cost), t.site.credits))}
                </tbody>
            </table>
        </div>
        <details>
            <summary>{t.explorer.signed_bytes}</summary>
            <p class="mono wrap">{bytes}</p>
        </details>
    }
}
