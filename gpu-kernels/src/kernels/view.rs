//! How an iteration walks a buffer.

/// Most axes of a tensor that a shader walks, after neighbours that go together were merged.
pub const MAX_RANK: usize = 8;

/// Where the elements of an iteration lie in a buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct View {
    pub offset: i32,
    pub strides: [i32; MAX_RANK],
}
