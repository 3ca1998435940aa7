//! Structs that the host fills and shaders read. Each is written once, as a Rust struct inside
//! [`shader_struct`]; its table of fields is what a shader language's text is made from.

use crate::dtype::Repr;

/// The type of a field: words of 32 bits, so that Rust and every shader language lay it out alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Scalar(Repr),
    Array(&'static Self, usize),
    Struct(&'static Struct),
}

/// A struct's table of fields, in order and without gaps.
#[derive(Debug, PartialEq, Eq)]
pub struct Struct {
    pub name: &'static str,
    pub fields: &'static [(&'static str, Type)],
}

impl Type {
    /// Words of a value.
    pub const fn words(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::Array(element, len) => element.words() * *len,
            Self::Struct(inner) => inner.words(),
        }
    }
}

impl Struct {
    /// Words of a value.
    pub const fn words(&self) -> usize {
        let (mut words, mut field) = (0, 0);
        while field < self.fields.len() {
            words += self.fields[field].1.words();
            field += 1;
        }
        words
    }
}

/// A Rust type that a shader reads.
pub trait ShaderType {
    const TYPE: Type;
}

impl ShaderType for u32 {
    const TYPE: Type = Type::Scalar(Repr::U32);
}

impl ShaderType for i32 {
    const TYPE: Type = Type::Scalar(Repr::I32);
}

impl ShaderType for f32 {
    const TYPE: Type = Type::Scalar(Repr::F32);
}

impl<T: ShaderType, const N: usize> ShaderType for [T; N] {
    const TYPE: Type = Type::Array(&T::TYPE, N);
}

/// A struct of the host, and the same for shaders.
macro_rules! shader_struct {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)* }
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_attribute])* pub $field: $type,)* }

        impl $name {
            /// Its table of fields.
            pub const LAYOUT: $crate::kernels::layout::Struct = $crate::kernels::layout::Struct {
                name: stringify!($name),
                fields: &[
                    $((stringify!($field), <$type as $crate::kernels::layout::ShaderType>::TYPE),)*
                ],
            };
        }

        impl $crate::kernels::layout::ShaderType for $name {
            const TYPE: $crate::kernels::layout::Type = $crate::kernels::layout::Type::Struct(&$name::LAYOUT);
        }

        const _: () = assert!(size_of::<$name>() == 4 * $name::LAYOUT.words(), "Rust has left a gap");
    };
}

pub(super) use shader_struct;
