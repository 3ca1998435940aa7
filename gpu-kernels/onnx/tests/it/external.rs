//! Models that keep their tensors in files beside them.

use std::io::{Cursor, Write};

use onnx::proto::{Entry, Tensor};
use onnx::{Feed, Graph, ModelError};
use proptest::prelude::*;
use prost::Message;
use zip::write::SimpleFileOptions;

use crate::build::{floats, model, node};
use crate::{bits, floats as as_floats};

fn kept_at(location: &str, offset: Option<&str>, length: Option<&str>) -> Tensor {
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    let mut tensor = floats("w", &[2], vec![]);
    tensor.data_location = 1;
    tensor.external_data = vec![entry("location", location)];
    tensor.external_data.extend(offset.map(|offset| entry("offset", offset)));
    tensor.external_data.extend(length.map(|length| entry("length", length)));
    tensor
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut zip = zip::ZipWriter::new(&mut bytes);
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    bytes.into_inner()
}

/// `y = x + w`, where `w` lies in `weights.bin` beside the model.
fn packed(tensor: Tensor, folder: &str) -> Vec<u8> {
    let model = model(vec![node("Add", &["x", "w"], "y", vec![])], vec![tensor]).encode_to_vec();
    let weights: Vec<u8> = [9.0f32, 1.0, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    archive(&[
        (&format!("{folder}model.onnx"), &model),
        (&format!("{folder}weights.bin"), &weights),
        ("notes.txt", b"no"),
    ])
}

#[test]
fn a_model_and_its_files_in_one_zip_are_one_model() {
    for folder in ["", "export/"] {
        for location in ["weights.bin", "./weights.bin"] {
            let graph = Graph::parse(&packed(kept_at(location, Some("4"), Some("8")), folder)).unwrap();

            let plan = graph.plan(1, &[Feed::Rows(vec![2])]).unwrap();

            assert_eq!(as_floats(&plan.run(&[&bits(&[10.0, 20.0])])[0]), [11.0, 22.0]);
        }
    }
}

#[test]
fn nothing_outside_the_upload_is_read() {
    let secret = std::env::temp_dir().join("tessera-not-yours.bin");
    std::fs::write(&secret, [0; 64]).unwrap();
    let absolute = secret.display().to_string();
    let cases = [
        ("../weights.bin", None, None),
        (absolute.as_str(), None, None),
        ("missing.bin", None, None),
        ("weights.bin", Some("400"), None),
        ("weights.bin", Some("4"), Some("900")),
        ("weights.bin", Some("-1"), None),
        ("weights.bin", Some("18446744073709551616"), None),
    ];
    for (location, offset, length) in cases {
        let error = Graph::parse(&packed(kept_at(location, offset, length), "export/")).unwrap_err();

        let expected = ModelError::ExternalFile { tensor: "w".to_owned(), location: location.to_owned() };
        assert_eq!(error, expected);
    }
    // The whole file is more than the tensor holds.
    let error = Graph::parse(&packed(kept_at("weights.bin", None, None), "")).unwrap_err();
    assert!(matches!(error, ModelError::TensorSize { .. }), "{error}");
}

#[test]
fn an_archive_that_is_not_one_model_is_refused() {
    let is_refused = |files: &[(&str, &[u8])], says: &str| {
        let error = Graph::parse(&archive(files)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    is_refused(&[("weights.bin", b"x")], "no .onnx file");
    is_refused(&[("a.onnx", b"x"), ("b.onnx", b"y")], "two .onnx files");
    let many: Vec<String> = (0..4097).map(|number| format!("{number}.bin")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    is_refused(&many, "at most 4096");
    assert!(Graph::parse(b"PK\x03\x04 and then nothing").unwrap_err().to_string().contains("damaged"));
}

proptest! {
    #[test]
    fn no_damage_to_an_archive_makes_it_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = packed(kept_at("weights.bin", Some("4"), Some("8")), "");
        for (place, byte) in damage {
            let place = 4 + place.index(bytes.len() - 4);
            bytes[place] = byte;
        }
        drop(Graph::parse(&bytes));
    }
}
