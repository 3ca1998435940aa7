//! How the files of a model's inputs are to be read, as it was typed and chosen.

use std::collections::BTreeMap;

use leptos::prelude::*;
use wire::{
    ArraysToMake, BlobHash, PictureChannels, PictureLayout, PictureReading, Resize, ResizeFilter, TableReading,
};

/// Empty is what the server finds out, or what it usually does.
#[derive(Clone, Copy)]
pub struct InputReading {
    pub cast: RwSignal<bool>,
    pub add_batch: RwSignal<bool>,
    /// `yes` or `no`.
    pub header: RwSignal<String>,
    pub columns: RwSignal<String>,
    pub leave_out: RwSignal<String>,
    pub missing: RwSignal<String>,
    /// As in `224x224`.
    pub size: RwSignal<String>,
    pub resize: RwSignal<String>,
    pub shorter_side: RwSignal<String>,
    pub filter: RwSignal<String>,
    pub layout: RwSignal<String>,
    pub channels: RwSignal<String>,
    pub divide_by: RwSignal<String>,
    pub mean: RwSignal<String>,
    pub std: RwSignal<String>,
}

impl InputReading {
    pub fn new() -> Self {
        let empty = || RwSignal::new(String::new());
        Self {
            cast: RwSignal::new(false),
            add_batch: RwSignal::new(false),
            header: empty(),
            columns: empty(),
            leave_out: empty(),
            missing: empty(),
            size: empty(),
            resize: empty(),
            shorter_side: empty(),
            filter: empty(),
            layout: empty(),
            channels: empty(),
            divide_by: empty(),
            mean: empty(),
            std: empty(),
        }
    }

    /// `Err` with what was typed where that is no number.
    pub fn request(self, file: BlobHash, model: BlobHash, input: Option<String>) -> Result<ArraysToMake, String> {
        Ok(ArraysToMake {
            file,
            model,
            cast: self.cast.get(),
            add_batch: self.add_batch.get(),
            table: self.table(input.as_deref()),
            pictures: self.pictures()?,
            input,
        })
    }

    fn table(self, input: Option<&str>) -> TableReading {
        let (columns, missing) = (list(&self.columns.get()), self.missing.get());
        // What is typed is for the one input that there is.
        let name = input.unwrap_or_default().to_owned();
        TableReading {
            header: match self.header.get().as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            delimiter: None,
            columns: if columns.is_empty() { BTreeMap::new() } else { BTreeMap::from([(name, columns)]) },
            leave_out: list(&self.leave_out.get()),
            missing: Some(missing.trim().to_owned()).filter(|missing| !missing.is_empty()),
        }
    }

    fn pictures(self) -> Result<PictureReading, String> {
        let size = size_of(&self.size.get())?;
        let resize = chosen(&self.resize.get(), Resize::ALL, Resize::name);
        let shorter_side = number(&self.shorter_side.get())?;
        Ok(PictureReading {
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            resize,
            // It is typed for one way of resizing, and stays typed when another is chosen.
            shorter_side: shorter_side.filter(|_| resize == Some(Resize::Crop)),
            pad_value: None,
            filter: chosen(&self.filter.get(), ResizeFilter::ALL, ResizeFilter::name),
            layout: chosen(&self.layout.get(), PictureLayout::ALL, PictureLayout::name),
            channels: chosen(&self.channels.get(), PictureChannels::ALL, PictureChannels::name),
            divide_by: number(&self.divide_by.get())?,
            mean: numbers(&self.mean.get())?,
            std: numbers(&self.std.get())?,
        })
    }
}

fn chosen<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Option<T> {
    all.iter().copied().find(|choice| name(*choice) == text)
}

fn list(text: &str) -> Vec<String> {
    text.split([',', '，']).map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> Result<Option<T>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_no_number| text.to_owned())
}

fn numbers(text: &str) -> Result<Vec<f32>, String> {
    list(text).iter().filter_map(|part| number(part).transpose()).collect()
}

/// One number stands for both sides.
fn size_of(text: &str) -> Result<Option<(u32, u32)>, String> {
    let (width, height) = text.split_once(['x', 'X', '×', '*']).unwrap_or((text, text));
    match (number(width), number(height)) {
        (Ok(width), Ok(height)) => Ok(width.zip(height)),
        _ => Err(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_as_people_type_it() {
        assert_eq!(size_of(" 640 × 480"), Ok(Some((640, 480))));
        assert_eq!(size_of("224"), Ok(Some((224, 224))));
        assert_eq!(size_of(""), Ok(None));
        assert_eq!(size_of("large"), Err("large".to_owned()));
        assert_eq!(numbers("0.485, 0.456，0.406"), Ok(vec![0.485, 0.456, 0.406]));
        assert_eq!(numbers("0.4;0.5"), Err("0.4;0.5".to_owned()));
        assert_eq!(list(" id, label ,"), ["id", "label"]);
        assert_eq!(chosen("pad", Resize::ALL, Resize::name), Some(Resize::Pad));
    }
}
