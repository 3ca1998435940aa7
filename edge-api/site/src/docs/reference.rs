//! The API's description as the page of its reference shows it.

use serde_json::{Map, Value};
use web::pages::docs::data::{Answer, Body, Kind, Operation, Parameter, Reference, Refusal, Schema, SchemaField, Tag};

use super::markdown::inline;
use crate::api::InProcessApi;

/// `None` when the API does not answer with a description.
pub(super) async fn load(api: &InProcessApi) -> Option<Reference> {
    let answer = api.get("/v1/openapi.json", None).await?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(read(&document))
}

fn read(document: &Value) -> Reference {
    let operations: Vec<(&str, Operation)> = entries(&document["paths"])
        .flat_map(|(path, item)| entries(item).map(move |(method, about)| (path, method, about)))
        .map(|(path, method, about)| (about["tags"][0].as_str().unwrap_or_default(), operation(path, method, about)))
        .collect();
    let tag = |tag: &Value| {
        let name = text(&tag["name"]);
        let own = operations.iter().filter(|(of, _)| *of == name).map(|(_, operation)| operation.clone());
        Tag { operations: own.collect(), description: text(&tag["description"]), name }
    };
    Reference {
        introduction: inline(&text(&document["info"]["description"])),
        tags: items(&document["tags"]).map(tag).collect(),
        schemas: entries(&document["components"]["schemas"]).map(|(name, about)| schema(name, about)).collect(),
    }
}

