//! The instrumented tree as WGSL that means the same to naga and to a browser's compiler.
//!
//! naga's writer leaves out `@size` and `@align`, and writes the shortest decimal that reads back as the same
//! float32, which for the largest one lies above it. Both are put right in its text.

use naga::back::wgsl::WriterFlags;
use naga::valid::ModuleInfo;
use naga::{Module, StructMember, TypeInner};

/// WGSL of a validated module.
pub(super) fn write(module: &Module, info: &ModuleInfo) -> Result<String, String> {
    let text = naga::back::wgsl::write_string(module, info, WriterFlags::empty()).map_err(|error| error.to_string())?;
    Ok(exact_floats(&sized_members(module, &text)?))
}

/// The structures that a text declares, in order.
fn structures(module: &Module) -> impl Iterator<Item = (&[StructMember], u32)> {
    let built_in: Vec<_> = module.special_types.predeclared_types.values().copied().collect();
    module.types.iter().filter_map(move |(handle, ty)| match &ty.inner {
        TypeInner::Struct { members, span } if !built_in.contains(&handle) => Some((&members[..], *span)),
        _ => None,
    })
}

/// Says of each member how far it is to the next, which is where padding was asked for. Offsets fit the types'
/// own alignments already, so sizes alone tell the whole layout.
fn sized_members(module: &Module, text: &str) -> Result<String, String> {
    let mut structures = structures(module);
    let mut sizes = Vec::new().into_iter();
    let mut sized = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        if line.starts_with("struct ") {
            let (members, span) = structures.next().ok_or("a structure more than there are types")?;
            sizes = member_sizes(module, members, span).into_iter();
        } else if sizes.len() > 0
            && let Some(member) = line.strip_prefix("    ")
            && let Some(size) = sizes.next().flatten()
        {
            sized.extend(["    @size(", &size.to_string(), ") ", member, "\n"]);
            continue;
        }
        sized.push_str(line);
        sized.push('\n');
    }
    Ok(sized)
}

/// Of each member, its size where that is not its type's own.
fn member_sizes(module: &Module, members: &[StructMember], span: u32) -> Vec<Option<u32>> {
    // What `main` is given lies in no memory.
    if members.iter().any(|member| member.binding.is_some()) {
        return vec![None; members.len()];
    }
    let ends = members.iter().skip(1).map(|member| member.offset).chain([span]);
    let size = |member: &StructMember, end: u32| {
        let size = end - member.offset;
        (module.types[member.ty].inner.size(module.to_ctx()) != size).then_some(size)
    };
    members.iter().zip(ends).map(|(member, end)| size(member, end)).collect()
}

/// Where every member of every structure lies, to compare.
pub(super) fn layout(module: &Module) -> Vec<(Vec<u32>, u32)> {
    structures(module).map(|(members, span)| (members.iter().map(|member| member.offset).collect(), span)).collect()
}

/// Writes each float32 by the digits of the same float64, which every reader rounds to the same float32.
fn exact_floats(text: &str) -> String {
    let mut exact = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c == '_' || c.is_alphanumeric();
        let len = match first {
            '0'..='9' => rest.find(|c| !is_word(c) && c != '.').unwrap_or(rest.len()),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(len);
        match token.strip_suffix('f').filter(|_| first.is_ascii_digit()).and_then(|digits| digits.parse::<f32>().ok()) {
            Some(value) => exact.extend([format!("{:e}", f64::from(value)).as_str(), "f"]),
            None => exact.push_str(token),
        }
        rest = after;
    }
    exact
}
