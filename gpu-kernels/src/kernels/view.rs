//! How an iteration walks a buffer.

use super::layout::shader_struct;

/// Most axes of a tensor that a shader walks, after neighbours that go together were merged.
pub const MAX_RANK: usize = 8;

shader_struct! {
    /// Where the elements of an iteration lie in a buffer.
    #[derive(Default, PartialEq, Eq)]
    pub struct View {
        pub offset: i32,
        pub strides: [i32; MAX_RANK],
    }
}
