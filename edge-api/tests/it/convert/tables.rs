//! CSV and Parquet.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Arc;

use edge_api::convert::error::ConvertError;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use wire::{ArraysToMake, DType, FileKind, TableReading};

use super::{floats, make, plain, port, read, refusal, try_to_make};

/// `pandas.DataFrame({"age": …, "siblings": …, "alone": …, "vec": …}, index=["a", "b", "c"]).to_parquet(…)`.
const PANDAS: &[u8] = include_bytes!("pandas.parquet");

/// `pyarrow.table({"nothing": nulls(3), "span": …, "spans": …, "list": [None, [1, 2], []], "record": …})`, with durations.
const PYARROW: &[u8] = include_bytes!("pyarrow.parquet");

/// `pyarrow.table({"records": [[{"v": 1, "span": 5}], …], "map": …, "numbers": …, "deep": [{"rows": [{"span": 5}]}, …], "large": …,
/// "fixed": …, "mapped": [[("a", {"v": 4, "span": 1})], …]})`: records in lists of each kind and in maps, with durations.
const NESTED: &[u8] = include_bytes!("nested.parquet");

fn with(table: TableReading) -> ArraysToMake {
    ArraysToMake { table, ..plain() }
}

fn columns(said: &[(&str, &[&str])]) -> TableReading {
    let columns = said
        .iter()
        .map(|(name, columns)| ((*name).to_owned(), columns.iter().map(|column| (*column).to_owned()).collect()));
    TableReading { columns: columns.collect::<BTreeMap<_, _>>(), ..TableReading::default() }
}

fn leave_out(names: &[&str]) -> TableReading {
    TableReading { leave_out: names.iter().map(|name| (*name).to_owned()).collect(), ..TableReading::default() }
}

fn two() -> [super::Port; 1] {
    [port("x", DType::Float32, &[None, Some(2)])]
}

#[test]
fn lines_become_rows_with_names_or_without() {
    for text in ["a,b\n1,2\n3,4.5\n", "1,2\n3,4.5", "\u{feff}a;b\r\n1;2\r\n3;4.5\r\n", "a\tb\n\"1\"\t 2 \n3\t4.5\n\n"] {
        let (made, out) = make(text.as_bytes(), &two(), plain());

        assert_eq!((made.kind, made.rows), (FileKind::Csv, 2), "{text:?}");
        assert_eq!(floats(&out), [1.0, 2.0, 3.0, 4.5], "{text:?}");
        let table = made.table.unwrap();
        assert_eq!(table.header, Some(text.contains('a')), "{text:?}");
        assert!(table.delimiter.is_some());
    }
}

#[test]
fn what_pandas_calls_columns_without_names_are_no_values() {
    let (made, out) = make(b"0,1\n5,6\n", &two(), plain());
    assert_eq!((made.rows, floats(&out)), (1, vec![5.0, 6.0]));
    let found = refusal(b"0,1\n", &two(), plain());
    assert!(found.starts_with("no_rows file") && found.contains("--header no"), "{found}");

    let (made, out) = make(b",0,1\n0,5,6\n1,7,8\n", &two(), plain());
    assert_eq!((made.rows, floats(&out)), (2, vec![5.0, 6.0, 7.0, 8.0]), "and its index is none either");
    assert_eq!(made.table.unwrap().leave_out, ["1"]);

    let header = TableReading { header: Some(false), ..TableReading::default() };
    assert_eq!(make(b"0,1\n5,6\n", &two(), with(header)).0.rows, 2);
}

#[test]
fn columns_are_chosen_by_name_by_number_and_by_range() {
    let text = b"id,a,b,label\n7,1,2,cat\n8,3,4,dog\n";
    for table in [
        leave_out(&["id", "label"]),
        leave_out(&["1", "4"]),
        columns(&[("x", &["a", "b"])]),
        columns(&[("x", &["2-3"])]),
        columns(&[("", &["2", "b"])]),
    ] {
        assert_eq!(floats(&make(text, &two(), with(table.clone())).1), [1.0, 2.0, 3.0, 4.0], "{table:?}");
    }
}

