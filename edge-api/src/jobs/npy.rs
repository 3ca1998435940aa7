//! The head of a `.npy` file: what its rows are and where they begin.

use std::io::Cursor;

use npyz::{DType, NpyHeader, Order};

/// Bytes read to find the head. Version 1 heads end within 64 KiB.
pub const HEAD_BYTES: u64 = 65_546;

/// An array of float32 rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    pub rows: u64,
    pub row_shape: Vec<u64>,
    /// Where the values begin, in bytes.
    pub offset: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    #[error("the input is not a .npy file; write it with numpy.save")]
    NotNpy,
    #[error(
        "the input's header names no plain number type (arrays of objects have none); save it with array.astype('<f4')"
    )]
    Header,
    #[error("the input holds {found}; expected float32 ('<f4'): save it with array.astype('<f4')")]
    DType { found: String },
    #[error("the input is stored column by column (Fortran order); save numpy.ascontiguousarray(array)")]
    FortranOrder,
    #[error("the input is a single value; expected an array whose first dimension counts rows")]
    NoDimension,
    #[error("the input has no rows")]
    NoRows,
    #[error("the input's shape {shape:?} has no values in a row")]
    EmptyRow { shape: Vec<u64> },
    #[error("the input's shape {shape:?} overflows")]
    Overflow { shape: Vec<u64> },
    #[error("the input's shape needs {expected} bytes and the file has {found}; it is cut short or padded")]
    Size { expected: u64, found: u64 },
}

/// Reads the head of a file of `size` bytes, of which `head` is the beginning.
pub fn parse(head: &[u8], size: u64) -> Result<Rows, NpyError> {
    let mut cursor = Cursor::new(head);
    let malformed = if head.starts_with(b"\x93NUMPY") { NpyError::Header } else { NpyError::NotNpy };
    let header = NpyHeader::from_reader(&mut cursor).map_err(|_malformed| malformed)?;
    let offset = cursor.position();
    match header.dtype() {
        DType::Plain(kind) if kind.to_string() == "<f4" => {}
        other => return Err(NpyError::DType { found: other.descr() }),
    }
    let shape = header.shape().to_vec();
    let Some((&rows, row_shape)) = shape.split_first() else {
        return Err(NpyError::NoDimension);
    };
    if header.order() == Order::Fortran && shape.len() > 1 {
        return Err(NpyError::FortranOrder);
    }
    let row_len = row_shape.iter().try_fold(4u64, |len, &size| len.checked_mul(size));
    let expected = row_len.and_then(|len| len.checked_mul(rows)).and_then(|len| len.checked_add(offset));
    let expected = expected.ok_or_else(|| NpyError::Overflow { shape: shape.clone() })?;
    if rows == 0 {
        return Err(NpyError::NoRows);
    }
    if row_len == Some(0) {
        return Err(NpyError::EmptyRow { shape });
    }
    if expected != size {
        return Err(NpyError::Size { expected, found: size });
    }
    Ok(Rows { rows, row_shape: row_shape.to_vec(), offset })
}

/// The head of a float32 file of `shape`.
pub fn head(shape: &[u64]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    // The values begin at a multiple of 64, and the line ends in a newline.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let len = u16::try_from(text.len()).expect("a shape of at most 8 sizes should be short");
    [b"\x93NUMPY\x01\x00".as_slice(), &len.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
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
        for shape in [vec![3], vec![3, 4], vec![1797, 1, 8, 8]] {
            let mut bytes = head(&shape);
            let offset = u64::try_from(bytes.len()).unwrap();
            let len = shape.iter().product::<u64>();
            bytes.extend(vec![0; usize::try_from(4 * len).unwrap()]);

            let rows = parse(&bytes, u64::try_from(bytes.len()).unwrap()).unwrap();

            assert_eq!(rows, Rows { rows: shape[0], row_shape: shape[1..].to_vec(), offset });
            assert_eq!(offset % 64, 0);
        }
    }

    #[test]
    fn each_fault_of_a_file_is_a_refusal_of_its_own() {
        assert_eq!(refusal(b"PK\x03\x04 not an array"), NpyError::NotNpy);
        assert_eq!(refusal(b""), NpyError::NotNpy);
        assert_eq!(refusal(&file("<f8", "False", "(2,)", 4)), NpyError::DType { found: "'<f8'".into() });
        assert_eq!(refusal(&file(">f4", "False", "(2,)", 2)), NpyError::DType { found: "'>f4'".into() });
        assert_eq!(refusal(&file("|O", "False", "(2,)", 2)), NpyError::Header);
        assert_eq!(refusal(&file("<f4", "True", "(2, 3)", 6)), NpyError::FortranOrder);
        assert_eq!(refusal(&file("<f4", "False", "()", 1)), NpyError::NoDimension);
        assert_eq!(refusal(&file("<f4", "False", "(0, 3)", 0)), NpyError::NoRows);
        assert_eq!(refusal(&file("<f4", "False", "(2, 0)", 0)), NpyError::EmptyRow { shape: vec![2, 0] });
        assert!(matches!(refusal(&file("<f4", "False", "(4294967296, 4294967296)", 0)), NpyError::Overflow { .. }));
        assert!(matches!(refusal(&file("<f4", "False", "(2, 3)", 5)), NpyError::Size { .. }));
        assert!(matches!(refusal(&file("<f4", "False", "(2, 3)", 7)), NpyError::Size { .. }));
    }

    #[test]
    fn no_damage_to_the_head_makes_it_panic() {
        let good = file("<f4", "False", "(2, 3)", 6);
        for place in 0..good.len() - 24 {
            for byte in [0, b'9', b'(', 0xff] {
                let mut bytes = good.clone();
                bytes[place] = byte;
                drop(parse(&bytes, u64::try_from(bytes.len()).unwrap()));
            }
            drop(parse(&good[..place], u64::try_from(place).unwrap()));
        }
    }
}
