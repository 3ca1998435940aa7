//! Models whose tensors lie in files beside them: one `.zip` holds the model and those files, and
//! nothing outside it is ever read.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use gpu_kernels::number::to;

use crate::error::ModelError;
use crate::proto;

/// How a zip file begins.
pub(crate) const ZIP: &[u8] = b"PK\x03\x04";
/// Files of one model, and their bytes together once unpacked.
const FILES_MAX: usize = 4096;
const BYTES_MAX: u64 = 512 << 20;

type Files = HashMap<String, Vec<u8>>;

/// The model of an archive, and the files beside it by their names.
pub(crate) fn unpack(bytes: &[u8]) -> Result<(Vec<u8>, Files), ModelError> {
    let not_onnx = |reason: String| ModelError::NotOnnx { reason };
    let damaged = |_error| not_onnx("the .zip is damaged".to_owned());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > FILES_MAX {
        return Err(not_onnx(format!("the .zip holds {} files; at most {FILES_MAX}", archive.len())));
    }
    let (mut model, mut files, mut room) = (None, Files::new(), BYTES_MAX);
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|_unreadable| {
            not_onnx("the .zip holds a file that cannot be read; pack it without encryption".to_owned())
        })?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().to_owned();
        let mut content = Vec::new();
        // What it says of its size is not believed.
        file.take(room + 1).read_to_end(&mut content).map_err(|_error| not_onnx(format!("'{name}' is damaged")))?;
        room = room
            .checked_sub(to(content.len()))
            .ok_or_else(|| not_onnx(format!("the .zip unpacks to more than {BYTES_MAX} bytes")))?;
        if name.ends_with(".onnx") {
            if model.replace((name, content)).is_some() {
                return Err(not_onnx("the .zip holds two .onnx files".to_owned()));
            }
        } else {
            files.insert(name, content);
        }
    }
    let (name, model) = model.ok_or_else(|| not_onnx("the .zip holds no .onnx file".to_owned()))?;
    // Locations are relative to the model's own folder.
    if let Some((folder, _)) = name.rsplit_once('/') {
        let prefix = format!("{folder}/");
        files =
            files.into_iter().filter_map(|(name, file)| Some((name.strip_prefix(&prefix)?.to_owned(), file))).collect();
    }
    Ok((model, files))
}

/// Puts the bytes of files into the tensors that name them.
pub(crate) fn resolve(graph: &mut proto::Graph, files: &Files) -> Result<(), ModelError> {
    for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.data_location == 1) {
        let entry =
            |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone());
        let location = entry("location").unwrap_or_default();
        let outside = || ModelError::ExternalFile { tensor: tensor.name.clone(), location: location.clone() };
        let file = files.get(location.strip_prefix("./").unwrap_or(&location)).ok_or_else(outside)?;
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<usize>().map(Some).map_err(|_malformed| outside()),
        };
        let first = number("offset")?.unwrap_or(0);
        let rest = file.get(first..).ok_or_else(outside)?;
        let own = match number("length")? {
            Some(len) => rest.get(..len).ok_or_else(outside)?,
            None => rest,
        };
        tensor.raw_data = own.to_vec();
        tensor.data_location = 0;
        tensor.external_data.clear();
    }
    Ok(())
}
