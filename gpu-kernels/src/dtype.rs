//! Types of tensor values, and how a device keeps them.
//!
//! On a device every value takes one 32-bit word, whatever its type, so that one invocation can write one
//! value. An `int64` is therefore kept in 32 bits, and a larger value is refused where it comes in.

use half::{bf16, f16};

/// A type of tensor values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    F32,
    /// Kept and computed as float32.
    F16,
    /// Kept and computed as float32.
    BF16,
    /// Kept in 32 bits.
    I64,
    I32,
    I16,
    I8,
    U32,
    U16,
    U8,
    Bool,
}

/// How a word is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repr {
    F32,
    I32,
    U32,
}

impl Repr {
    /// Its name in WGSL.
    pub fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::U32 => "u32",
        }
    }
}

/// A value that a word cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value {value} at index {index} does not fit 32 bits")]
pub struct OutOfRange {
    pub index: usize,
    pub value: i64,
}

/// Beyond this an int64 constant means "to the end", as exporters write it.
const ENDLESS: i64 = 1 << 60;

impl DType {
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
        Self::U32,
        Self::U16,
        Self::U8,
        Self::Bool,
    ];

    pub fn repr(self) -> Repr {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => Repr::F32,
            Self::I64 | Self::I32 | Self::I16 | Self::I8 => Repr::I32,
            Self::U32 | Self::U16 | Self::U8 | Self::Bool => Repr::U32,
        }
    }

    pub fn is_float(self) -> bool {
        self.repr() == Repr::F32
    }

    /// Bytes of a value in a file.
    pub fn bytes(self) -> usize {
        match self {
            Self::I64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Its name in ONNX and numpy.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U32 => "uint32",
            Self::U16 => "uint16",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// From ONNX's `TensorProto.DataType`. Inside a model float64 is computed as float32.
    pub fn from_onnx(number: i32) -> Option<Self> {
        Some(match number {
            1 | 11 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            12 => Self::U32,
            16 => Self::BF16,
            _ => return None,
        })
    }

    /// Words of little-endian values as a file holds them. A rest shorter than a value is dropped.
    pub fn words(self, bytes: &[u8]) -> Result<Vec<u32>, OutOfRange> {
        Ok(match self {
            Self::F32 | Self::I32 | Self::U32 => {
                bytes.as_chunks().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
            }
            Self::F16 => each(bytes, |chunk| f16::from_le_bytes(chunk).to_f32().to_bits()),
            Self::BF16 => each(bytes, |chunk| bf16::from_le_bytes(chunk).to_f32().to_bits()),
            Self::I16 => each(bytes, |chunk| i32::from(i16::from_le_bytes(chunk)).cast_unsigned()),
            Self::U16 => each(bytes, |chunk| u32::from(u16::from_le_bytes(chunk))),
            Self::I8 => bytes.iter().map(|&byte| i32::from(byte.cast_signed()).cast_unsigned()).collect(),
            Self::U8 => bytes.iter().map(|&byte| u32::from(byte)).collect(),
            Self::Bool => bytes.iter().map(|&byte| u32::from(byte != 0)).collect(),
            Self::I64 => {
                let mut words = Vec::with_capacity(bytes.len() / 8);
                for (index, chunk) in bytes.as_chunks().0.iter().enumerate() {
                    let value = i64::from_le_bytes(*chunk);
                    let word = i32::try_from(value).map_err(|_wide| OutOfRange { index, value })?;
                    words.push(word.cast_unsigned());
                }
                words
            }
        })
    }

    /// Little-endian values as a file holds them.
    pub fn file_bytes(self, words: &[u32]) -> Vec<u8> {
        match self {
            Self::F32 | Self::I32 | Self::U32 => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
            Self::F16 => words.iter().flat_map(|&word| f16::from_f32(f32::from_bits(word)).to_le_bytes()).collect(),
            Self::BF16 => words.iter().flat_map(|&word| bf16::from_f32(f32::from_bits(word)).to_le_bytes()).collect(),
            Self::I64 => words.iter().flat_map(|word| i64::from(word.cast_signed()).to_le_bytes()).collect(),
            Self::I16 | Self::U16 => words.iter().flat_map(|word| low(*word)).collect(),
            Self::I8 | Self::U8 | Self::Bool => words.iter().map(|word| word.to_le_bytes()[0]).collect(),
        }
    }
}

fn low(word: u32) -> [u8; 2] {
    let [a, b, ..] = word.to_le_bytes();
    [a, b]
}

fn each(bytes: &[u8], read: impl Fn([u8; 2]) -> u32) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|chunk| read(*chunk)).collect()
}

/// The word of an int64 that a model stores. A value far outside means "to the end" and is clamped.
pub fn stored_int(value: i64) -> Option<u32> {
    match i32::try_from(value) {
        Ok(word) => Some(word.cast_unsigned()),
        Err(_) if value >= ENDLESS => Some(i32::MAX.cast_unsigned()),
        Err(_) if value <= -ENDLESS => Some(i32::MIN.cast_unsigned()),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_comes_back_as_it_was() {
        for dtype in DType::ALL {
            let bytes: Vec<u8> = match dtype {
                DType::I64 => [-3i64, 0, 7].iter().flat_map(|v| v.to_le_bytes()).collect(),
                DType::Bool => vec![0, 1, 1],
                _ => (0..u8::try_from(dtype.bytes() * 3).unwrap()).collect(),
            };

            assert_eq!(dtype.file_bytes(&dtype.words(&bytes).unwrap()), bytes, "{}", dtype.name());
        }
    }

    #[test]
    fn an_int64_beyond_32_bits_is_refused_with_its_index() {
        let bytes: Vec<u8> = [1i64, 1 << 40].iter().flat_map(|v| v.to_le_bytes()).collect();

        assert_eq!(DType::I64.words(&bytes), Err(OutOfRange { index: 1, value: 1 << 40 }));
        assert_eq!(stored_int(i64::MAX), Some(i32::MAX.cast_unsigned()));
        assert_eq!(stored_int(1 << 40), None);
    }
}
