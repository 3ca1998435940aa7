//! JSON made from the API's own description, so that whatever a route takes is tried as soon as it is described.

use std::sync::LazyLock;

use edge_api::routes::DESCRIPTION;
use serde_json::{Map, Number, Value, json};

use crate::draw::Draw;

/// Schemas within schemas: deeper ones come out as null.
const DEPTH_MAX: usize = 12;
const ITEMS_MAX: usize = 5;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&DESCRIPTION).expect("a description should be JSON"));

/// Makes values of schemas.
pub(crate) struct Maker<'a> {
    pub(crate) draw: &'a mut Draw,
    /// What to put where a schema asks for an id or a hash: those that the server knows.
    pub(crate) known: &'a [String],
    /// One value in so many is not what its schema says.
    pub(crate) wrong_one_in: usize,
}

impl Maker<'_> {
    /// A value of a schema of the description, by its name.
    pub(crate) fn named(&mut self, name: &str) -> Value {
        self.value(&DOCUMENT["components"]["schemas"][name], 0)
    }

    pub(crate) fn of(&mut self, schema: &Value) -> Value {
        self.value(schema, 0)
    }

    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if self.draw.one_in(self.wrong_one_in) {
            return self.anything(2);
        }
        if let Some(target) = schema["$ref"].as_str() {
            let target = target.trim_start_matches('#');
            return self.value(DOCUMENT.pointer(target).unwrap_or(&Value::Null), depth + 1);
        }
        if let Some(choices) = schema["oneOf"].as_array().filter(|choices| !choices.is_empty()) {
            let choice = self.draw.below(choices.len());
            return self.value(&choices[choice], depth + 1);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            return self.all_of(parts, depth);
        }
        if let Some(names) = schema["enum"].as_array().filter(|names| !names.is_empty()) {
            return self.draw.pick(names).clone();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let len = self.draw.size(ITEMS_MAX);
                (0..len).map(|_| self.value(&schema["items"], depth + 1)).collect()
            }
            Some("integer") => self.integer(schema),
            Some("number") => number(f64::from(self.draw.float())),
            Some("boolean") => self.draw.one_in(2).into(),
            Some("string") => self.string(schema),
            _ => self.anything(2),
        }
    }

    fn all_of(&mut self, parts: &[Value], depth: usize) -> Value {
        let mut all = Map::new();
        for part in parts {
            if let Value::Object(fields) = self.value(part, depth + 1) {
                all.extend(fields);
            }
        }
        Value::Object(all)
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut fields = Map::new();
        let required = |name: &String| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let is_left_out = if required(name) { self.draw.one_in(self.wrong_one_in) } else { self.draw.one_in(2) };
            if !is_left_out {
                fields.insert(name.clone(), self.value(field, depth + 1));
            }
        }
        if schema["additionalProperties"].is_object() {
            for _ in 0..self.draw.size(ITEMS_MAX) {
                let name = self.draw.text(12);
                fields.insert(name, self.value(&schema["additionalProperties"], depth + 1));
            }
        }
        if self.draw.one_in(4 * self.wrong_one_in) {
            let name = self.draw.text(12);
            fields.insert(name, self.anything(1));
        }
        Value::Object(fields)
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let number = self.draw.number();
        let small = schema["maximum"].as_u64().or_else(|| schema["format"].as_str().and_then(largest));
        match small.and_then(|most| most.checked_add(1)) {
            Some(end) if !self.draw.one_in(self.wrong_one_in) => (number % end).into(),
            _ if self.draw.one_in(4) => self.draw.signed().into(),
            _ => number.into(),
        }
    }

    fn string(&mut self, schema: &Value) -> Value {
        let is_id = schema["pattern"].is_string() || schema["format"] == "uuid";
        if is_id && !self.known.is_empty() && !self.draw.one_in(4) {
            let len = schema["pattern"].as_str().and_then(|pattern| {
                pattern.trim_end_matches(['}', '$']).rsplit_once('{').and_then(|(_, len)| len.parse::<usize>().ok())
            });
            let fits = |known: &&String| known.len() == len.unwrap_or(36);
            let fitting: Vec<&String> = self.known.iter().filter(fits).collect();
            if let Some(known) = fitting.get(self.draw.below(fitting.len().max(1))) {
                return known.as_str().into();
            }
        }
        if is_id && !self.draw.one_in(self.wrong_one_in) {
            return self.made_up_id(schema).into();
        }
        let longest = self.draw.pick(&[4, 40, 300, 5000]);
        self.draw.text(longest).into()
    }

    fn made_up_id(&mut self, schema: &Value) -> String {
        match schema["pattern"].as_str() {
            Some(pattern) if pattern.contains("{128}") => wire::Signature(self.draw.array()).to_string(),
            Some(pattern) if pattern.contains("{64}") => wire::BlobHash(self.draw.array()).to_string(),
            Some(_) => wire::LeaseId(self.draw.array()).to_string(),
            None => wire::JobId::from_parts(self.draw.number(), self.draw.array()).to_string(),
        }
    }

    /// JSON of no schema.
    fn anything(&mut self, depth: usize) -> Value {
        match self.draw.below(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => self.draw.one_in(2).into(),
            2 => self.draw.number().into(),
            3 => self.draw.signed().into(),
            4 => number(f64::from(self.draw.float())),
            5 => self.draw.text(40).into(),
            6 => (0..self.draw.size(ITEMS_MAX)).map(|_| self.anything(depth - 1)).collect(),
            _ => json!({ self.draw.text(8): self.anything(depth - 1), "kind": self.draw.text(8) }),
        }
    }
}

fn largest(format: &str) -> Option<u64> {
    Some(match format {
        "int32" => i32::MAX.unsigned_abs().into(),
        "int64" => i64::MAX.unsigned_abs(),
        "uint16" => u16::MAX.into(),
        "uint32" => u32::MAX.into(),
        _ => return None,
    })
}

/// What JSON cannot say is null.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
