//! Inputs as people save them, through the command: what a model says of them is what it says of the plain arrays.

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::digits;
use e2e::stack::Stack;
use image::{GrayImage, ImageFormat, Luma};
use parquet::data_type::DoubleType;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::command::{Shell, events, text};

const SOON: Duration = Duration::from_mins(1);
/// Pictures of eight by eight, of which so many are looked at.
const ROWS: usize = 12;
const VALUES: usize = 64;

/// The first pictures of the sample, each a row.
fn rows() -> Vec<[f32; VALUES]> {
    let bytes = std::fs::read(digits::file("digits.npy")).unwrap();
    let values = &bytes[bytes.len() - 1797 * VALUES * 4..];
    let values: Vec<f32> = values.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    values.as_chunks::<VALUES>().0.iter().take(ROWS).copied().collect()
}

fn npy(descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &len, text.as_bytes(), values].concat()
}

fn doubles(rows: &[[f32; VALUES]]) -> Vec<u8> {
    rows.as_flattened().iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect()
}

fn zip(file: &Path, entries: &[(String, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(file).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn parquet(file: &Path, rows: &[[f32; VALUES]]) {
    let columns: Vec<String> = (0..VALUES).map(|column| format!("REQUIRED DOUBLE p{column};")).collect();
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {} }}", columns.concat())).unwrap());
    let file = std::fs::File::create(file).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in 0..VALUES {
        let values: Vec<f64> = rows.iter().map(|row| row[column].into()).collect();
        let mut writer = group.next_column().unwrap().unwrap();
        writer.typed::<DoubleType>().write_batch(&values, None, None).unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// A row as a picture whose level is the pixel's own.
fn picture(row: &[f32; VALUES]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "levels are 0 to 16")]
    let level = |value: f32| value.round() as u8;
    let picture = GrayImage::from_fn(8, 8, |x, y| Luma([level(row[usize::try_from(8 * y + x).unwrap()])]));
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A picture of which the second half did not come.
fn cut_jpeg() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    GrayImage::from_fn(64, 64, |x, y| Luma([u8::try_from((x * y) % 256).unwrap()]))
        .write_to(&mut file, ImageFormat::Jpeg)
        .unwrap();
    let mut file = file.into_inner();
    file.truncate(file.len() / 2);
    file
}

/// The files, all of the same rows.
fn write_inputs(folder: &Path, rows: &[[f32; VALUES]]) {
    let shape = format!("({ROWS}, 1, 8, 8)");
    let singles: Vec<u8> = rows.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.join("plain.npy"), npy("<f4", "False", &shape, &singles)).unwrap();
    std::fs::write(folder.join("double.npy"), npy("<f8", "False", &shape, &doubles(rows))).unwrap();
    zip(&folder.join("packed.npz"), &[("arr_0.npy".to_owned(), npy("<f4", "False", &shape, &singles))]);
    let line = |row: &[f32; VALUES]| row.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let names = (0..VALUES).map(|column| format!("p{column}")).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = rows.iter().enumerate().map(|(row, values)| format!("{row},{}\n", line(values))).collect();
    std::fs::write(folder.join("table.csv"), format!("label,{names}\n{}", lines.concat())).unwrap();
    parquet(&folder.join("table.parquet"), rows);
    let pictures: Vec<(String, Vec<u8>)> =
        rows.iter().enumerate().map(|(row, values)| (format!("digits/{row:02}.png"), picture(values))).collect();
    zip(&folder.join("pictures.zip"), &pictures);
    std::fs::create_dir_all(folder.join("pictures/digits")).unwrap();
    for (name, bytes) in pictures {
        std::fs::write(folder.join("pictures").join(name), bytes).unwrap();
    }
    std::fs::write(folder.join("pictures/notes.txt"), "what is no picture").unwrap();
}

