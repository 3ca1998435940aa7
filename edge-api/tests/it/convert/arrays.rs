//! `.npy` and `.npz`.

use wire::{ArraysToMake, DType, FileKind};
use zip::CompressionMethod;

use super::{floats, make, plain, port, read, refusal, try_to_make, zip};

fn npy(descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), values].concat()
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn cast() -> ArraysToMake {
    ArraysToMake { cast: true, ..plain() }
}

#[test]
fn an_array_that_the_model_reads_stays_as_it_is() {
    let ports = [port("x", DType::Float32, &[None, Some(2)])];

    let (made, out) = make(&npy("<f4", "False", "(3, 2)", &[0; 24]), &ports, cast());

    assert!(made.unchanged && out.is_empty(), "{made:?}");
    assert_eq!((made.kind, made.rows), (FileKind::Npy, 3));
}

#[test]
fn float64_is_cast_where_that_is_asked_for_and_said_else() {
    let ports = [port("x", DType::Float32, &[None, Some(2)])];
    let file = npy("<f8", "False", "(2, 2)", &doubles(&[0.1, -2.0, 1e-50, f64::INFINITY]));

    let refused = refusal(&file, &ports, plain());
    let (made, out) = make(&file, &ports, cast());

    assert!(refused.starts_with("input_mismatch cast: the model reads 'x' as float32 and the array holds float64"));
    assert!(refused.contains("--cast"), "{refused}");
    assert_eq!(made.arrays[0].cast_from.as_deref(), Some("float64"));
    assert_eq!(floats(&out), [0.1, -2.0, 0.0, f32::INFINITY]);
}

#[test]
fn what_a_type_does_not_hold_is_refused_with_its_row() {
    let ports = [port("ids", DType::Int32, &[None, Some(2)])];
    let wide: Vec<u8> = [1i64, 2, 3, 1 << 40].iter().flat_map(|value| value.to_le_bytes()).collect();
    let fractions = doubles(&[1.0, 2.5]);

    let (_, out) = make(&npy("<f8", "False", "(1, 2)", &doubles(&[1.0, -2.0])), &ports, cast());
    assert_eq!(read(&out).2, [1i32.to_le_bytes(), (-2i32).to_le_bytes()].concat());
    let found = refusal(&npy("<i8", "False", "(2, 2)", &wide), &ports, cast());
    assert!(found.contains("'ids' holds 1099511627776 in row 1, which int32 does not hold"), "{found}");
    let found = refusal(&npy("<f8", "False", "(1, 2)", &fractions), &ports, cast());
    assert!(found.contains("'ids' holds 2.5 in row 0"), "{found}");
}

#[test]
fn one_row_without_its_axis_is_taken_as_one_where_that_is_asked_for() {
    let ports = [port("x", DType::Float32, &[None, Some(3), Some(2)])];
    let file = npy("<f4", "False", "(3, 2)", &singles(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));

    let refused = refusal(&file, &ports, plain());
    let (made, out) = make(&file, &ports, ArraysToMake { add_batch: true, ..plain() });

    assert!(refused.starts_with("input_mismatch add_batch: 'x' has shape [3, 2]"), "{refused}");
    assert!(refused.contains("--add-batch"), "{refused}");
    assert_eq!((made.rows, read(&out).1), (1, vec![1, 3, 2]));
    assert!(made.arrays[0].batch_added);
}

