//! The beginning of a result.

use wire::{ClassCount, JobPreview, OutputPreview, PreviewRow};

pub(super) fn preview_row() -> PreviewRow {
    PreviewRow { row: 0, values: vec!["-0.4375".to_owned(), "2.125".to_owned()] }
}

pub(super) fn output_preview() -> OutputPreview {
    OutputPreview {
        name: "logits".to_owned(),
        dtype: "float32".to_owned(),
        shape: vec![1000],
        first: vec![preview_row()],
        classes: vec![ClassCount { class: 207, rows: 418 }],
        pictures: 0,
    }
}

pub(super) fn job_preview() -> JobPreview {
    JobPreview { rows: 1048, outputs: vec![output_preview()] }
}