#[tokio::test]
async fn a_model_says_of_files_as_people_save_them_what_it_says_of_plain_arrays() {
    let mut stack = Stack::start().await;
    stack.start_worker("one", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    let rows = rows();
    write_inputs(&shell.folder, &rows);

    let infer = async |input: &str, more: &[&str]| {
        let output = format!("{}.out.npy", input.replace('.', "_"));
        let first = ["infer", "--model", "digits.onnx", "--input", input, "--output", &output];
        let run = shell.run(&[&first, more].concat()).await;
        assert!(run.status.success(), "{input}: {}", text(&run.stderr));
        (std::fs::read(shell.folder.join(output)).unwrap(), text(&run.stderr))
    };
    let (expected, _) = infer("plain.npy", &[]).await;
    // The sample's values are the pixels' levels, 0 to 16.
    let scale = ["--divide-by", "1"];
    let cases: [(&str, Vec<&str>, &str); 6] = [
        ("packed.npz", vec![], "packed.npz: 12 rows"),
        ("double.npy", vec!["--cast"], "cast from float64"),
        ("table.csv", vec!["--leave-out", "label"], "without the columns label"),
        ("table.parquet", vec![], "12 rows"),
        ("pictures.zip", [scale.as_slice(), &["--picture-names", "names.txt"]].concat(), "12 pictures in the order"),
        ("pictures", scale.to_vec(), "a file that is no picture is left out"),
    ];
    for (input, more, says) in cases {
        let (found, said) = infer(input, &more).await;
        assert!(found == expected, "{input} is answered otherwise than the plain array");
        assert!(said.contains(says), "{input}: {said}");
    }
    let names = std::fs::read_to_string(shell.folder.join("names.txt")).unwrap();
    assert_eq!((names.lines().count(), names.lines().nth(2)), (ROWS, Some("digits/02.png")));
}

#[tokio::test]
async fn what_does_not_fit_says_which_option_changes_it_and_costs_nothing() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let rows = rows();
    let one = rows[0].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    for (name, bytes) in [
        ("double.npy", npy("<f8", "False", "(1, 1, 8, 8)", &doubles(&rows[..1]))),
        ("one.npy", npy("<f4", "False", "(1, 8, 8)", &one)),
        ("none.npy", npy("<f4", "False", "(0, 1, 8, 8)", &[])),
        ("none.csv", b"a,b\n".to_vec()),
        ("empty.csv", Vec::new()),
        ("odd.csv", b"a,b\n1,2\n".to_vec()),
        ("cut.jpg", cut_jpeg()),
    ] {
        std::fs::write(shell.folder.join(name), bytes).unwrap();
    }

    for (input, code, says) in [
        ("double.npy", 3, "--cast"),
        ("one.npy", 3, "--add-batch"),
        ("none.npy", 3, "no rows"),
        ("none.csv", 3, "no rows"),
        ("empty.csv", 2, "'empty.csv' is empty"),
        ("odd.csv", 3, "the model reads 64 values a row"),
        ("cut.jpg", 3, "'the picture' cannot be read, and may be damaged: the file is cut short"),
    ] {
        let refused = shell.run(&["infer", "--model", "digits.onnx", "--input", input, "--output", "out.npy"]).await;
        assert_eq!(refused.status.code(), Some(code), "{input}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(says), "{input}: {}", text(&refused.stderr));
    }
    let quote =
        shell.run(&["--json", "quote", "infer", "--model", "digits.onnx", "--input", "one.npy", "--add-batch"]).await;
    assert!(quote.status.success(), "{}", text(&quote.stderr));
    let said = events(&quote.stderr);
    assert!(
        said.iter().any(|event| event["event"] == "arrays" && event["arrays"][0]["batch_added"] == true),
        "{said:?}"
    );
}

#[tokio::test]
async fn the_order_form_shows_what_becomes_of_a_table_before_it_is_paid() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    write_inputs(&shell.folder, &rows());
    let browser = Browser::start(Gpu::None).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&shell.key).await.unwrap()).await;
    browser.open(&format!("{}/jobs/new", stack.url())).await;

    browser.choose("#model", &digits::file("digits.onnx")).await;
    browser.choose("#input", &shell.folder.join("table.csv")).await;
    browser.text_where("#input-error", SOON, |text| text.contains("65 columns")).await;
    browser.script("const field = document.getElementById('leave-out'); field.value = 'label'; field.dispatchEvent(new Event('change', { bubbles: true }))").await;

    browser.text_where("#arrays-state", SOON, |text| text.contains("float32 [12, 1, 8, 8]")).await;
    browser.text_where("[data-testid=quote]", SOON, |quote| quote.contains("12")).await;
    browser.close().await;
}
