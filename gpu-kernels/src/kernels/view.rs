//! Views: how the elements of an iteration are found in a buffer.

use super::layout::shader_struct;

/// Most axes of a view. Neighbouring axes that all views of a call walk alike are merged before they are
/// counted.
pub const MAX_RANK: usize = 8;

shader_struct! {
    /// An element's index is `offset + Σ coordinate · stride`.
    #[derive(Default, PartialEq, Eq)]
    pub struct View {
        pub offset: i32,
        pub strides: [i32; MAX_RANK],
    }
}
