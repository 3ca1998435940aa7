//! What a shader's own text is written against: constants, types, parameters, buffers, index arithmetic and
//! the entry point. Described here without a shader language; [`super::wgsl`] writes it in WGSL.

use super::layout::Struct;
use crate::dtype::Repr;

/// The surroundings of one shader. Its parameters are `p`, and begin with `start` and `units`.
pub(super) struct Interface {
    pub(super) params: &'static Struct,
    pub(super) constants: Vec<(&'static str, u32)>,
    /// Types by the names that the text calls them.
    pub(super) types: Vec<(&'static str, Repr)>,
    pub(super) inputs: Vec<Input>,
    /// The values of the buffer `out`.
    pub(super) output: Repr,
    pub(super) views: Views,
    pub(super) entry: Entry,
}

/// A buffer that is read.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) values: Values,
}

/// How a buffer's values are kept.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// One a word.
    Words(Repr),
    /// Weights, read by `<name>_at(i)`. `half`: they are half floats, two a word.
    Weights { repr: Repr, half: bool },
}

/// Views that the parameters hold, all walked over their `shape`: `offsets(i)` gives where element `i` lies
/// in each, by the view's name.
#[derive(Default)]
pub(super) struct Views {
    /// A name, and the field of the parameters that it stands for.
    pub(super) of: Vec<(String, String)>,
    /// How many axes there are, where the shader is for one number of them.
    pub(super) rank: Option<u32>,
}

/// What the shader's text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `run_element(i)`: one invocation an element, and some that lie beyond the last.
    Element,
    /// `run_workgroup(unit, lane)`: a workgroup together.
    Workgroup,
}

impl Interface {
    /// Parameters and a result, and nothing that is read.
    pub(super) fn new(params: &'static Struct, entry: Entry, output: Repr) -> Self {
        let (constants, types, inputs) = (Vec::new(), Vec::new(), Vec::new());
        Self { params, constants, types, inputs, output, views: Views::default(), entry }
    }
}

impl Input {
    pub(super) fn words(name: &str, repr: Repr) -> Self {
        Self { name: name.to_owned(), values: Values::Words(repr) }
    }

    pub(super) fn weights(name: &str, repr: Repr, half: bool) -> Self {
        Self { name: name.to_owned(), values: Values::Weights { repr, half } }
    }
}

impl Views {
    /// Fields of the parameters, by their own names.
    pub(super) fn named(fields: &[&str]) -> Self {
        Self { of: fields.iter().map(|&field| (field.to_owned(), field.to_owned())).collect(), rank: None }
    }
}
