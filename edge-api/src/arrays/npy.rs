//! The head of a `.npy` file: what its rows are and where they begin.

use std::io::Cursor;

use npyz::{DType, NpyHeader, Order, TypeStr};

/// Bytes read to find the head. Version 1 heads end within 64 KiB.
pub const HEAD_BYTES: u64 = 65_546;

/// Of a header, behind its length.
const HEADER_BYTES_MAX: u64 = HEAD_BYTES - 12;

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    pub dtype: wire::DType,
    pub shape: Vec<u64>,
    /// Where the values begin, in bytes.
    pub offset: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NpyError {
    #[error("the input is not a .npy file; write it with numpy.save")]
    NotNpy,
    #[error(
        "the input's header names no plain number type (arrays of objects have none); save it with array.astype('<f4')"
    )]
    Header,
    #[error("the input ends within its .npy header; it is cut short, so write or upload it again")]
    HeaderCutShort,
    #[error("the input's header says that it has {bytes} bytes; at most {most} are read")]
    HeaderTooLong { bytes: u64, most: u64 },
    #[error("the input is a .npy file of version {version}; versions 1, 2 and 3 are read")]
    Version { version: u8 },
    #[error("the input's shape {shape} has a negative size; sizes are counts")]
    NegativeSize { shape: String },
    #[error(
        "the input holds {found}; expected float32, float16, int64, int32, int16, int8, uint32, uint16, uint8 or bool, little-endian: convert it (--cast; POST /v1/arrays), or save it with array.astype('<f4')"
    )]
    DType { found: String },
    #[error(
        "the input is stored column by column (Fortran order); convert it with POST /v1/arrays, or save numpy.ascontiguousarray(array)"
    )]
    FortranOrder,
    #[error("the input has {found} dimensions; at most 8")]
    Dimensions { found: usize },
    #[error("the input's shape {shape:?} overflows")]
    Overflow { shape: Vec<u64> },
    #[error("the input's shape needs {expected} bytes and the file has {found}; it is cut short or padded")]
    Size { expected: u64, found: u64 },
}

/// Most dimensions of an array.
const DIMENSIONS_MAX: usize = 8;
/// Brackets that a header opens: its dictionary, its shape, and the unit of a type that is refused by its name.
const BRACKETS_MAX: usize = 3;

/// An array of plain numbers, however its file lays them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyArray {
    pub value: TypeStr,
    pub shape: Vec<u64>,
    /// The first axis runs fastest, and there are several.
    pub is_fortran: bool,
    pub offset: u64,
}

/// Reads the head of a file of `size` bytes, of which `head` is the beginning: an array that a job takes as it lies.
pub fn parse(head: &[u8], size: u64) -> Result<Array, NpyError> {
    let AnyArray { value, shape, is_fortran, offset } = parse_any(head, size)?;
    let descr = value.to_string();
    let dtype = wire::DType::ALL.into_iter().find(|dtype| dtype.descr() == descr);
    let dtype = dtype.ok_or_else(|| NpyError::DType { found: format!("'{descr}'") })?;
    if is_fortran {
        return Err(NpyError::FortranOrder);
    }
    Ok(Array { dtype, shape, offset })
}

