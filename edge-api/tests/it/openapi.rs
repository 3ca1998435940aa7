//! The API's description against the routes, and against what the tests see the API refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use edge_api::openapi::examples;
use edge_api::routes::{DESCRIPTION, routes};
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_slice(&DESCRIPTION).unwrap());

/// Each operation with its method in capitals and its path.
fn operations() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

#[test]
fn the_document_describes_every_route_and_nothing_else() {
    let mut described: Vec<(String, &str)> = operations().map(|(method, path, _)| (method, path)).collect();
    let mut served: Vec<(String, &str)> = routes().iter().map(|route| (route.method.to_owned(), route.path)).collect();
    described.sort();
    served.sort();

    assert_eq!(described, served);
}

#[test]
fn every_route_is_described_by_its_own_handler() {
    let handlers: BTreeMap<_, _> =
        routes().iter().map(|route| ((route.method.to_owned(), route.path), route.operation)).collect();
    for (method, path, operation) in operations() {
        assert_eq!(operation["operationId"], handlers[&(method.clone(), path)], "{method} {path}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let text = std::str::from_utf8(&DESCRIPTION).unwrap();
    let references: Vec<&str> = text.split("\"$ref\": \"#").skip(1).collect();

    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.split('"').next().unwrap();
        assert!(DOCUMENT.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn every_operation_says_what_it_does_and_what_it_takes() {
    for (method, path, operation) in operations() {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{method} {path}: summary '{summary}'");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path}: tags");
        let named: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        let parameters = || operation["parameters"].as_array().into_iter().flatten();
        let described: Vec<&str> = parameters()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(described, named, "{method} {path}");
        for parameter in parameters() {
            assert!(
                parameter["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{method} {path} {parameter}"
            );
        }
    }
}

#[test]
fn every_operation_describes_its_answers_and_its_refusals() {
    for (method, path, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with(['1', '2'])), "{method} {path} never succeeds");
        // The description itself is the one answer that nothing can keep back.
        assert!(path == "/v1/openapi.json" || responses.contains_key("500"), "{method} {path} has no refusals");
        for (status, response) in responses {
            let description = response["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{method} {path} {status} is not described");
        }
    }
}

#[test]
fn every_operation_has_an_example_of_all_it_takes_and_answers() {
    for (method, path, operation) in operations() {
        let place = format!("{method} {path}");
        let command = operation["x-codeSamples"][0]["source"].as_str().unwrap_or_default();
        assert!(
            command.starts_with("curl ") && !command.contains('{') || command.contains("-d "),
            "{place}: {command}"
        );
        let bodies = operation["responses"].as_object().unwrap().values().chain(operation.get("requestBody"));
        for (kind, media) in bodies.flat_map(|body| body["content"].as_object().into_iter().flatten()) {
            let has_example = media.get("example").is_some() || media.get("examples").is_some();
            assert!(has_example || kind == "application/octet-stream", "{place}: no example of {kind}");
        }
    }
}

#[test]
fn every_schema_has_an_example_of_each_field() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        if name == "Binary" {
            continue;
        }
        let example = examples::value(&DOCUMENT, schema);
        assert!(example.is_some(), "{name} has no example");
        let (Some(fields), Some(Value::Object(example))) = (schema["properties"].as_object(), example) else {
            continue;
        };
        for field in example.keys() {
            assert!(fields.contains_key(field), "the example of {name} has a field '{field}' of its own");
        }
        for field in schema["required"].as_array().into_iter().flatten() {
            assert!(example.contains_key(field.as_str().unwrap()), "the example of {name} has no {field}");
        }
    }
}

#[test]
fn every_error_code_is_an_operations_or_a_sockets() {
    let mut codes: BTreeSet<String> = BTreeSet::new();
    for (_, _, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap().values();
        let examples = responses.filter_map(|response| response["content"]["application/json"]["examples"].as_object());
        codes.extend(examples.flat_map(|examples| examples.keys().cloned()));
    }
    let all: BTreeSet<String> =
        wire::ErrorCode::ALL.iter().map(|code| json!(code).as_str().unwrap().to_owned()).collect();
    let on_sockets: Vec<&str> = all.difference(&codes).map(String::as_str).collect();

    assert!(codes.is_subset(&all));
    let frames = ["check_failed", "invalid_signature", "malformed_frame", "output_missing", "protocol_version"];
    assert_eq!(on_sockets, [&frames[..], &["replayed_frame", "unknown_code"]].concat());
}

/// Fails for a refusal that the description of its operation does not name.
#[track_caller]
pub(crate) fn check_refusal(method: &str, path: &str, status: u16, body: &[u8]) {
    let Some(operation) = find(method, path) else { return };
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    let Some(code) = body["code"].as_str() else { return };
    let examples = &operation["responses"][status.to_string()]["content"]["application/json"]["examples"];
    assert!(
        examples.get(code).is_some(),
        "the description of {method} {path} does not say that it answers {status} {code}"
    );
}

/// The operation that a request is for; fixed segments come before variable ones.
fn find(method: &str, path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (mut left, mut right) = (template.split('/'), path.split('/'));
        template.split('/').count() == path.split('/').count()
            && left.all(|part| right.next().is_some_and(|found| part == found || part.starts_with('{')))
    };
    let fitting = operations().filter(|(described, template, _)| described == method && fits(template));
    fitting.min_by_key(|(_, template, _)| template.matches('{').count()).map(|(_, _, operation)| operation)
}