#[test]
fn each_input_takes_the_column_that_is_called_as_it_is() {
    let ports = [port("sex", DType::Int64, &[None, Some(1)]), port("age", DType::Float32, &[None, Some(1)])];

    let (made, out) = make(b"name,age,sex\nAda,36.5,1\nBob,40,0\n", &ports, plain());

    assert_eq!(made.arrays.iter().map(|array| array.shape.clone()).collect::<Vec<_>>(), [[2, 1], [2, 1]]);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(out)).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut archive.by_name("age.npy").unwrap(), &mut bytes).unwrap();
    assert_eq!(floats(&bytes), [36.5, 40.0]);
    let found = refusal(b"a,b\n1,2\n", &ports, plain());
    assert!(found.starts_with("input_mismatch table.columns: the model has the inputs sex, age"), "{found}");
}

#[test]
fn values_fill_the_sizes_that_the_model_says() {
    let shape_of = |port| make(b"1,2,3,4\n5,6,7,8\n", &[port], plain()).0.arrays[0].shape.clone();

    assert_eq!(shape_of(port("x", DType::Float32, &[None, Some(1), Some(2), Some(2)])), [2, 1, 2, 2]);
    assert_eq!(shape_of(port("x", DType::Float32, &[None, None])), [2, 4]);
    assert_eq!(shape_of(port("x", DType::Float32, &[Some(1), Some(2), None])), [2, 2, 2]);
    let one = [port("x", DType::Float32, &[None])];
    assert_eq!(make(b"v\n1\n2\n", &one, plain()).0.arrays[0].shape, [2]);
    let found = refusal(b"a,b,c\n1,2,3\n", &two(), plain());
    assert!(found.contains("the model reads 2 values a row for 'x' and the table has 3 columns"), "{found}");
    assert!(found.contains("a, b, c"), "{found}");
}

#[test]
fn each_fault_of_a_line_is_refused_with_its_place() {
    let found = |text: &[u8]| refusal(text, &two(), plain());

    assert!(found(b"a,b\n1,2\n3,cat\n").contains("line 3 of column 'b' is 'cat', which is no number"));
    assert!(found(b"a;b\n1;2\n3;4,5\n").contains("decimals have a point here"));
    assert!(found(b"a,b\n1,2\n3\n").contains("line 3 has 1 values and the first has 2"));
    assert!(found(b"a,b\n1,\n").contains("line 2 of column 'b' is missing"));
    assert!(found(b"a,b\n1,1e40\n").contains("line 2 of column 'b' is 1e40, which float32 does not hold"));
    assert!(found(b"a,b\n1,\xff\n").contains("line 2 is no text in UTF-8"));
    assert!(found(b"a,b\n").starts_with("no_rows file"));
    assert!(found(b"\n\n").starts_with("no_rows file"));
    let open = [b"a,b\n1,\"".as_slice(), &vec![b'x'; 9 << 20]].concat();
    assert!(found(&open).contains("line 2 has more than 8388608 bytes"));
}

#[test]
fn a_missing_value_is_what_was_said_for_it() {
    let missing = |text: &str| with(TableReading { missing: Some(text.to_owned()), ..TableReading::default() });
    let text = b"a,b\n1,\nNA,4\n";

    assert_eq!(floats(&make(text, &two(), missing("-1")).1), [1.0, -1.0, -1.0, 4.0]);
    assert!(floats(&make(text, &two(), missing("nan")).1)[1].is_nan());
    assert!(floats(&make(b"a,b\n1,nan\n", &two(), plain()).1)[1].is_nan(), "said in the table itself");
    assert!(refusal(text, &two(), missing("none")).starts_with("malformed_request table.missing"));
}

