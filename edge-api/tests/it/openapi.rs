//! The API's description against the routes, and against what the tests see the API refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use edge_api::openapi::examples;
use edge_api::routes::{DESCRIPTION, routes};
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&DESCRIPTION).unwrap());

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
    let references: Vec<&str> = DESCRIPTION.split("\"$ref\": \"#").skip(1).collect();

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
            let is_binary = kind == "application/octet-stream" || kind.starts_with("image/");
            assert!(has_example || is_binary, "{place}: no example of {kind}");
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
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().map(|field| field.as_str().unwrap()).collect();
        for field in example.keys() {
            assert!(fields.contains_key(field), "the example of {name} has a field '{field}' of its own");
        }
        for (field, about) in fields.iter().filter(|(field, _)| !example.contains_key(*field)) {
            assert!(!required.contains(&field.as_str()), "the example of {name} has no {field}");
            // What may be left out is left out of an example where it would be untrue there; it has one elsewhere.
            assert!(examples::value(&DOCUMENT, about).is_some(), "{name}.{field} has no example of its own");
        }
    }
}

#[test]
fn every_field_of_every_schema_says_what_it_is() {
    fn check(name: &str, schema: &Value, silent: &mut Vec<String>) {
        for (field, about) in schema["properties"].as_object().into_iter().flatten() {
            if about["description"].as_str().unwrap_or_default().is_empty() {
                silent.push(format!("{name}.{field}"));
            }
        }
        let parts = ["oneOf", "allOf", "anyOf"].into_iter().filter_map(|kind| schema[kind].as_array());
        parts.flatten().for_each(|part| check(name, part, silent));
    }
    let mut silent = Vec::new();
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        check(name, schema, &mut silent);
    }

    assert!(silent.is_empty(), "write a doc comment on {}", silent.join(", "));
}

/// The handlers' own signatures, read from their files, say who must be signed in.
#[test]
fn what_needs_a_caller_says_that_it_refuses_others() {
    let signed_in = handlers_with("Caller");
    assert!(signed_in.len() > 20, "{signed_in:?}");
    for (method, path, operation) in operations() {
        let takes_caller = signed_in.contains(operation["operationId"].as_str().unwrap());
        let says_so = operation["responses"].get("401").is_some();
        assert_eq!(takes_caller, says_so, "{method} {path}: its handler and its description differ on 401");
    }
}

/// Names of `pub async fn`s that take a parameter of that type.
fn handlers_with(parameter: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for function in text.split("pub async fn ").skip(1) {
                let (name, rest) = function.split_once('(').unwrap();
                let parameters = rest.split(") ->").next().unwrap();
                if parameters.contains(&format!(": {parameter},")) || parameters.ends_with(&format!(": {parameter}")) {
                    found.insert(name.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn an_example_of_a_list_and_of_a_search_can_be_run_as_it_stands() {
    for (method, path, operation) in operations() {
        let command = operation["x-codeSamples"][0]["source"].as_str().unwrap();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["required"] == true && parameter["in"] == "query" {
                assert!(command.contains(&format!("{name}=")), "{method} {path}: the command lacks {name}");
            }
        }
    }
    let search = &DOCUMENT["paths"]["/v1/public/search"]["get"];
    assert_eq!(search["parameters"][0]["required"], true);
}

#[test]
fn every_error_code_is_an_operations_or_a_sockets_or_the_routers() {
    let mut codes: BTreeSet<String> = BTreeSet::new();
    for (_, _, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap().values();
        let examples = responses.filter_map(|response| response["content"]["application/json"]["examples"].as_object());
        codes.extend(examples.flat_map(|examples| examples.keys().cloned()));
    }
    let all: BTreeSet<String> =
        wire::ErrorCode::ALL.iter().map(|code| json!(code).as_str().unwrap().to_owned()).collect();
    let elsewhere: Vec<&str> = all.difference(&codes).map(String::as_str).collect();

    assert!(codes.is_subset(&all));
    let frames = ["check_failed", "invalid_signature", "malformed_frame", "output_missing", "protocol_version"];
    // What the router answers where there is no operation.
    let of_the_router = ["method_not_allowed"];
    let frames = [&frames[..3], &of_the_router, &frames[3..], &["replayed_frame", "unknown_code"]].concat();
    assert_eq!(elsewhere, frames);
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
