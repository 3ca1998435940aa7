//! A zip of pictures, as the API's examples have it made into an array.

use std::collections::BTreeMap;

use wire::{
    ArraysToMake, Blob, BlobHash, DType, FileKind, MadeArray, MadeArrays, PictureChannels, PictureLayout,
    PictureReading, Resize, ResizeFilter, TableReading,
};

const ROWS: u64 = 2;

pub(super) fn arrays_to_make(file: BlobHash, model: BlobHash) -> ArraysToMake {
    ArraysToMake {
        file,
        model,
        input: None,
        cast: false,
        add_batch: false,
        table: TableReading::default(),
        pictures: PictureReading {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            ..PictureReading::default()
        },
    }
}

pub(super) fn made_arrays(hash: BlobHash) -> MadeArrays {
    let array = made_array();
    let values: u64 = array.shape.iter().product();
    MadeArrays {
        blob: Blob { hash, size: 128 + values * array.dtype.bytes() },
        kind: FileKind::Pictures,
        unchanged: false,
        rows: ROWS,
        arrays: vec![array],
        table: None,
        pictures: Some(picture_reading()),
        files: vec!["cats/1.jpg".to_owned(), "cats/2.jpg".to_owned()],
    }
}

pub(super) fn made_array() -> MadeArray {
    let (name, shape) = ("images".to_owned(), vec![ROWS, 3, 224, 224]);
    MadeArray { name, dtype: DType::Float32, shape, cast_from: None, batch_added: false }
}

pub(super) fn picture_reading() -> PictureReading {
    PictureReading {
        width: Some(224),
        height: Some(224),
        resize: Some(Resize::Stretch),
        shorter_side: None,
        pad_value: None,
        filter: Some(ResizeFilter::Bilinear),
        layout: Some(PictureLayout::Nchw),
        channels: Some(PictureChannels::Rgb),
        divide_by: Some(255.0),
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
    }
}

pub(super) fn table_reading() -> TableReading {
    TableReading {
        header: Some(true),
        delimiter: Some(','),
        columns: BTreeMap::from([("pixels".to_owned(), vec!["2-785".to_owned()])]),
        leave_out: vec!["label".to_owned()],
        missing: Some("0".to_owned()),
    }
}
