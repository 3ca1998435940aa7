//! The sample: handwritten digits and a small CNN (`samples/digits/make.py` made them).

use std::path::PathBuf;

/// Digits that the CNN was trained on; the others measure its accuracy.
pub const TRAINED_ON: usize = 1200;
pub const ROWS: usize = 1797;
pub const CLASSES: usize = 10;
pub const PIXELS: usize = 64;

/// A file of the sample.
pub fn file(name: &str) -> PathBuf {
    crate::folder().join("samples/digits").join(name)
}

/// The values of a float32 `.npy` file.
///
/// # Panics
/// When the file is no such thing.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[head..].as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

/// onnxruntime's answers.
pub fn expected() -> Vec<f32> {
    floats(&std::fs::read(file("expected.npy")).expect("the sample should be there"))
}

/// The share of digits outside the training set whose likeliest class is the label.
pub fn accuracy(probabilities: &[f32]) -> f64 {
    let labels = std::fs::read(file("labels.npy")).expect("the sample should be there");
    let labels = &labels[labels.len() - ROWS..];
    let right = (TRAINED_ON..ROWS).filter(|&row| {
        let row_values = &probabilities[row * CLASSES..(row + 1) * CLASSES];
        let likeliest = (0..CLASSES).max_by(|&a, &b| row_values[a].total_cmp(&row_values[b]));
        likeliest == Some(usize::from(labels[row]))
    });
    let (right, all) = (u32::try_from(right.count()).unwrap_or(0), u32::try_from(ROWS - TRAINED_ON).unwrap_or(1));
    f64::from(right) / f64::from(all)
}

/// The digits `times` over, as a `.npy` file's bytes.
pub fn repeated(times: usize) -> Vec<u8> {
    let bytes = std::fs::read(file("digits.npy")).expect("the sample should be there");
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let mut file = npy_head(&format!("{}, 1, 8, 8", ROWS * times));
    (0..times).for_each(|_| file.extend_from_slice(&bytes[head..]));
    file
}

/// The smallest model there is (`samples/relu/make.py` made it): a value in, a value out.
pub fn relu() -> PathBuf {
    crate::folder().join("samples/relu/relu.onnx")
}

/// A column of `rows` values, as a `.npy` file's bytes.
pub fn column(rows: u32) -> Vec<u8> {
    column_of(&(0..rows).map(|row| f32::from(u16::try_from(row % 1000).unwrap_or(0))).collect::<Vec<f32>>())
}

pub fn column_of(values: &[f32]) -> Vec<u8> {
    let mut file = npy_head(&format!("{}, 1", values.len()));
    values.iter().for_each(|value| file.extend_from_slice(&value.to_le_bytes()));
    file
}

/// The head of a float32 `.npy` file.
fn npy_head(shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let len = u16::try_from(text.len()).expect("a head should be short");
    [b"\x93NUMPY\x01\x00".as_slice(), &len.to_le_bytes(), text.as_bytes()].concat()
}
