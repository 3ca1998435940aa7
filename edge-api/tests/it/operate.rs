//! The dashboard and the alerts that operators take from the documentation: every metric that they name is one that a server
//! says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::metrics::all_names;

fn file(name: &str) -> String {
    // A kept target folder outlives the checkout that `env!` would name.
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    std::fs::read_to_string(format!("{folder}/docs/operate/{name}")).unwrap()
}

/// Every metric of ours that an expression names.
fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("tessera_")).map(str::to_owned).collect()
}

/// The values of a field, however deep they lie.
fn fields<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    match value {
        Value::Object(fields_of) => fields_of
            .iter()
            .flat_map(
                |(key, value)| if key == name { value.as_str().into_iter().collect() } else { fields(value, name) },
            )
            .collect(),
        Value::Array(values) => values.iter().flat_map(|value| fields(value, name)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&file("grafana.json")).unwrap();
    let known = all_names().await;
    let shown: BTreeSet<String> =
        ["expr", "definition"].into_iter().flat_map(|field| fields(&dashboard, field)).flat_map(metrics).collect();

    assert!(shown.is_subset(&known), "{:?}", shown.difference(&known));
    let families: BTreeSet<&str> = known.iter().map(|name| family(name)).collect();
    let shown: BTreeSet<&str> = shown.iter().map(|name| family(name)).collect();
    assert_eq!(shown, families, "and there are none that it does not show");
    let ids = dashboard["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_u64().unwrap());
    assert_eq!(ids.collect::<BTreeSet<_>>().len(), dashboard["panels"].as_array().unwrap().len());
}

fn family(name: &str) -> &str {
    let endings = ["_bucket", "_sum", "_count"];
    endings
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending))
        .filter(|name| name.ends_with("_seconds"))
        .unwrap_or(name)
}

#[tokio::test]
async fn every_alert_asks_for_metrics_that_there_are_and_has_its_paragraph() {
    let rules: Value = serde_saphyr::from_str(&file("alerts.yaml")).unwrap();
    let known = all_names().await;
    let guide = file("observe.md");
    let rules = rules["groups"][0]["rules"].as_array().unwrap();

    assert!(rules.len() > 10);
    for rule in rules {
        let (name, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        let asked = metrics(expression);
        assert!(asked.is_subset(&known), "{name}: {:?}", asked.difference(&known));
        assert!(!asked.is_empty() || expression.starts_with("up{"), "{name}");
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        assert!(rule["annotations"]["summary"].as_str().unwrap().len() > 10, "{name}");
        assert!(guide.contains(&format!("| `{name}` |")), "{name} is not in observe.md");
    }
}
