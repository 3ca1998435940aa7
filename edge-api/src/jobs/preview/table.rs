//! The first rows of an output, and the classes that its rows are of.

use std::collections::BTreeMap;

use wire::{ClassCount, DType, OutputPreview, PreviewRow, number};

use super::column::Column;
use crate::arrays::rows::Number;

pub(super) const ROWS_MAX: usize = 10;
pub(super) const VALUES_MAX: usize = 16;
const CLASSES_MAX: usize = 12;
/// Integers of more kinds are no classes.
const KINDS_MAX: usize = 32;
/// Scores of a row: more are no classes, or of a model whose name for them says so.
const SCORES: std::ops::RangeInclusive<u64> = 2..=64;
const SCORES_MAX: u64 = 32_768;
const NAMES_OF_SCORES: [&str; 6] = ["logit", "prob", "score", "class", "label", "softmax"];

/// Of rows that lie one after another; `numbers` are those of the first.
pub(super) fn preview(
    column: &Column,
    bytes: &[u8],
    (row_bytes, numbers): (u64, &[u64]),
    pictures: u64,
) -> OutputPreview {
    let rows = || bytes.chunks_exact(number::to(row_bytes)).map(|row| column.cut(row));
    let first = rows().zip(numbers).map(|(values, &row)| PreviewRow {
        row,
        values: read(column, values).take(VALUES_MAX).map(|value| value.to_string()).collect(),
    });
    let dtype = if column.words.is_empty() {
        column.field.dtype.name().to_owned()
    } else {
        let mut names: Vec<&str> = column.words.iter().map(|word| word.name()).collect();
        names.dedup();
        names.join(", ")
    };
    let shape = if column.words.is_empty() { column.field.shape.clone() } else { vec![column.field.bytes() / 4] };
    let classes = count_classes(column, rows());
    OutputPreview { name: column.field.name.clone(), dtype, shape, first: first.collect(), classes, pictures }
}

/// A row's values, by their types.
pub(super) fn read<'a>(column: &'a Column, row: &'a [u8]) -> impl Iterator<Item = Number> + 'a {
    let is_records = !column.words.is_empty();
    let size = if is_records { 4 } else { number::to(column.field.dtype.bytes()) };
    let types = column.words.iter().copied().cycle().map(Some).chain(std::iter::repeat(None));
    row.chunks_exact(size).zip(types).map(|(value, word)| Number::read(word.unwrap_or(column.field.dtype), value))
}

fn count_classes<'a>(column: &'a Column, rows: impl Iterator<Item = &'a [u8]>) -> Vec<ClassCount> {
    let values =
        if column.words.is_empty() { column.field.shape.iter().product::<u64>() } else { column.field.bytes() / 4 };
    let dtype = column.words.first().copied().unwrap_or(column.field.dtype);
    let is_one_integer = values == 1 && !dtype.is_float();
    if !is_one_integer && !are_scores(column, dtype, values) {
        return Vec::new();
    }
    let mut counts = BTreeMap::<i64, u64>::new();
    for row in rows {
        let class = match read(column, row).next() {
            Some(Number::Int(value)) if is_one_integer => value,
            _ => place_of_largest(read(column, row)),
        };
        *counts.entry(class).or_default() += 1;
        if is_one_integer && counts.len() > KINDS_MAX {
            return Vec::new();
        }
    }
    let mut classes: Vec<ClassCount> = counts.into_iter().map(|(class, rows)| ClassCount { class, rows }).collect();
    classes.sort_by_key(|count| (std::cmp::Reverse(count.rows), count.class));
    classes.truncate(CLASSES_MAX);
    classes
}

/// A score for each class: few, or called so by the model. Embeddings are vectors of floats too.
fn are_scores(column: &Column, dtype: DType, values: u64) -> bool {
    let is_vector = column.words.is_empty() && column.field.shape.len() == 1 && !column.field.whole && dtype.is_float();
    let name = column.field.name.to_ascii_lowercase();
    let is_called_so = values <= SCORES_MAX && NAMES_OF_SCORES.iter().any(|part| name.contains(part));
    is_vector && values > 1 && (SCORES.contains(&values) || is_called_so)
}

fn place_of_largest(values: impl Iterator<Item = Number>) -> i64 {
    let (mut place, mut most) = (0, f32::NEG_INFINITY);
    for (at, value) in (0..).zip(values) {
        let Number::Float(value) = value else { continue };
        if value > most {
            (place, most) = (at, value);
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use wire::Field;

    use super::*;

    fn column(name: &str, dtype: DType, shape: &[u64], words: &[DType]) -> Column {
        let field = Field { name: name.to_owned(), dtype, shape: shape.to_vec(), shared: false, whole: false };
        Column { field, start: 0, words: words.to_vec() }
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn classes(preview: &OutputPreview) -> Vec<(i64, u64)> {
        preview.classes.iter().map(|count| (count.class, count.rows)).collect()
    }

    #[test]
    fn rows_of_scores_are_counted_by_their_largest() {
        let bytes = floats(&[0.1, 0.9, 0.0, 0.7, 0.2, 0.1, 0.0, 0.6, 0.4]);

        let found = preview(&column("y", DType::Float32, &[3], &[]), &bytes, (12, &[0, 1, 2]), 0);

        assert_eq!(classes(&found), [(1, 2), (0, 1)]);
        assert_eq!(found.first[1].values, ["0.7", "0.2", "0.1"]);
    }

    #[test]
    fn an_embedding_is_no_row_of_scores_unless_its_name_says_so() {
        let bytes = floats(&[0.5; 384]);

        assert_eq!(preview(&column("embedding", DType::Float32, &[384], &[]), &bytes, (1536, &[0]), 0).classes, []);
        let of_scores = preview(&column("Logits", DType::Float32, &[384], &[]), &bytes, (1536, &[0]), 0);
        assert_eq!(classes(&of_scores), [(0, 1)]);
    }

    #[test]
    fn labels_are_counted_and_numbers_of_many_kinds_are_not() {
        let labels: Vec<u8> = [3i64, -1, 3].iter().flat_map(|value| value.to_le_bytes()).collect();
        let found = preview(&column("label", DType::Int64, &[], &[]), &labels, (8, &[0, 1, 2]), 0);
        assert_eq!(classes(&found), [(3, 2), (-1, 1)]);

        let numbers: Vec<u8> = (0..40u32).flat_map(u32::to_le_bytes).collect();
        let records = column("results", DType::Uint8, &[4], &[DType::Uint32]);
        let found = preview(&records, &numbers, (4, &[7]), 0);
        assert_eq!(found.classes, []);
        assert_eq!((found.dtype.as_str(), found.shape, found.first.len()), ("uint32", vec![1], 1));
        assert_eq!((found.first[0].row, found.first[0].values.as_slice()), (7, &["0".to_owned()][..]));
    }

    #[test]
    fn a_records_words_are_shown_by_their_types() {
        let record = [1.5f32.to_le_bytes(), 7u32.to_le_bytes()].concat();
        let records = column("results", DType::Uint8, &[8], &[DType::Float32, DType::Uint32]);

        let found = preview(&records, &record, (8, &[0]), 0);

        assert_eq!(found.first[0].values, ["1.5", "7"]);
        assert_eq!(found.dtype, "float32, uint32");
    }
}
