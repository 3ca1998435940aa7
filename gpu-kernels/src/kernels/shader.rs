//! The text around a shader's own.

use crate::dtype::Repr;

/// A kernel's text with what all of them share.
pub(super) fn whole(body: &str) -> String {
    format!("{}\n{body}", include_str!("prelude.wgsl"))
}

/// A shader over values of one representation, called `T` in it.
pub(super) fn typed(repr: Repr, body: &str) -> String {
    format!("alias T = {};\n{body}", repr.wgsl())
}

/// The binding of weights called `name`, and `{name}_at`, which reads one of them.
pub(super) fn weights(binding: u32, name: &str, half: bool) -> String {
    if half {
        format!(
            "@group(0) @binding({binding}) var<storage, read> {name}: array<u32>;\nfn {name}_at(i: u32) -> f32 {{\n  \
             let pair = unpack2x16float({name}[i >> 1u]);\n  return select(pair.x, pair.y, (i & 1u) == 1u);\n}}"
        )
    } else {
        format!(
            "@group(0) @binding({binding}) var<storage, read> {name}: array<T>;\nfn {name}_at(i: u32) -> T {{ return {name}[i]; }}"
        )
    }
}
