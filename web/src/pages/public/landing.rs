use leptos::prelude::*;
use wire::explorer::Overview;

use crate::api::{Api, Failure};
use crate::document::Document;
use crate::format;
use crate::islands::LiveOverviewIsland;
use crate::route::Page;
use crate::text::Text;
use crate::visit::href;

/// What the network is, in a sentence, live figures and four steps.
pub(crate) async fn load(t: &'static Text, api: &Api) -> Result<Document, Failure> {
    let overview = api.overview().await?;
    let body = move || {
        view! {
            <section class="hero">
                <div>
                    <h1>{t.landing.hero}</h1>
                    <p class="lead">{t.landing.hero_lead}</p>
                    <p class="actions">
                        <a class="button primary large" href=href(Page::NewJob)>{t.site.run_a_job}</a>
                        <a class="button large" href=href(Page::Lend)>{t.site.lend}</a>
                    </p>
                </div>
                <LiveOverviewIsland overview=overview.clone()/>
            </section>
            <section aria-labelledby="how">
                <h2 id="how" class="section">{t.landing.how_title}</h2>
                <ol class="steps">
                    <Step number=1 title=t.landing.how_cut text=t.landing.how_cut_text/>
                    <Step number=2 title=t.landing.how_lend text=t.landing.how_lend_text/>
                    <Step number=3 title=t.landing.how_check text=t.landing.how_check_text/>
                    <Step number=4 title=t.landing.how_pay text=t.landing.how_pay_text/>
                </ol>
            </section>
            <div class="columns even">
                <Prices overview=overview.clone()/>
                <section class="card" aria-labelledby="promises">
                    <h2 id="promises">{t.landing.promises}</h2>
                    <ul class="checked">
                        <li>{t.landing.promise_verified}</li>
                        <li>{t.landing.promise_refund}</li>
                        <li>{t.landing.promise_guest}</li>
                        <li>{t.landing.promise_public}</li>
                    </ul>
                    <p class="actions"><a class="button" href=href(Page::Explorer)>{t.landing.see_network}</a></p>
                </section>
            </div>
        }
        .into_any()
    };
    Ok(Document::new("", body))
}

#[component]
fn Step(
    /// From 1.
    number: u8,
    /// What happens.
    title: &'static str,
    /// In a sentence.
    text: &'static str,
) -> impl IntoView {
    // Sixteen tiles: whole, lent out, two drawn for a check, all paid.
    let class_of = move |tile: u8| match (number, tile) {
        (1, _) => "t0",
        (2, 0..6) => "t1",
        (2, 6..11) => "t2",
        (2, _) => "t3",
        (3, 5 | 11) => "t4",
        (3, _) => "t1",
        _ => "t5",
    };
    let tile = move |i: u8| {
        let d = format!("M{} {}h8v8h-8z", 1 + i % 4 * 10, 1 + i / 4 * 10);
        view! { <path class=class_of(i) d=d/> }
    };
    view! {
        <li class="card">
            <svg viewBox="0 0 40 40" width="96" height="96" aria-hidden="true" focusable="false">{(0..16).map(tile).collect_view()}</svg>
            <h3><span class="step-number">{number}</span>{title}</h3>
            <p>{text}</p>
        </li>
    }
}

/// What a job costs here, at the present price.
#[component]
fn Prices(
    /// Whose price.
    overview: Overview,
) -> impl IntoView {
    let t = crate::text::text();
    // Operations of one image (multiply and add count two), from the models' own papers.
    let models: [(&str, u128); 4] = [
        ("MobileNetV2 (224²)", 600_000_000),
        ("ResNet-50 (224²)", 8_200_000_000),
        ("ViT-B/16 (224²)", 35_200_000_000),
        ("BERT-base (128)", 22_500_000_000),
    ];
    let price = overview.price.0;
    let row = move |(name, flops): (&'static str, u128)| {
        // An operator may set any price: what no longer fits is shown as the largest amount.
        let micros = flops * u128::from(price.unsigned_abs()) / 1_000_000_000_000;
        let cost = wire::Credits::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        view! { <tr><td>{name}</td><td class="number">{format::credits(cost)}</td></tr> }
    };
    view! {
        <section class="card" aria-labelledby="prices">
            <h2 id="prices">{t.landing.prices}</h2>
            <table>
                <thead><tr><th scope="col">{t.landing.a_million_rows}</th><th scope="col" class="number">{t.site.cost_in_credits}</th></tr></thead>
                <tbody>{models.map(row).collect_view()}</tbody>
            </table>
            <p class="hint">{t.landing.prices_hint}</p>
        </section>
    }
}