/// The same of an array that may have to be converted.
pub fn parse_any(head: &[u8], size: u64) -> Result<AnyArray, NpyError> {
    if !head.starts_with(MAGIC) {
        return Err(NpyError::NotNpy);
    }
    // The reader makes room for as much as a file says that its header has, and reads what stands in brackets up to
    // three times at each level. Whether one is closed, or stands in a string, it knows better than we would.
    let text = header_text(head)?;
    if text.iter().filter(|byte| b"([{".contains(byte)).count() > BRACKETS_MAX {
        return Err(NpyError::Header);
    }
    let mut cursor = Cursor::new(head);
    let header = NpyHeader::from_reader(&mut cursor).map_err(|_malformed| header_fault(text))?;
    let offset = cursor.position();
    let DType::Plain(value) = header.dtype() else { return Err(NpyError::DType { found: header.dtype().descr() }) };
    let shape = header.shape().to_vec();
    if shape.len() > DIMENSIONS_MAX {
        return Err(NpyError::Dimensions { found: shape.len() });
    }
    let is_fortran = header.order() == Order::Fortran && shape.len() > 1;
    let value_bytes = value.num_bytes().and_then(|bytes| u64::try_from(bytes).ok());
    let bytes = value_bytes.and_then(|one| shape.iter().try_fold(one, |len, &size| len.checked_mul(size)));
    let expected = bytes.and_then(|len| len.checked_add(offset));
    let expected = expected.ok_or_else(|| NpyError::Overflow { shape: shape.clone() })?;
    if expected != size {
        return Err(NpyError::Size { expected, found: size });
    }
    Ok(AnyArray { value, shape, is_fortran, offset })
}

/// What is wrong with a header that cannot be read.
fn header_fault(text: &[u8]) -> NpyError {
    let text = String::from_utf8_lossy(text);
    let shape = text.split_once("'shape':").and_then(|(_, rest)| rest.split_inclusive(')').next());
    match shape.filter(|shape| shape.contains('-')) {
        Some(shape) => NpyError::NegativeSize { shape: shape.trim().to_owned() },
        None => NpyError::Header,
    }
}

/// A version, then the header's length in two bytes, or in four from version 2 on.
/// See <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
fn header_text(head: &[u8]) -> Result<&[u8], NpyError> {
    let behind = head.get(MAGIC.len()..).and_then(<[u8]>::split_first_chunk::<2>);
    let (&[version, _], rest) = behind.ok_or(NpyError::HeaderCutShort)?;
    let said = match version {
        1 => rest.split_first_chunk().map(|(len, text)| (u32::from(u16::from_le_bytes(*len)), text)),
        2 | 3 => rest.split_first_chunk().map(|(len, text)| (u32::from_le_bytes(*len), text)),
        version => return Err(NpyError::Version { version }),
    };
    let (len, text) = said.ok_or(NpyError::HeaderCutShort)?;
    if u64::from(len) > HEADER_BYTES_MAX {
        return Err(NpyError::HeaderTooLong { bytes: len.into(), most: HEADER_BYTES_MAX });
    }
    usize::try_from(len).ok().and_then(|len| text.get(..len)).ok_or(NpyError::HeaderCutShort)
}

