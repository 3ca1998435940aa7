//! Transforms of a classical model's scores (`post_transform`).

use super::writer::{Writer, int};

pub(super) const WHOLE_CLASSES: &str = "strings have no place on a device; train with whole numbers as classes";

pub(super) fn transform(w: &mut Writer<'_>, x: &str, output: String) {
    let kind = w.attribute("post_transform").map_or("NONE", |attribute| str::from_utf8(&attribute.s).unwrap_or("?"));
    transform_by(w, x, kind, output);
}

pub(super) fn transform_by(w: &mut Writer<'_>, x: &str, kind: &str, output: String) {
    let (op, attributes) = match kind {
        "NONE" => ("Identity", vec![]),
        "LOGISTIC" => ("Sigmoid", vec![]),
        "SOFTMAX" => ("Softmax", vec![int("axis", -1)]),
        _ => return w.refuse("post_transform", "it must be NONE, LOGISTIC or SOFTMAX"),
    };
    w.emit(op, &[x], vec![output], attributes);
}