#[test]
fn what_a_request_says_of_columns_that_are_not_there_is_refused_by_its_field() {
    let found = |table| refusal(b"a,a,b\n1,2,3\n", &two(), with(table));

    assert!(
        found(leave_out(&["c"])).starts_with("input_mismatch table.leave_out: table.leave_out names the column 'c'")
    );
    assert!(found(columns(&[("x", &["9"])])).starts_with("input_mismatch table.columns"));
    assert!(found(columns(&[("x", &["a"])])).contains("several columns 'a'"));
    assert!(found(columns(&[("y", &["b"])])).contains("no input 'y'"));
    let delimiter = TableReading { delimiter: Some('é'), ..TableReading::default() };
    assert!(found(delimiter).starts_with("malformed_request table.delimiter"));
}

#[test]
fn a_table_of_pandas_is_read_with_its_types_and_without_its_index() {
    let ports = [port("x", DType::Float32, &[None, Some(3)])];

    let (made, out) = make(PANDAS, &ports, with(leave_out(&["vec"])));

    assert_eq!((made.kind, made.rows), (FileKind::Parquet, 3));
    assert_eq!(floats(&out), [22.0, 1.0, 0.0, 38.5, 0.0, 1.0, 26.25, 2.0, 0.0]);
    assert!(made.table.unwrap().leave_out.len() > 1, "the index is said to be left out");
    let (_, out) = make(PANDAS, &two(), with(columns(&[("x", &["vec"])])));
    assert_eq!(floats(&out), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "lists of one length are values side by side");
    let ints = [port("x", DType::Int64, &[None, Some(1)])];
    let found = refusal(PANDAS, &ints, with(columns(&[("x", &["age"])])));
    assert!(found.contains("row 1 of column 'age' is 38.5, which int64 does not hold"), "{found}");
}

/// Columns `d` (double), `i` (int32), `u` (uint32) and `s` (text), of which `d` may lack values.
fn parquet(compression: Compression) -> Vec<u8> {
    let schema = "message schema { OPTIONAL DOUBLE d; REQUIRED INT32 i; REQUIRED INT32 u (UINT_32);
        REQUIRED INT64 t (TIMESTAMP_MILLIS); }";
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties)).unwrap();
    // Two groups of rows.
    for first in [0, 2] {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[f64::from(first) + 0.5], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        for values in [[first, first + 1], [-1, 7]] {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int32Type>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[0, 1], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    file
}

#[test]
fn every_packing_of_parquet_is_read_group_by_group() {
    let missing = TableReading { missing: Some("9".to_owned()), ..columns(&[("x", &["d", "i"])]) };
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ] {
        let (made, out) = make(&parquet(compression), &two(), with(missing.clone()));
        assert_eq!((made.rows, floats(&out)), (4, vec![0.5, 0.0, 9.0, 1.0, 2.5, 2.0, 9.0, 3.0]), "{compression}");
    }
}

#[test]
fn parquets_types_are_read_as_what_they_mean() {
    let file = parquet(Compression::UNCOMPRESSED);
    let unsigned = [port("x", DType::Uint32, &[None, Some(1)])];

    let (_, out) = make(&file, &unsigned, with(columns(&[("x", &["u"])])));

    assert_eq!(read(&out).2[..4], u32::MAX.to_le_bytes());
    let found = |said| refusal(&file, &unsigned, with(columns(&[("x", &[said])])));
    assert!(found("t").contains("column 't' holds times or decimals"), "{}", found("t"));
    assert!(refusal(&file, &two(), with(columns(&[("x", &["d", "i"])]))).contains("row 1 of column 'd' is missing"));
}

#[test]
fn a_column_without_a_type_is_missing_a_list_that_is_not_there_is_said_to_be_and_spans_of_time_are_no_numbers() {
    let one = [port("x", DType::Float32, &[None, Some(1)])];
    let of = |column: &str| columns(&[("x", &[column])]);
    let missing = |column: &str| with(TableReading { missing: Some("7".to_owned()), ..of(column) });

    assert_eq!(floats(&make(PYARROW, &one, missing("nothing")).1), [7.0; 3]);
    assert!(refusal(PYARROW, &one, with(of("nothing"))).contains("row 0 of column 'nothing' is missing"));
    assert_eq!(floats(&make(PYARROW, &one, with(of("record.v"))).1), [1.0, 2.0, 3.0]);
    let found = refusal(PYARROW, &two(), missing("list"));
    assert!(found.contains("row 0 of column 'list' has no list, where others have 2 values"), "{found}");
    for column in ["span", "spans", "record.span"] {
        let found = refusal(PYARROW, &one, missing(column));
        assert!(found.contains(&format!("column '{column}' holds spans of time")), "{found}");
    }
}

