//! Shaders as compilers see them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod all_kernels;
mod shaders;
