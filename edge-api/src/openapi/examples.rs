//! Examples of what the description says: values from the schemas' own, and a command for each operation.

use serde_json::{Map, Value, json};

/// Where examples are asked, until the server that shows them writes its own address in.
pub const SERVER: &str = "https://tessera.example";

/// An example of a schema: its own, or put together from those of its parts. `None` where one is missing.
pub fn value(document: &Value, schema: &Value) -> Option<Value> {
    if let Some(target) = schema["$ref"].as_str() {
        return value(document, document.pointer(target.strip_prefix('#')?)?);
    }
    let own = [&schema["example"], &schema["examples"][0], &schema["default"], &schema["enum"][0]];
    if let Some(own) = own.into_iter().find(|own| !own.is_null()) {
        return Some(own.clone());
    }
    if let Some(first) = schema["oneOf"].get(0) {
        return value(document, first);
    }
    if let Some([single]) = schema["allOf"].as_array().map(Vec::as_slice) {
        return value(document, single);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| match value(document, part)? {
            Value::Object(fields) => Some(fields),
            _ => None,
        });
        return Some(Value::Object(parts.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()));
    }
    match schema["type"].as_str()? {
        "array" => Some(json!([value(document, &schema["items"])?])),
        "boolean" => Some(json!(true)),
        "object" => {
            let properties = schema["properties"].as_object()?.iter();
            let values = properties.map(|(name, schema)| Some((name.clone(), value(document, schema)?)));
            values.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}

/// The operation as a command. `None` where a parameter has no example.
pub fn command(document: &Value, method: &str, path: &str, operation: &Value) -> Option<String> {
    let mut address = format!("{SERVER}{path}");
    let mut headers = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str()?;
        let is_needed = parameter["required"] == true;
        let example = [&parameter["example"], &parameter["schema"]["example"]].into_iter().find(|own| !own.is_null());
        let example = example.cloned().or_else(|| value(document, &parameter["schema"]));
        let text = example.map(|example| example.as_str().map_or_else(|| example.to_string(), str::to_owned));
        match parameter["in"].as_str()? {
            "path" => address = address.replace(&format!("{{{name}}}"), &text?),
            "query" if is_needed => {
                let joint = if address.contains('?') { '&' } else { '?' };
                address = format!("{address}{joint}{name}={}", text?);
            }
            "header" => headers.push(format!("{name}: {}", text?)),
            _ => {}
        }
    }
    let mut lines = vec![match method {
        "get" => format!("curl '{address}'"),
        _ => format!("curl -X {} '{address}'", method.to_uppercase()),
    }];
    if !operation["security"].is_null() {
        headers.push("Authorization: Bearer $TESSERA_KEY".to_owned());
    }
    // The key is the shell's to fill in, the rest is taken as it stands.
    lines.extend(headers.iter().map(|header| format!("-H \"{header}\"")));
    let content = operation["requestBody"]["content"].as_object();
    if let Some((kind, media)) = content.and_then(|content| content.iter().next()) {
        lines.push(format!("-H 'Content-Type: {kind}'"));
        lines.push(if media["example"].is_null() {
            "--data-binary @file".to_owned()
        } else {
            format!("-d '{}'", media["example"].to_string().replace('\'', r"'\''"))
        });
    }
    let is_binary = operation["responses"]["200"]["content"].get("application/octet-stream").is_some();
    if is_binary {
        lines.push("-o file".to_owned());
    }
    Some(lines.join(" \\\n  "))
}
