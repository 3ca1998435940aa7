//! The head of a `.npy` file, which the server reads in its own process: what is read of one is within it, and is the
//! same once it is written again.

use anyhow::{Context, ensure};
use edge_api::arrays::npy::{self, Array};

use crate::draw::Draw;
use crate::mutate;

const DIMENSIONS_MAX: usize = 8;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    let bytes = file(draw);
    draw.show("a .npy file", &bytes);
    draw.is_taken = check(&bytes)?;
    Ok(())
}

/// Whether a file says anything, and is right in what it says.
pub(crate) fn check(bytes: &[u8]) -> anyhow::Result<bool> {
    let size = u64::try_from(bytes.len())?;
    let head = &bytes[..bytes.len().min(usize::try_from(npy::HEAD_BYTES)?)];
    let Ok(array) = npy::parse(head, size) else { return Ok(false) };
    let Array { dtype, shape, offset } = &array;
    let values: u128 = shape.iter().map(|size| u128::from(*size)).product();
    ensure!(u128::from(*offset) + values * u128::from(dtype.bytes()) == u128::from(size), "{array:?} is not the file");
    ensure!(shape.len() <= DIMENSIONS_MAX, "{array:?} has too many dimensions");
    let again = npy::head(*dtype, shape);
    let head_bytes = u64::try_from(again.len())?;
    let found = npy::parse(&again, head_bytes + size - offset).context("its own head should be read")?;
    ensure!(found == Array { offset: head_bytes, ..array.clone() }, "{array:?} is written as {found:?}");
    Ok(true)
}

/// A file that is good, nearly good, or once was.
pub(crate) fn file(draw: &mut Draw) -> Vec<u8> {
    let bytes = if draw.one_in(3) { good(draw) } else { from_parts(draw) };
    if draw.one_in(3) { mutate::bytes(draw, bytes, &[MAGIC, b"'shape': (", b"[[[[(((({{{{", b"[']',"]) } else { bytes }
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// As the server writes it.
pub(crate) fn good(draw: &mut Draw) -> Vec<u8> {
    let dtype = draw.pick(&wire::DType::ALL);
    let rank = draw.below(5);
    let shape: Vec<u64> = (0..rank).map(|_| draw.size(7)).map(|size| u64::try_from(size).unwrap_or(0)).collect();
    let mut bytes = npy::head(dtype, &shape);
    let values = shape.iter().product::<u64>() * dtype.bytes();
    bytes.extend(draw.bytes(usize::try_from(values).unwrap_or(0)));
    bytes
}

/// Magic, version, length and dictionary, each right or not.
fn from_parts(draw: &mut Draw) -> Vec<u8> {
    let mut text = dictionary(draw);
    if draw.one_in(2) {
        text.push('\n');
    }
    let version = draw.pick(&[[1, 0], [1, 0], [2, 0], [3, 0], [0, 0], [1, 1], [255, 255]]);
    let len = if draw.one_in(6) { draw.number() } else { u64::try_from(text.len()).unwrap_or(0) };
    let mut bytes = [MAGIC, &version].concat();
    let width = if version[0] == 1 { 2 } else { 4 };
    bytes.extend(&len.to_le_bytes()[..width]);
    bytes.extend(text.bytes());
    let values = draw.size(600);
    bytes.extend(draw.bytes(values));
    bytes
}

fn dictionary(draw: &mut Draw) -> String {
    if draw.one_in(5) {
        return literal(draw);
    }
    let mut parts = vec![
        format!("'descr': {}", descr(draw)),
        format!("'fortran_order': {}", draw.pick(&["False", "False", "True", "0", "None", "'False'"])),
        format!("'shape': {}", shape(draw)),
    ];
    if draw.one_in(4) {
        let (from, to) = (draw.below(3), draw.below(3));
        parts.swap(from, to);
    }
    if draw.one_in(8) {
        let left = draw.below(3);
        parts.remove(left);
    }
    if draw.one_in(8) {
        parts.push(format!("'more': {}", literal(draw)));
    }
    let end = draw.pick(&["}", ", }", ",}", "", "} ", ", }  # note"]);
    format!("{{{}{end}", parts.join(", "))
}

fn descr(draw: &mut Draw) -> String {
    const DESCRS: [&str; 24] = [
        "'<f4'",
        "'<f2'",
        "'<i8'",
        "'<i4'",
        "'<i2'",
        "'|i1'",
        "'<u4'",
        "'<u2'",
        "'|u1'",
        "'|b1'",
        "'<f8'",
        "'>f4'",
        "'|O'",
        "'<U7'",
        "'|S0'",
        "'<M8[ns]'",
        "'<c8'",
        "'f4'",
        "'<f99999999999999999999'",
        "''",
        "'<'",
        "[('a', '<f4'), ('b', '<i4', (2, 3))]",
        "[('a', [('b', '<f4')], (18446744073709551615, 9))]",
        "[]",
    ];
    if draw.one_in(8) { literal(draw) } else { (draw.pick(&DESCRS)).to_owned() }
}

fn shape(draw: &mut Draw) -> String {
    if draw.one_in(8) {
        return literal(draw);
    }
    let rank = if draw.one_in(10) { draw.size(9000) } else { draw.below(11) };
    let sizes: Vec<String> = (0..rank)
        .map(|_| match draw.below(8) {
            0 => draw.number().to_string(),
            1 => draw.signed().to_string(),
            2 => (draw.pick(&["1L", "0x10", "1_0", "1e3", "2.0", "True", "3+4", "--3", "1j", "09"])).to_owned(),
            _ => draw.size(9).to_string(),
        })
        .collect();
    let end = draw.pick(&[",)", ",)", ",)", ")", "]", ""]);
    format!("({}{end}", sizes.join(", "))
}

/// A literal of Python's, or the beginning of one: brackets within brackets, long numbers, strings that do not end.
fn literal(draw: &mut Draw) -> String {
    const PIECES: [&str; 30] = [
        "(",
        "[",
        "{",
        ")",
        "]",
        "}",
        ",",
        ":",
        "'a'",
        "\"b\"",
        "'''c'''",
        "b'd'",
        "'",
        "\"\"\"",
        "\\",
        "\\x4",
        "1",
        "-",
        "+",
        "0b1",
        "0o7",
        "0x",
        "1.",
        ".5e9",
        "1j",
        "True",
        "None",
        " ",
        "9999999999999999999999",
        "_",
    ];
    if draw.one_in(2) {
        // What a parser that goes back tries again and again.
        let piece: String = (0..=draw.below(3)).map(|_| draw.pick(&PIECES)).collect();
        let depth = draw.size(20_000);
        let middle = draw.pick(&PIECES);
        return format!("{}{middle}{}", piece.repeat(depth), draw.pick(&["", "]", "}", "),", ")]}"]).repeat(depth / 2));
    }
    (0..draw.size(200)).map(|_| draw.pick(&PIECES)).collect()
}
