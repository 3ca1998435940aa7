//! The API's description, derived from the handlers and from `wire`'s types, and completed: who may
//! ask, an example of each body, a command for each operation.

pub mod answers;
mod example_accounts;
mod example_arrays;
mod example_kernels;
mod example_parts;
mod example_preview;
mod example_status;
mod example_values;
pub mod examples;

use serde_json::{Value, json};

use crate::auth::SESSION_COOKIE;

/// The description as it is served.
pub fn complete(derived: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(derived).expect("a description should serialise");
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "http", "scheme": "bearer", "description": "An account's key." },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": SESSION_COOKIE,
            "description": "A browser's session. It writes for pages of this origin alone.",
        },
    });
    for (name, example) in example_values::all() {
        if let Some(schema) = document["components"]["schemas"].get_mut(name) {
            schema["example"] = example;
        }
    }
    name_times(&mut document);
    refer_to_rows(&mut document);
    tidy(&mut document);
    describe_choices(&mut document);
    let known = document.clone();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete_operation(&known, method, path, operation);
        }
    }
    document
}

/// The alias `wire::Micros` has no name that a derive could see: its schema comes out as that of `i64`.
fn name_times(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    if let Some(mut times) = schemas.remove("i64") {
        times["description"] = json!("Microseconds since 1970-01-01 UTC.");
        times["example"] = json!(1_795_348_800_000_000_i64);
        schemas.insert("Micros".to_owned(), times);
    }
}

/// A generic page's rows are derived in place, although each has a schema of its own.
fn refer_to_rows(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    for (name, page) in schemas {
        if let Some(row) = name.strip_prefix("Page_") {
            page["properties"]["rows"]["items"] = json!({ "$ref": format!("#/components/schemas/{row}") });
        }
    }
}

/// What is left out is never null in an answer, and a link to an item of the code leads nowhere here.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            fields.values_mut().for_each(tidy);
            if let Some(Value::String(text)) = fields.get_mut("$ref") {
                *text = text.replace("/i64", "/Micros");
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            if let Some(Value::Array(kinds)) = fields.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_slice() {
                    let kind = kind.clone();
                    fields.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("oneOf") {
                choices.retain(|choice| choice["type"] != "null");
                if choices.len() == 1
                    && let Some(Value::Object(only)) = choices.pop()
                {
                    fields.remove("oneOf");
                    fields.extend(only);
                }
            }
        }
        _ => {}
    }
}

/// What a choice holds beside its kind, where that is no field of the code that could have a comment.
const CONTENTS: [(&str, &str, &str); 1] = [("ProofStep", "hash", "The sibling's hash.")];

fn describe_choices(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        describe_choice(name, schema);
    }
}

/// The field that tells a choice's kind has one value, and no comment either.
fn describe_choice(name: &str, choice: &mut Value) {
    for (field_name, field) in choice.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let content = CONTENTS.iter().find(|(of, content, _)| *of == name && content == field_name);
        let is_tag = field["enum"].as_array().is_some_and(|names| names.len() == 1);
        let description = content.map(|(_, _, says)| *says).or(is_tag.then_some("Which of the kinds this is."));
        if let Some(description) = description.filter(|_| field.get("description").is_none()) {
            field["description"] = json!(description);
        }
    }
    for kind in ["oneOf", "allOf"] {
        let parts = choice.get_mut(kind).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(|part| describe_choice(name, part));
    }
}

fn complete_operation(document: &Value, method: &str, path: &str, operation: &mut Value) {
    if operation["responses"].get("401").is_some() {
        operation["security"] = json!([{ "key": [] }, { "session": [] }]);
    }
    let bodies = operation["responses"].as_object_mut().into_iter().flat_map(|all| all.values_mut());
    for response in bodies {
        add_examples(document, response);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        add_examples(document, body);
    }
    if let Some(command) = examples::command(document, method, path, operation) {
        operation["x-codeSamples"] = json!([{ "lang": "Shell", "label": "curl", "source": command }]);
    }
}

/// To each kind of content that has none of its own.
fn add_examples(document: &Value, body: &mut Value) {
    let content = body.get_mut("content").and_then(Value::as_object_mut);
    for media in content.into_iter().flat_map(|content| content.values_mut()) {
        if media.get("example").is_none()
            && media.get("examples").is_none()
            && let Some(example) = examples::value(document, &media["schema"])
        {
            media["example"] = example;
        }
    }
}
