//! A JSON body read, or what is wrong with which field of it, in words that need no Rust.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

/// Fields of one object that are tried, one by one, for the one at fault.
const TRIED_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is no JSON.
    Syntax { message: String },
    /// It is JSON, and not what the operation reads. The path of the field at fault; empty for the whole.
    Field { field: String, message: String },
}

pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader);
    let ended = read.and_then(|value| match reader.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(serde_path_to_error::Error::new(serde_path_to_error::Track::new().path(), error)),
    });
    ended.map_err(|error| match error.inner().classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            BodyError::Syntax { message: format!("the body is not JSON: {}", error.inner()) }
        }
        Category::Data => describe::<T>(bytes, &error),
    })
}

fn describe<T: DeserializeOwned>(bytes: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) -> BodyError {
    let mut path: Vec<String> = error.path().iter().map(ToString::to_string).collect();
    if let Ok(body) = serde_json::from_slice::<Value>(bytes) {
        find_inside::<T>(&body, &mut path);
    }
    let (message, missing) = plain_words(&without_place(&error.inner().to_string()));
    // A field that is missing is not in the path, and one that is unknown may be.
    path.extend(missing.filter(|name| path.last() != Some(name)));
    BodyError::Field { field: path.join("."), message }
}

/// Serde reads what has a `kind` from a copy, whose paths nobody follows. There the field at fault is the one
/// without which the body has another fault, or none.
fn find_inside<T: DeserializeOwned>(body: &Value, path: &mut Vec<String>) {
    let fault = |body: &Value| serde_json::from_value::<T>(body.clone()).err().map(|error| error.to_string());
    let whole = fault(body);
    // Without any field it would still be missing, so what lacks it is an object inside, or this one.
    let is_missing = whole.as_deref().is_some_and(|fault| fault.starts_with("missing field"));
    while let Some(Value::Object(fields)) = at(body, path)
        && fields.len() <= TRIED_MAX
    {
        let by_kind = fields.keys().filter(|name| *name == "kind");
        let names = fields.iter().filter(|(name, value)| *name != "kind" && (!is_missing || value.is_object()));
        // Without its kind an object is none, whichever field is at fault: that one comes last.
        let names: Vec<String> = names.map(|(name, _)| name).chain(by_kind.filter(|_| !is_missing)).cloned().collect();
        let without = |name: &String| {
            let mut body = body.clone();
            if let Some(Value::Object(fields)) = at_mut(&mut body, path) {
                fields.remove(name);
            }
            body
        };
        let Some(name) = names.into_iter().find(|name| fault(&without(name)) != whole) else { return };
        path.push(name);
    }
}

fn at<'a>(body: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(body, |value, name| value.get(name))
}

fn at_mut<'a>(body: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(body, |value, name| value.get_mut(name))
}

/// Where in the text a value of the wrong kind stands says less than its field.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}

/// Serde's words, and what they say to those who do not write Rust.
const WORDS: &[(&str, &str)] = &[
    ("invalid type: ", "found "),
    ("invalid value: ", "found "),
    ("invalid length ", "found a length of "),
    ("internally tagged enum", "an object with a `kind`:"),
    ("unknown variant ", "there is no "),
    ("unknown field ", "there is no field "),
    ("duplicate field ", "more than one field "),
    (", there are no fields", ""),
    ("expected one of ", "there are "),
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number from 0 to 4294967295"),
    ("expected u64", "expected a whole number from 0 to 18446744073709551615"),
    ("expected i64", "expected a whole number"),
    ("expected f32", "expected a number"),
    ("expected a map", "expected an object"),
    ("found map", "found an object"),
    ("a sequence", "an array"),
    ("found sequence", "found an array"),
    ("a borrowed string", "a string"),
    ("invalid digit found in string", "expected a whole number"),
    ("cannot parse integer from empty string", "expected a whole number"),
    ("number too large to fit in target type", "the number is too large"),
    ("number too small to fit in target type", "the number is too small"),
];