fn operation(path: &str, method: &str, about: &Value) -> Operation {
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for (status, response) in entries(&about["responses"]) {
        let examples = &response["content"]["application/json"]["examples"];
        if examples.is_object() {
            refusals.extend(entries(examples).map(|(code, example)| Refusal {
                status: status.to_owned(),
                code: code.to_owned(),
                meaning: text(&example["summary"]),
            }));
        } else {
            let description = inline(&text(&response["description"]));
            answers.push(Answer {
                status: status.to_owned(),
                description,
                body: entries(&response["content"]).map(body).next(),
            });
        }
    }
    Operation {
        id: text(&about["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&about["summary"]),
        description: inline(&text(&about["description"])),
        wants_key: about["security"].is_array(),
        parameters: items(&about["parameters"]).map(parameter).collect(),
        body: entries(&about["requestBody"]["content"]).map(body).next(),
        answers,
        refusals,
        command: text(&about["x-codeSamples"][0]["source"]),
    }
}

fn parameter(about: &Value) -> Parameter {
    Parameter {
        name: text(&about["name"]),
        place: text(&about["in"]),
        kind: kind(&about["schema"]),
        is_required: about["required"] == true,
        description: inline(&text(&about["description"])),
    }
}

fn body((media_type, about): (&str, &Value)) -> Body {
    let example = match &about["example"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => serde_json::to_string_pretty(value).ok(),
    };
    let kind = (media_type != "application/octet-stream").then(|| kind(&about["schema"]));
    Body { media_type: media_type.to_owned(), kind, example }
}

fn schema(name: &str, about: &Value) -> Schema {
    let choices = items(&about["oneOf"]).map(|choice| {
        let fields = fields(choice);
        let label = fields.iter().find_map(|field| field.kind.constant().map(str::to_owned));
        Schema {
            name: label.unwrap_or_default(),
            description: inline(&text(&choice["description"])),
            kind: None,
            fields,
            choices: Vec::new(),
        }
    });
    let is_object = about["properties"].is_object() || about["oneOf"].is_array();
    Schema {
        name: name.to_owned(),
        description: inline(&text(&about["description"])),
        kind: (!is_object).then(|| kind(about)),
        fields: fields(about),
        choices: choices.collect(),
    }
}

/// A schema's own fields and those of the schemas that it is put together from.
fn fields(about: &Value) -> Vec<SchemaField> {
    let required: Vec<&str> = items(&about["required"]).filter_map(Value::as_str).collect();
    let field = |(name, field): (&str, &Value)| SchemaField {
        name: name.to_owned(),
        kind: kind(field),
        is_required: required.contains(&name),
        description: inline(&text(&field["description"])),
    };
    let mut fields: Vec<SchemaField> = entries(&about["properties"]).map(field).collect();
    for part in items(&about["allOf"]) {
        match part["$ref"].as_str() {
            Some(_) => fields.push(SchemaField {
                name: "…".to_owned(),
                kind: kind(part),
                is_required: true,
                description: String::new(),
            }),
            None => fields.extend(self::fields(part)),
        }
    }
    fields
}

/// A schema in a few words, with the name of the one that it refers to.
fn kind(schema: &Value) -> Kind {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return Kind::Schema(name.to_owned());
    }
    if let [single] = items(&schema["allOf"]).collect::<Vec<_>>()[..] {
        return kind(single);
    }
    let choices: Vec<&str> = items(&schema["enum"]).filter_map(Value::as_str).collect();
    if !choices.is_empty() {
        return Kind::Values(choices.into_iter().map(str::to_owned).collect());
    }
    let of = text(&schema["type"]);
    match of.as_str() {
        "array" => Kind::Array(Box::new(kind(&schema["items"]))),
        "object" if schema["additionalProperties"].is_object() => {
            Kind::Map(Box::new(kind(&schema["additionalProperties"])))
        }
        "" => Kind::Plain("any".to_owned()),
        _ => {
            let bounds = ["format", "pattern", "minimum", "maximum", "maxLength", "default"].into_iter();
            let said = bounds.filter_map(|name| match (&schema[name], name) {
                (Value::Null, _) => None,
                // Of a count, which is none the wiser for it.
                (Value::Number(zero), "minimum") if zero.as_u64() == Some(0) => None,
                (Value::String(text), "format" | "pattern") => Some(text.clone()),
                (value, name) => Some(format!("{name} {value}")),
            });
            let said: Vec<String> = said.collect();
            Kind::Plain(if said.is_empty() { of } else { format!("{of}, {}", said.join(", ")) })
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_read_with_its_answers_and_refusals() {
        let document = json!({
            "tags": [{ "name": "jobs", "description": "Jobs" }],
            "paths": { "/v1/jobs/{id}": { "get": {
                "tags": ["jobs"], "operationId": "show_job", "summary": "Show a job", "security": [{ "key": [] }],
                "parameters": [{ "name": "id", "in": "path", "required": true, "description": "The `job`",
                    "schema": { "$ref": "#/components/schemas/JobId" } }],
                "responses": {
                    "200": { "description": "The job", "content": { "application/json": {
                        "schema": { "type": "array", "items": { "type": "integer", "format": "int64", "minimum": 0 } },
                        "example": [1] } } },
                    "404": { "description": "-", "content": { "application/json": {
                        "examples": { "not_found": { "summary": "There is none." } } } } },
                },
                "x-codeSamples": [{ "source": "curl" }],
            } } },
        });

        let reference = read(&document);

        let operation = &reference.tags[0].operations[0];
        assert!(operation.wants_key && operation.method == "GET" && operation.id == "show_job");
        assert_eq!(operation.parameters[0].kind, Kind::Schema("JobId".to_owned()));
        assert_eq!(operation.parameters[0].description, "The <code>job</code>");
        let body = operation.answers[0].body.as_ref().unwrap();
        assert_eq!(body.kind, Some(Kind::Array(Box::new(Kind::Plain("integer, int64".to_owned())))));
        assert_eq!((operation.refusals[0].status.as_str(), operation.refusals[0].code.as_str()), ("404", "not_found"));
    }

    #[test]
    fn a_choice_is_named_by_its_tag() {
        let about = json!({ "oneOf": [{ "type": "object", "required": ["kind"], "properties": {
            "kind": { "type": "string", "enum": ["exact"] } } }] });

        let read = schema("Check", &about);

        assert_eq!(read.choices[0].name, "exact");
        assert!(read.choices[0].fields[0].is_required);
    }
}