#[test]
fn columns_first_and_bytes_turned_are_laid_out_anew() {
    let ports = [port("x", DType::Float32, &[None, Some(3)])];
    let by_columns = npy("<f4", "True", "(2, 3)", &singles(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    let turned: Vec<u8> = [1.0f32, 2.0, 3.0].iter().flat_map(|value| value.to_be_bytes()).collect();

    let (made, out) = make(&by_columns, &ports, plain());
    assert!(!made.unchanged);
    assert_eq!(floats(&out), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (_, out) = make(&npy(">f4", "False", "(1, 3)", &turned), &ports, plain());
    assert_eq!(floats(&out), [1.0, 2.0, 3.0]);
}

#[test]
fn three_axes_by_columns_are_turned_as_numpy_turns_them() {
    let ports = [port("x", DType::Uint8, &[None, Some(3), Some(4)])];
    // numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4)), as it lies in memory.
    let lying: Vec<u8> =
        (0..4).flat_map(|k| (0..3).flat_map(move |j| (0..2).map(move |i| 12 * i + 4 * j + k))).collect();

    let (_, out) = make(&npy("|u1", "True", "(2, 3, 4)", &lying), &ports, plain());

    assert_eq!(read(&out).2, (0..24).collect::<Vec<u8>>());
}

#[test]
fn a_compressed_archive_is_unpacked_into_the_models_order() {
    let ports = [port("a", DType::Float32, &[None, Some(2)]), port("b", DType::Float32, &[None, Some(1)])];
    let array = |shape: &str, values: &[f32]| npy("<f4", "False", shape, &singles(values));
    let entries = [("b.npy", array("(2, 1)", &[5.0, 6.0])), ("a.npy", array("(2, 2)", &[1.0, 2.0, 3.0, 4.0]))];

    let (made, out) = make(&zip(&entries, CompressionMethod::Deflated), &ports, plain());
    let (same, _) = make(&zip(&entries, CompressionMethod::Stored), &ports, plain());

    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(out)).unwrap();
    let mut values = Vec::new();
    for place in 0..archive.len() {
        let mut bytes = Vec::new();
        std::io::copy(&mut archive.by_index(place).unwrap(), &mut bytes).unwrap();
        values.push(floats(&bytes));
    }
    assert_eq!(values, [vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]]);
    assert_eq!(made.arrays.iter().map(|array| array.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(same.unchanged && !made.unchanged);
}

#[test]
fn one_array_of_an_archive_may_be_for_one_input() {
    let ports = [port("a", DType::Float32, &[None]), port("b", DType::Float32, &[None])];
    let file = zip(&[("anything.npy", npy("<f4", "False", "(1,)", &[0; 4]))], CompressionMethod::Stored);
    let for_b = ArraysToMake { input: Some("b".to_owned()), ..plain() };

    let (made, out) = make(&file, &ports, for_b.clone());

    assert_eq!((made.arrays[0].name.as_str(), read(&out).1), ("b", vec![1]));
    let two = zip(&[("a.npy", npy("<f4", "False", "(1,)", &[0; 4])), ("b.npy", Vec::new())], CompressionMethod::Stored);
    assert!(try_to_make(&two, &ports, for_b).is_err());
}

#[test]
fn each_fault_of_an_archive_is_refused_by_its_arrays_name() {
    let ports = [port("a", DType::Float32, &[None, Some(2)])];
    let good = || npy("<f4", "False", "(1, 2)", &[0; 8]);
    let of = |entries: &[(&str, Vec<u8>)]| refusal(&zip(entries, CompressionMethod::Deflated), &ports, plain());

    assert!(of(&[("a.npy", good()), ("notes.txt", Vec::new())]).contains("'notes.txt' is no .npy array"));
    assert!(of(&[("b.npy", good())]).contains("no input 'b'; its inputs are a"));
    assert!(of(&[("a.npy", npy("<f4", "False", "(2, 2)", &[0; 8]))]).contains("'a': the input's shape needs"));
    assert!(of(&[("a.npy", npy("<U4", "False", "(1,)", &[0; 16]))]).contains("no plain numbers"));
    assert!(of(&[("a.npy", npy("<f4", "False", "(0, 2)", &[]))]).starts_with("no_rows file: 'a' has no rows"));
    assert!(of(&[("a.npy", npy("<f4", "False", "(2, -2)", &[0; 16]))]).contains("negative"));
}

#[test]
fn a_bomb_unpacks_no_further_than_its_head_says_and_no_larger_than_is_stored() {
    let ports = [port("a", DType::Uint8, &[None, None])];
    let of = |bytes: Vec<u8>| refusal(&zip(&[("a.npy", bytes)], CompressionMethod::Deflated), &ports, plain());

    let large = npy("|u1", "False", "(2000, 1000)", &vec![0; 2_000_000]);
    assert!(of(large).starts_with("too_large file: the arrays would take 2000000 bytes"));
    // The directory says two values, and there are many.
    let mut lying = zip(&[("a.npy", npy("|u1", "False", "(1, 2)", &vec![0; 100_000]))], CompressionMethod::Deflated);
    let entry = lying.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let said = u32::try_from(npy("|u1", "False", "(1, 2)", &[0; 2]).len()).unwrap();
    lying[entry + 24..entry + 28].copy_from_slice(&said.to_le_bytes());
    assert!(refusal(&lying, &ports, plain()).contains("longer than its head says"));
}

#[test]
fn several_inputs_and_one_array_without_a_name_are_told_apart_by_the_request() {
    let ports = [port("a", DType::Float32, &[None]), port("b", DType::Float32, &[None])];
    let file = npy("<f8", "False", "(1,)", &[0; 8]);

    let found = refusal(&file, &ports, cast());
    let (made, _) = make(&file, &ports, ArraysToMake { input: Some("b".to_owned()), ..cast() });

    assert!(found.starts_with("input_mismatch input: the model has the inputs a, b"), "{found}");
    assert_eq!(made.arrays[0].name, "b");
    let other = ArraysToMake { input: Some("c".to_owned()), ..cast() };
    assert!(refusal(&file, &ports, other).contains("no input 'c'"));
}