/// A message of serde's in plain words, and the field that it says is missing.
pub(super) fn plain_words(message: &str) -> (String, Option<String>) {
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return (format!("`{name}` is missing"), Some(name.to_owned()));
    }
    let mut plain = message.to_owned();
    for (theirs, ours) in WORDS {
        plain = plain.replace(theirs, ours);
    }
    // What is expected of an object is named after the type that reads it.
    let typed =
        ["expected struct ", "expected an object with a `kind`: "].into_iter().find(|words| plain.contains(words));
    if let Some((before, _)) = typed.and_then(|words| plain.split_once(words)) {
        let object = if plain.contains("`kind`") { "expected an object with a `kind`" } else { "expected an object" };
        plain = format!("{before}{object}");
    }
    (plain, None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::{KernelToCheck, SubmitJob};

    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned>(body: &str, field: &str, message: &str) {
        let Err(BodyError::Field { field: found, message: said }) = parse_json::<T>(body.as_bytes()) else {
            panic!("{body} should be refused for a field")
        };
        assert_eq!((found.as_str(), said.as_str()), (field, message), "{body}");
    }

    fn order(change: impl FnOnce(&mut Value)) -> String {
        let hash = "00".repeat(32);
        let mut order = json!({ "program": {
            "kind": "map", "kernel": hash, "input": hash, "record_bytes": 4, "out_bytes": 4,
            "check": { "kind": "tolerance", "rtol": 0.1, "atol": 0.1 },
        } });
        change(&mut order);
        order.to_string()
    }

    #[test]
    fn a_fault_names_its_field() {
        assert!(parse_json::<SubmitJob>(order(|_| ()).as_bytes()).is_ok());
        let cases: [(&str, Value, &str, &str); 7] = [
            ("/name", json!(1), "name", "found integer `1`, expected a string"),
            ("/program", json!("map"), "program", "found string \"map\", expected an object with a `kind`"),
            ("/program/kind", json!("dance"), "program.kind", "there is no `dance`, expected `infer` or `map`"),
            (
                "/program/fuel",
                json!(-1),
                "program.fuel",
                "found integer `-1`, expected a whole number from 0 to 4294967295",
            ),
            (
                "/program/check",
                json!("exact"),
                "program.check",
                "found string \"exact\", expected an object with a `kind`",
            ),
            ("/program/check/rtol", json!(-1), "program.check.rtol", "a tolerance is finite and not negative"),
            ("/program/kernel", json!("ab"), "program.kernel", "not a BLAKE3 hash in 64 hex digits"),
        ];
        for (place, value, field, message) in cases {
            let body = order(|order| {
                let (parent, name) = place.rsplit_once('/').unwrap();
                order.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
            });
            check::<SubmitJob>(&body, field, message);
        }
    }

    #[test]
    fn a_field_too_few_or_too_many_is_named() {
        check::<SubmitJob>("{}", "program", "`program` is missing");
        let short = order(|order| drop(order["program"].as_object_mut().unwrap().remove("input")));
        check::<SubmitJob>(&short, "program.input", "`input` is missing");
        let message = "there is no field `privcy`, there are `program`, `privacy`, `name`, `limit`, `deadline_seconds`, \
            `file_names`";
        check::<SubmitJob>(&order(|order| order["privcy"] = json!("own")), "privcy", message);
        let long = order(|order| order["program"]["tile_rows"] = json!(1));
        assert!(matches!(
            parse_json::<SubmitJob>(long.as_bytes()),
            Err(BodyError::Field { field, .. }) if field == "program.tile_rows"
        ));
        check::<SubmitJob>(
            &order(|order| order["program"]["check"]["integers"] = json!({ "bits": 8 })),
            "program.check.integers.units",
            "`units` is missing",
        );
        check::<KernelToCheck>("7", "", "found integer `7`, expected an object");
    }

    #[test]
    fn what_is_no_json_has_no_field() {
        for body in ["", "{", &format!("{} x", order(|_| ()))] {
            assert!(matches!(parse_json::<SubmitJob>(body.as_bytes()), Err(BodyError::Syntax { .. })), "{body}");
        }
    }
}