/// The head of a file of `shape`.
pub fn head(dtype: wire::DType, shape: &[u64]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let descr = dtype.descr();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    // The values begin at a multiple of 64, and the line ends in a newline.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let len = u16::try_from(text.len()).expect("a shape of few sizes should be short");
    [b"\x93NUMPY\x01\x00".as_slice(), &len.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(descr: &str, fortran: &str, shape: &str, values: usize) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let len = u16::try_from(text.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), &vec![0; 4 * values]].concat()
    }

    #[track_caller]
    fn refusal(bytes: &[u8]) -> NpyError {
        parse(bytes, u64::try_from(bytes.len()).unwrap()).expect_err("the file should be refused")
    }

    #[test]
    fn what_we_write_we_read() {
        for shape in [vec![], vec![3], vec![3, 4], vec![1797, 1, 8, 8]] {
            for dtype in wire::DType::ALL {
                let mut bytes = head(dtype, &shape);
                let offset = u64::try_from(bytes.len()).unwrap();
                let len = shape.iter().product::<u64>();
                bytes.extend(vec![0; usize::try_from(dtype.bytes() * len).unwrap()]);

                let array = parse(&bytes, u64::try_from(bytes.len()).unwrap()).unwrap();

                assert_eq!(array, Array { dtype, shape: shape.clone(), offset });
                assert_eq!(offset % 64, 0);
            }
        }
    }

    #[test]
    fn each_fault_of_a_file_is_a_refusal_of_its_own() {
        assert_eq!(refusal(b"PK\x03\x04 not an array"), NpyError::NotNpy);
        assert_eq!(refusal(b""), NpyError::NotNpy);
        assert_eq!(refusal(&file("<f8", "False", "(2,)", 4)), NpyError::DType { found: "'<f8'".into() });
        assert_eq!(refusal(&file(">f4", "False", "(2,)", 2)), NpyError::DType { found: "'>f4'".into() });
        assert_eq!(refusal(&file("|O", "False", "(2,)", 2)), NpyError::Header);
        let whole = file("<f4", "False", "(2,)", 2);
        for len in 6..whole.len() - 8 {
            assert_eq!(refusal(&whole[..len]), NpyError::HeaderCutShort, "{len} bytes");
        }
        let negative = NpyError::NegativeSize { shape: "(2, -3)".into() };
        assert_eq!(refusal(&file("<f4", "False", "(2, -3)", 6)), negative);
        assert_eq!(refusal(&file("<f4", "True", "(2, 3)", 6)), NpyError::FortranOrder);
        let deep = format!("({})", "1, ".repeat(9));
        assert_eq!(refusal(&file("<f4", "False", &deep, 1)), NpyError::Dimensions { found: 9 });
        assert!(matches!(refusal(&file("<f4", "False", "(4294967296, 4294967296)", 0)), NpyError::Overflow { .. }));
        assert!(matches!(refusal(&file("<f4", "False", "(2, 3)", 5)), NpyError::Size { .. }));
        assert!(matches!(refusal(&file("<f4", "False", "(2, 3)", 7)), NpyError::Size { .. }));
    }

    #[test]
    fn a_header_is_refused_at_once_however_long_or_deep_it_says_it_is() {
        let begin = |version: u8, len: u32| [MAGIC, &[version, 0], &len.to_le_bytes()].concat();
        for (version, bytes) in [(2, u32::MAX), (3, 1 << 31), (2, 100_000_000)] {
            let most = HEADER_BYTES_MAX;
            assert_eq!(refusal(&begin(version, bytes)), NpyError::HeaderTooLong { bytes: bytes.into(), most });
        }
        assert_eq!(refusal(&begin(2, 1000)), NpyError::HeaderCutShort);
        for version in [0, 4, 9] {
            assert_eq!(refusal(&begin(version, 10)), NpyError::Version { version });
        }

        for deep in ["[", "{", "(1,", "{(", "[{"] {
            let deep = deep.repeat(1000);
            assert_eq!(refusal(&file("<f4", "False", &deep, 0)), NpyError::Header, "{}", &deep[..2]);
        }
        let quoted = "[']',".repeat(100);
        assert_eq!(refusal(&file("<f4", "False", &quoted, 0)), NpyError::Header);
        let time = NpyError::DType { found: "'<M8[ns]'".into() };
        assert_eq!(refusal(&file("<M8[ns]", "False", "(2,)", 4)), time);
    }

    proptest! {
        /// What is read of a damaged file is within it, or refused; and nothing panics.
        #[test]
        fn no_damage_makes_it_panic(
            damage in prop::collection::vec((0usize..160, any::<u8>()), 0..6),
            cut in prop::option::of(0usize..160),
            shape in "[(]([0-9]{1,20}, ){0,10}[)]",
        ) {
            let mut bytes = file("<f4", "False", &shape, 6);
            for (place, byte) in damage {
                if let Some(slot) = bytes.get_mut(place) {
                    *slot = byte;
                }
            }
            bytes.truncate(cut.unwrap_or(bytes.len()));
            let size = u64::try_from(bytes.len()).unwrap();
            if let Ok(array) = parse(&bytes, size) {
                let values = array.shape.iter().product::<u64>();
                prop_assert_eq!(array.offset + values * array.dtype.bytes(), size);
            }
        }
    }
}
