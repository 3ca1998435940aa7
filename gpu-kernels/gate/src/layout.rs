//! Where naga lays the members of a structure, against the language.
//!
//! `@align` on a member raises the alignment of its structure. naga forgets that as soon as the structure lies
//! in another one, and the offsets that follow are too small.

use std::collections::HashSet;

use naga::proc::Layouter;
use naga::{Handle, Module, Type, TypeInner};

use crate::error::GateError;

/// Refuses a structure that holds one whose alignment was raised.
pub(super) fn check(source: &str, module: &Module) -> Result<(), GateError> {
    let mut layouter = Layouter::default();
    if layouter.update(module.to_ctx()).is_err() {
        return Ok(());
    }
    let mut raised: HashSet<Handle<Type>> = HashSet::new();
    for (handle, ty) in module.types.iter() {
        match &ty.inner {
            TypeInner::Array { base, .. } if raised.contains(base) => drop(raised.insert(handle)),
            TypeInner::Struct { members, .. } => {
                let span = module.types.get_span(handle);
                if let Some(member) = members.iter().find(|member| raised.contains(&member.ty)) {
                    let name = member.name.as_deref().unwrap_or_default();
                    let message = format!(
                        "'{name}' holds a structure whose alignment is raised by @align, which devices lay out \
                         differently; say @size in it, or write its padding as members"
                    );
                    return Err(GateError::at(source, span, message));
                }
                let text = span.to_range().and_then(|range| source.get(range)).unwrap_or_default();
                let own = layouter[handle].alignment;
                if aligns(text).any(|align| align.is_none_or(|align| own < align)) {
                    raised.insert(handle);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The `@align`s in a structure's text; none where its number is more than digits.
fn aligns(text: &str) -> impl Iterator<Item = Option<naga::proc::Alignment>> {
    let word = |c: char| c == '_' || c.is_alphanumeric();
    text.match_indices("align").filter_map(move |(at, found)| {
        let after = text[at + found.len()..].trim_start();
        let is_part = text[..at].ends_with(word) || text[at + found.len()..].starts_with(word);
        // A member may be called so.
        (!is_part && !after.starts_with(':')).then(|| {
            let number = after.strip_prefix('(')?.split_once(')')?.0.trim();
            naga::proc::Alignment::new(number.trim_end_matches(['u', 'i']).parse().ok()?)
        })
    })
}
