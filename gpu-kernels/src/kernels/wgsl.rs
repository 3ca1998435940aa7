//! A shader's whole text in WGSL.

use super::interface::{Entry, Input, Interface, Values, Views};
use super::layout::{Struct, Type};
use super::workgroup::GROUP;

/// WGSL lets a compiler assume that no NaN exists, so the test looks at the bits.
const IS_NAN: &str = "fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }\n";

/// A dispatch holds `units` workgroups from `start`, laid out in x, then y: one dimension holds 65,535 at most.
const MAIN: &str = "@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = p.start + group.y * groups.x + group.x;
  if (unit >= p.start + p.units) { return; }
";

/// The surroundings that `interface` describes, then `body`.
pub(super) fn shader(interface: &Interface, body: &str) -> String {
    let mut text = String::new();
    constant(&mut text, "GROUP", GROUP);
    for (name, value) in &interface.constants {
        constant(&mut text, name, *value);
    }
    for (name, repr) in &interface.types {
        push(&mut text, &["alias ", name, " = ", repr.wgsl(), ";\n"]);
    }
    structs(&mut text, interface.params);
    binding(&mut text, 0, "read", "p", interface.params.name);
    let mut number = 1;
    for Input { name, values } in &interface.inputs {
        let (repr, half) = match *values {
            Values::Words(repr) => (repr, false),
            Values::Weights { repr, half } => {
                reader(&mut text, name, repr.wgsl(), half);
                (repr, half)
            }
        };
        array(&mut text, number, "read", name, if half { "u32" } else { repr.wgsl() });
        number += 1;
    }
    array(&mut text, number, "read_write", "out", interface.output.wgsl());
    text.push_str(IS_NAN);
    if !interface.views.of.is_empty() {
        offsets(&mut text, &interface.views);
    }
    text.push_str(MAIN);
    text.push_str(match interface.entry {
        Entry::Element => "  run_element(unit * GROUP + lane);\n}\n",
        Entry::Workgroup => "  run_workgroup(unit, lane);\n}\n",
    });
    text.push_str(body);
    text
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

fn constant(text: &mut String, name: &str, value: u32) {
    push(text, &["const ", name, ": u32 = ", &value.to_string(), "u;\n"]);
}

/// A struct, after those that it holds.
fn structs(text: &mut String, layout: &Struct) {
    let mut written: Vec<&str> = Vec::new();
    for (_, field) in layout.fields {
        if let Some(inner) = inner_struct(*field).filter(|inner| !written.contains(&inner.name)) {
            structs(text, inner);
            written.push(inner.name);
        }
    }
    push(text, &["struct ", layout.name, " {"]);
    for (name, field) in layout.fields {
        push(text, &[" ", name, ": ", &type_name(*field), ","]);
    }
    text.push_str(" }\n");
}

fn inner_struct(field: Type) -> Option<&'static Struct> {
    match field {
        Type::Scalar(_) => None,
        Type::Array(element, _) => inner_struct(*element),
        Type::Struct(inner) => Some(inner),
    }
}

fn type_name(field: Type) -> String {
    match field {
        Type::Scalar(repr) => repr.wgsl().to_owned(),
        Type::Array(element, len) => ["array<", &type_name(*element), ", ", &len.to_string(), ">"].concat(),
        Type::Struct(inner) => inner.name.to_owned(),
    }
}

fn array(text: &mut String, number: u32, access: &str, name: &str, element: &str) {
    binding(text, number, access, name, &["array<", element, ">"].concat());
}

fn binding(text: &mut String, number: u32, access: &str, name: &str, kind: &str) {
    let number = number.to_string();
    push(text, &["@group(0) @binding(", &number, ") var<storage, ", access, "> ", name, ": ", kind, ";\n"]);
}

/// `<name>_at(i)`, which reads one weight.
fn reader(text: &mut String, name: &str, element: &str, half: bool) {
    if half {
        push(text, &["fn ", name, "_at(i: u32) -> f32 {\n  let pair = unpack2x16float(", name, "[i >> 1u]);\n"]);
        text.push_str("  return select(pair.x, pair.y, (i & 1u) == 1u);\n}\n");
    } else {
        push(text, &["fn ", name, "_at(i: u32) -> ", element, " { return ", name, "[i]; }\n"]);
    }
}

/// `offsets(i)`, by the coordinates of element `i` from the innermost axis on.
fn offsets(text: &mut String, views: &Views) {
    text.push_str("struct Offsets {");
    for (name, _) in &views.of {
        push(text, &[" ", name, ": i32,"]);
    }
    text.push_str(" }\nfn offsets(i: u32) -> Offsets {\n  var rest = i;\n  var found: Offsets;\n");
    for (name, view) in &views.of {
        push(text, &["  found.", name, " = p.", view, ".offset;\n"]);
    }
    if let Some(rank) = views.rank {
        // Known axes are written out, and the outermost needs no remainder.
        for axis in (0..rank).rev() {
            let axis_text = axis.to_string();
            let coordinate = if axis == 0 { "rest".to_owned() } else { ["rest % p.shape[", &axis_text, "]"].concat() };
            step(text, views, &axis_text, &coordinate);
        }
    } else {
        text.push_str("  for (var d = p.rank; d > 0u; d--) {\n");
        step(text, views, "d - 1u", "rest % p.shape[d - 1u]");
        text.push_str("  }\n");
    }
    text.push_str("  return found;\n}\n");
}

/// Moves every offset along one axis.
fn step(text: &mut String, views: &Views, axis: &str, coordinate: &str) {
    push(text, &["  { let c = i32(", coordinate, ");\n"]);
    for (name, view) in &views.of {
        push(text, &["    found.", name, " += c * p.", view, ".strides[", axis, "];\n"]);
    }
    push(text, &["    rest /= p.shape[", axis, "]; }\n"]);
}
