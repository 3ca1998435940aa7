//! Refusals apart from their English words: an error's variant is the reason, its fields are what the reason names.

use std::collections::BTreeMap;

use rules::admission::AdmitError;
use serde::Serialize;
use serde_json::Value;
use wire::Detail;

/// Of an order that is refused.
pub fn of_order(error: &AdmitError) -> Option<Detail> {
    match error {
        AdmitError::UnsupportedOperator { detail, .. }
        | AdmitError::InvalidModel { detail, .. }
        | AdmitError::ModelInput { detail, .. }
        | AdmitError::InvalidKernel { detail, .. }
        | AdmitError::UnreadableArray { detail, .. } => detail.clone(),
        other => of(other),
    }
}

/// `None` for what is no enum's value.
pub fn of(error: &impl Serialize) -> Option<Detail> {
    match serde_json::to_value(error).ok()? {
        Value::String(reason) => Some(Detail { reason, arguments: BTreeMap::new() }),
        Value::Object(variant) => {
            let (reason, fields) = variant.into_iter().next()?;
            let fields = fields.as_object().cloned().unwrap_or_default().into_iter();
            let given = fields.filter(|(_, value)| !value.is_null());
            Some(Detail { reason, arguments: given.map(|(name, value)| (name, text(value))).collect() })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        // One of several things, such as a line or a row.
        Value::Object(fields) if fields.len() == 1 => fields.into_iter().map(|(_, value)| text(value)).collect(),
        Value::Array(list) => list.into_iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use wire::Credits;

    use super::*;

    #[test]
    fn a_refusal_is_its_variant_and_names_its_fields() {
        let detail = |error| {
            of_order(&error).map(|Detail { reason, arguments }| (reason, arguments.into_iter().collect::<Vec<_>>()))
        };
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());

        assert_eq!(detail(AdmitError::NoRecords), Some(("no_records".to_owned(), vec![])));
        let over = AdmitError::OverLimit { cost: Credits::from_micros(2), limit: Credits::from_micros(1) };
        let amounts = vec![named("cost", "0.000002"), named("limit", "0.000001")];
        assert_eq!(detail(over), Some(("over_limit".to_owned(), amounts)));
        let empty = AdmitError::EmptyRow { field: "input".to_owned(), name: "x".to_owned(), shape: vec![4, 0] };
        let arguments = vec![named("field", "input"), named("name", "x"), named("shape", "4, 0")];
        assert_eq!(detail(empty), Some(("empty_row".to_owned(), arguments)));
    }
}
