//! Rows of several arrays as bytes: how a lease's input and output lie in files and on the wire.

use crate::dtype::{DType, OutOfRange};

/// One array of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub dtype: DType,
    /// Values of a row.
    pub len: usize,
}

impl Column {
    /// Bytes of a row. Saturates at a size that no input has.
    pub fn bytes(&self) -> usize {
        self.dtype.bytes().saturating_mul(self.len)
    }
}

/// The columns of rows, from each array's type, by its name in ONNX and numpy, and its shape in a row.
///
/// # Panics
/// When a type has another name than the eleven of [`DType`]: names are checked where they come in.
pub fn columns<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a [u64])>) -> Vec<Column> {
    let column = |(dtype, shape): (&str, &[u64])| {
        let values = shape.iter().fold(1u64, |values, &size| values.saturating_mul(size));
        Column {
            dtype: DType::from_name(dtype).expect("an array's type should have been checked where it came in"),
            // A shape may come from a stranger: a length beyond memory is refused when bytes are split.
            len: usize::try_from(values).unwrap_or(usize::MAX),
        }
    };
    arrays.into_iter().map(column).collect()
}

/// Words of arrays that follow one another, each with all its rows. `None` when the bytes have another
/// length.
pub fn split(bytes: &[u8], rows: usize, columns: &[Column]) -> Option<Result<Vec<Vec<u32>>, OutOfRange>> {
    let mut rest = bytes;
    let mut arrays = Vec::with_capacity(columns.len());
    for column in columns {
        let (own, after) = rest.split_at_checked(column.bytes().checked_mul(rows)?)?;
        arrays.push(column.dtype.words(own));
        rest = after;
    }
    rest.is_empty().then(|| arrays.into_iter().collect())
}

/// Bytes of rows, each with its arrays in order.
pub fn interleave(rows: usize, columns: &[Column], arrays: &[Vec<u32>]) -> Vec<u8> {
    if let ([column], [array]) = (columns, arrays) {
        return column.dtype.file_bytes(array);
    }
    let mut bytes = Vec::with_capacity(rows * columns.iter().map(Column::bytes).sum::<usize>());
    for row in 0..rows {
        for (column, array) in columns.iter().zip(arrays) {
            bytes.extend(column.dtype.file_bytes(&array[row * column.len..(row + 1) * column.len]));
        }
    }
    bytes
}

/// The arrays of interleaved rows. `None` when the bytes are not whole rows.
pub fn deinterleave(bytes: &[u8], columns: &[Column]) -> Option<Result<Vec<Vec<u32>>, OutOfRange>> {
    let row_bytes = columns.iter().map(Column::bytes).sum::<usize>();
    if row_bytes == 0 || !bytes.len().is_multiple_of(row_bytes) {
        return None;
    }
    let mut own: Vec<Vec<u8>> = vec![Vec::new(); columns.len()];
    for row in bytes.chunks_exact(row_bytes) {
        let mut rest = row;
        for (column, own) in columns.iter().zip(&mut own) {
            let (values, after) = rest.split_at(column.bytes());
            own.extend_from_slice(values);
            rest = after;
        }
    }
    Some(columns.iter().zip(own).map(|(column, bytes)| column.dtype.words(&bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column { dtype: DType::I64, len: 1 },
        Column { dtype: DType::U8, len: 3 },
        Column { dtype: DType::F32, len: 2 },
    ];

    #[test]
    fn columns_are_told_by_names_and_shapes() {
        let arrays: [(&str, &[u64]); 3] = [("int64", &[]), ("uint8", &[3]), ("float32", &[1, 2])];

        assert_eq!(columns(arrays), COLUMNS);
        assert_eq!(split(&[], 1, &columns([("float32", &[u64::MAX, 2][..])])), None);
    }

    #[test]
    fn what_is_interleaved_comes_apart_again() {
        let arrays = vec![vec![7, 8], vec![1, 2, 3, 4, 5, 6], vec![0; 4]];

        let bytes = interleave(2, &COLUMNS, &arrays);

        assert_eq!(bytes.len(), 2 * (8 + 3 + 8));
        assert_eq!(deinterleave(&bytes, &COLUMNS), Some(Ok(arrays)));
        assert_eq!(deinterleave(&bytes[1..], &COLUMNS), None);
    }

    #[test]
    fn arrays_after_one_another_are_split_or_refused_by_length() {
        let bytes: Vec<u8> = (0..2 * 19).collect();

        assert_eq!(split(&bytes[..16], 2, &COLUMNS[..1]).unwrap().unwrap_err().index, 0);
        assert_eq!(split(&bytes[16..22], 2, &COLUMNS[1..2]), Some(Ok(vec![vec![16, 17, 18, 19, 20, 21]])));
        assert_eq!(split(&bytes, 3, &COLUMNS), None);
        assert_eq!(split(&bytes, usize::MAX, &COLUMNS), None);
    }
}
