use leptos::prelude::*;

use crate::api::{Api, Failure};
use crate::document::Document;
use crate::islands::CalculatorIsland;
use crate::text::Text;

/// What lending would bring.
pub(crate) async fn load(t: &'static Text, api: &Api) -> Result<Document, Failure> {
    let overview = api.overview().await?;
    let body = move || {
        view! {
            <h1>{t.site.calculator}</h1>
            <p class="lead">{t.lend.calculator_lead}</p>
            <CalculatorIsland price=overview.price fee_bps=overview.fee_bps utilisation_bps=overview.utilisation_bps/>
        }
        .into_any()
    };
    Ok(Document::new(t.site.calculator, body).described(t.lend.calculator_lead))
}