#[test]
fn spans_of_time_are_no_numbers_within_lists_and_maps_either() {
    let one = [port("x", DType::Float32, &[None, Some(1)])];
    let of = |number: usize| with(columns(&[("x", &[&number.to_string()])]));
    // Columns by number: those of a list or a map are all called as the whole of it.
    for (number, name) in [(2, "records"), (4, "map"), (7, "deep"), (9, "large"), (11, "fixed"), (14, "mapped")] {
        let found = refusal(NESTED, &one, of(number));
        assert!(found.contains(&format!("column '{name}' holds spans of time")), "{number}: {found}");
    }
    assert_eq!(floats(&make(NESTED, &one, of(1)).1), [1.0, 2.0, 3.0], "what lies beside one is a number");
    assert_eq!(floats(&make(NESTED, &one, of(6)).1), [1.0, 2.0, 3.0]);
    assert_eq!(floats(&make(NESTED, &one, of(8)).1), [1.0; 3]);
    assert_eq!(floats(&make(NESTED, &one, of(13)).1), [4.0; 3]);
}

/// Lists of one column: a group of rows for each of these, and where it is `false`, rows without one.
fn lists(groups: &[bool]) -> Vec<u8> {
    let schema = "message schema { OPTIONAL GROUP v (LIST) { REPEATED GROUP list { REQUIRED DOUBLE element; } } }";
    let mut file = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::default()).unwrap();
    for has_lists in groups {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<DoubleType>();
        if *has_lists {
            typed.write_batch(&[1.0, 2.0], Some(&[2, 2]), Some(&[0, 1])).unwrap();
        } else {
            typed.write_batch(&[], Some(&[0, 0]), Some(&[0, 0])).unwrap();
        }
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    file
}

#[test]
fn how_long_lists_are_is_said_by_the_first_group_that_has_one() {
    let found = refusal(&lists(&[false, false, true]), &two(), plain());
    assert!(found.contains("row 0 of column 'v' has no list, where others have 2 values"), "{found}");
    let found = refusal(&lists(&[true, false]), &two(), plain());
    assert!(found.contains("row 1 of column 'v' has no list, where others have 2 values"), "{found}");
    for ports in [two(), [port("x", DType::Float32, &[None, None])]] {
        let found = refusal(&lists(&[false, false]), &ports, plain());
        assert!(
            found.starts_with("invalid_input file: column 'v' holds lists, and none of the first rows has"),
            "{found}"
        );
    }
    assert_eq!(floats(&make(&lists(&[true, true]), &two(), plain()).1), [1.0, 2.0, 1.0, 2.0]);
}

#[test]
fn a_table_whose_first_column_begins_as_bitmaps_do_is_a_table() {
    let (made, out) = make(b"BMI,age\n21.5,36\n24,40\n", &two(), plain());

    assert_eq!((made.kind, floats(&out)), (FileKind::Csv, vec![21.5, 36.0, 24.0, 40.0]));
}

#[test]
fn a_damaged_parquet_file_is_refused() {
    let whole = parquet(Compression::SNAPPY);
    for cut in [4, 12, whole.len() / 2, whole.len() - 5] {
        let found = refusal(&whole[..cut], &two(), plain());
        assert!(found.starts_with("invalid_input file"), "{cut}: {found}");
    }
    for place in 4..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x15;
        // Its reader may give up, which the process apart makes a refusal of.
        let read = catch_unwind(|| try_to_make(&damaged, &two(), plain()));
        assert!(!matches!(read, Ok(Err(ConvertError::Fetch(_)))), "byte {place} is no fault of the server's");
    }
}
