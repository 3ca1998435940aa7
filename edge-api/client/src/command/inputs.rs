//! A model's inputs as people keep them: how their files are read, and a folder of pictures as one file.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use client::Client;
use wire::{
    ArraysToMake, BlobHash, DType, FileKind, MadeArray, MadeArrays, PictureChannels, PictureLayout, PictureReading,
    Resize, ResizeFilter, TableReading,
};

use super::input_kind::{Takers, refuse_other_files};
use super::pack::{pack, unwritten};
use crate::failure::Failure;
use crate::notes::Notes;

/// Of a `.npy` file's head, in which it says whether it is what jobs read.
const HEAD_BYTES: u64 = 256;

/// How the files of inputs are read.
#[derive(clap::Args)]
#[command(next_help_heading = "Arrays")]
pub(crate) struct InputOptions {
    /// Change the type of an array's values to the one that the model reads, where every value fits: float64 to float32,
    /// int64 to int32.
    #[arg(long)]
    cast: bool,
    /// Take an array that lacks its first axis as one row.
    #[arg(long)]
    add_batch: bool,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    pictures: PictureOptions,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Tables (CSV, Parquet)")]
struct TableOptions {
    /// The columns that feed the model: names, numbers from one or ranges such as 2-785, with commas between them. Left
    /// out, all of them in their order, or each input's own.
    #[arg(long, value_name = "[INPUT=]COLUMNS")]
    columns: Vec<String>,
    /// Columns that feed nothing, such as an index or a label.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    leave_out: Vec<String>,
    /// Whether the first line of a CSV file has names (yes, no); left out, it has where some of it is no number.
    #[arg(long, value_name = "YES or NO", value_parser = parse_yes)]
    header: Option<bool>,
    /// Between two values of a CSV file: a character, or `tab`; left out, comma, semicolon or tab.
    #[arg(long, value_parser = parse_delimiter)]
    delimiter: Option<char>,
    /// The number that stands for a missing value, or nan; left out, a missing value is refused.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    missing: Option<String>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Pictures (JPEG, PNG, WebP, GIF, BMP)")]
struct PictureOptions {
    /// Pixels across and down; left out, as the model reads them.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// How a picture gets to that size: stretch, crop (cover it, cut the middle out) or pad (fit into it, fill the rest);
    /// left out, stretch.
    #[arg(long, value_name = "HOW", value_parser = parse_resize)]
    resize: Option<Resize>,
    /// With crop: the shorter side after resizing, out of which the middle is cut.
    #[arg(long, value_name = "PIXELS")]
    shorter_side: Option<u32>,
    /// With pad: the value, 0 to 255, around the picture.
    #[arg(long, value_name = "VALUE")]
    pad_value: Option<u8>,
    /// How pixels are weighed, as Pillow does it: nearest, bilinear, bicubic or lanczos; left out, bilinear.
    #[arg(long, value_parser = parse_filter)]
    filter: Option<ResizeFilter>,
    /// The order of the axes, nchw or nhwc; left out, the model's.
    #[arg(long, value_parser = parse_layout)]
    layout: Option<PictureLayout>,
    /// The values of a pixel, rgb, bgr or grey; left out, grey where the model reads one channel, else rgb.
    #[arg(long, value_parser = parse_channels)]
    channels: Option<PictureChannels>,
    /// What the values 0 to 255 are divided by; left out, 255 where the model reads floats, else 1.
    #[arg(long, value_name = "NUMBER", value_parser = parse_finite)]
    divide_by: Option<f32>,
    /// Taken off after that: one number, or one a channel with commas between them.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_hyphen_values = true, value_parser = parse_finite)]
    mean: Vec<f32>,
    /// Divided by last: one number, or one a channel with commas between them.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = parse_finite)]
    std: Vec<f32>,
    /// Where the pictures' names go, a line a row. Rows are in the order of the names.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    picture_names: Option<PathBuf>,
}

fn choice<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let known = all.iter().copied().find(|choice| name(*choice) == text);
    let names: Vec<&str> = all.iter().copied().map(name).collect();
    known.ok_or_else(|| format!("it must be one of {}", names.join(", ")))
}

fn parse_resize(text: &str) -> Result<Resize, String> {
    choice(text, Resize::ALL, Resize::name)
}

fn parse_filter(text: &str) -> Result<ResizeFilter, String> {
    choice(text, ResizeFilter::ALL, ResizeFilter::name)
}

fn parse_layout(text: &str) -> Result<PictureLayout, String> {
    choice(&text.to_ascii_lowercase(), PictureLayout::ALL, PictureLayout::name)
}

fn parse_channels(text: &str) -> Result<PictureChannels, String> {
    choice(&text.to_ascii_lowercase(), PictureChannels::ALL, PictureChannels::name)
}

fn parse_yes(text: &str) -> Result<bool, String> {
    choice(text, &[true, false], |yes| if yes { "yes" } else { "no" })
}

fn parse_delimiter(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (text, chars.next(), chars.next()) {
        ("tab" | "\\t", _, _) => Ok('\t'),
        (_, Some(one), None) => Ok(one),
        _ => Err("it must be one character, or tab".to_owned()),
    }
}

/// Neither `nan` nor `inf`, which no pixel is scaled by.
fn parse_finite(text: &str) -> Result<f32, String> {
    let number = text.trim().parse().ok().filter(|number: &f32| number.is_finite());
    number.ok_or_else(|| format!("'{text}' is no finite number"))
}

/// One number stands for both sides.
fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let (width, height) = text.split_once(['x', 'X']).unwrap_or((text, text));
    let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| *side > 0);
    side(width).zip(side(height)).ok_or_else(|| format!("'{text}' is no size, which looks like 224x224"))
}

/// What a file is for.
pub(crate) struct Wanted<'a> {
    pub model: BlobHash,
    /// The one input that it is for, where it was named.
    pub input: Option<&'a str>,
}

/// What a file of rows became.
pub(crate) struct Sent {
    /// What a job takes.
    pub hash: BlobHash,
    /// What that is called, where it is another file.
    pub name: Option<String>,
    /// The pictures' names, row by row.
    pictures: Vec<String>,
}

impl InputOptions {
    /// Refuses what was said and is for none of the files of rows, before anything is uploaded.
    pub(crate) fn check(&self, files: &[&Path]) -> Result<(), Failure> {
        let arrays = [("--cast", self.cast), ("--add-batch", self.add_batch)];
        let mut said: Vec<(&str, Takers)> = arrays.into_iter().filter_map(of(Takers::Arrays)).collect();
        said.extend(self.table.said());
        said.extend(self.pictures.said());
        refuse_other_files(&said, files)
    }

    /// Where the pictures' names go.
    pub(crate) fn picture_names(&self) -> Option<&Path> {
        self.pictures.picture_names.as_deref()
    }

    /// Uploads a file of rows, and has it made into arrays unless it is one already.
    pub(crate) async fn send(
        &self,
        client: &Client,
        notes: &Notes,
        path: &Path,
        wanted: Wanted<'_>,
    ) -> Result<Sent, Failure> {
        let folder = if path.is_dir() { Some(pack(path, notes).await?) } else { None };
        let file = client.upload(folder.as_ref().map_or(path, |packed| packed.path())).await?;
        if !self.cast && !self.add_batch && is_plain(path) {
            return Ok(Sent { hash: file.hash, name: None, pictures: Vec::new() });
        }
        let request = self.request(file.hash, &wanted);
        let made = client.make_arrays(&request).await?;
        if !made.unchanged {
            let message = format!("{}: {}", path.display(), describe(&made));
            notes.say("arrays", &message, serde_json::to_value(&made).unwrap_or_default());
        }
        let name = if made.unchanged { None } else { made_name(path, &made) };
        Ok(Sent { hash: made.blob.hash, name, pictures: made.files })
    }

    /// Writes the names of the pictures, where that is asked for.
    pub(crate) fn write_picture_names(&self, sent: &[&Sent]) -> Result<(), Failure> {
        let Some(file) = &self.pictures.picture_names else { return Ok(()) };
        let mut lists = sent.iter().map(|sent| &sent.pictures).filter(|pictures| !pictures.is_empty());
        let (Some(names), None) = (lists.next(), lists.next()) else {
            let message = "--picture-names is for one zip or folder of pictures".to_owned();
            return Err(Failure::Usage { message });
        };
        let text: String = names.iter().flat_map(|name| [name, "\n"]).collect();
        fs::write(file, text).map_err(|source| unwritten(file, source))
    }

    fn request(&self, file: BlobHash, wanted: &Wanted<'_>) -> ArraysToMake {
        ArraysToMake {
            file,
            model: wanted.model,
            input: wanted.input.map(str::to_owned),
            cast: self.cast,
            add_batch: self.add_batch,
            table: self.table.reading(wanted.input),
            pictures: self.pictures.reading(),
        }
    }
}

/// An option that was said, and which files it is for.
fn of(takers: Takers) -> impl Fn((&'static str, bool)) -> Option<(&'static str, Takers)> {
    move |(option, is_said)| is_said.then_some((option, takers))
}

impl TableOptions {
    fn said(&self) -> impl Iterator<Item = (&'static str, Takers)> {
        let all = [
            ("--columns", !self.columns.is_empty()),
            ("--leave-out", !self.leave_out.is_empty()),
            ("--missing", self.missing.is_some()),
        ];
        let csv = [("--header", self.header.is_some()), ("--delimiter", self.delimiter.is_some())];
        all.into_iter().filter_map(of(Takers::Tables)).chain(csv.into_iter().filter_map(of(Takers::Csv)))
    }

    /// `input` is the one that the table is for. What was said for others is not said of it.
    fn reading(&self, input: Option<&str>) -> TableReading {
        let mut reading = TableReading {
            header: self.header,
            delimiter: self.delimiter,
            leave_out: self.leave_out.clone(),
            missing: self.missing.clone(),
            ..TableReading::default()
        };
        for said in &self.columns {
            let (name, columns) = said.split_once('=').unwrap_or((input.unwrap_or_default(), said));
            if input.is_none_or(|input| input == name) {
                let columns = columns.split(',').map(|column| column.trim().to_owned());
                reading.columns.entry(name.to_owned()).or_default().extend(columns);
            }
        }
        reading
    }
}

impl PictureOptions {
    fn said(&self) -> impl Iterator<Item = (&'static str, Takers)> {
        let all = [
            ("--size", self.size.is_some()),
            ("--resize", self.resize.is_some()),
            ("--shorter-side", self.shorter_side.is_some()),
            ("--pad-value", self.pad_value.is_some()),
            ("--filter", self.filter.is_some()),
            ("--layout", self.layout.is_some()),
            ("--channels", self.channels.is_some()),
            ("--divide-by", self.divide_by.is_some()),
            ("--mean", !self.mean.is_empty()),
            ("--std", !self.std.is_empty()),
        ];
        let several = [("--picture-names", self.picture_names.is_some())];
        all.into_iter()
            .filter_map(of(Takers::AllPictures))
            .chain(several.into_iter().filter_map(of(Takers::SeveralPictures)))
    }

    fn reading(&self) -> PictureReading {
        PictureReading {
            width: self.size.map(|(width, _)| width),
            height: self.size.map(|(_, height)| height),
            resize: Some(self.resize.unwrap_or(Resize::Stretch)),
            shorter_side: self.shorter_side,
            pad_value: self.pad_value,
            filter: Some(self.filter.unwrap_or(ResizeFilter::Bilinear)),
            layout: self.layout,
            channels: self.channels,
            divide_by: self.divide_by,
            mean: self.mean.clone(),
            std: self.std.clone(),
        }
    }
}

/// Whether a file is a `.npy` that jobs take as it is. What cannot be told here the server is asked.
fn is_plain(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let text = String::from_utf8_lossy(&head);
    let is_ours = |dtype: DType| text.contains(&format!("'descr': '{}'", dtype.descr()));
    read.is_ok()
        && head.starts_with(b"\x93NUMPY")
        && text.contains("'fortran_order': False")
        && DType::ALL.into_iter().any(is_ours)
}

/// After its file, with the ending of what it is.
fn made_name(path: &Path, made: &MadeArrays) -> Option<String> {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let ending = if made.arrays.len() > 1 { "npz" } else { "npy" };
    stem.map(|stem| format!("{}.{ending}", stem.to_string_lossy()))
}

/// What became of a file, for whoever is about to pay for it.
fn describe(made: &MadeArrays) -> String {
    let rows = match made.kind {
        FileKind::Pictures if made.rows == 1 => "1 picture".to_owned(),
        FileKind::Pictures => format!("{} pictures in the order of their names", made.rows),
        FileKind::Npy | FileKind::Npz | FileKind::Csv | FileKind::Parquet if made.rows == 1 => "1 row".to_owned(),
        FileKind::Npy | FileKind::Npz | FileKind::Csv | FileKind::Parquet => format!("{} rows", made.rows),
    };
    let mut parts = vec![rows];
    parts.extend(made.arrays.iter().map(describe_array));
    parts.extend(made.pictures.iter().map(describe_pictures));
    if let Some(table) = made.table.as_ref().filter(|table| !table.leave_out.is_empty()) {
        parts.push(format!("without the columns {}", table.leave_out.join(", ")));
    }
    parts.join("; ")
}

fn describe_array(array: &MadeArray) -> String {
    let MadeArray { name, dtype, shape, cast_from, batch_added } = array;
    let cast = cast_from.as_ref().map_or_else(String::new, |from| format!(", cast from {from}"));
    let batch = if *batch_added { ", taken as one row" } else { "" };
    format!("{name} {} {shape:?}{cast}{batch}", dtype.name())
}

fn describe_pictures(reading: &PictureReading) -> String {
    let PictureReading { width, height, resize, shorter_side, pad_value, filter, .. } = reading;
    let (width, height) = (width.unwrap_or_default(), height.unwrap_or_default());
    let filter = filter.map_or("", ResizeFilter::name);
    let size = match resize.unwrap_or(Resize::Stretch) {
        Resize::Stretch => format!("stretched to {width}x{height}"),
        Resize::Crop => {
            let side = shorter_side.map_or_else(String::new, |side| format!("the shorter side to {side}, "));
            format!("{side}the middle cut to {width}x{height}")
        }
        Resize::Pad => format!("fitted into {width}x{height} filled with {}", pad_value.unwrap_or(0)),
    };
    let channels = reading.channels.map_or("", PictureChannels::name);
    let numbers = |numbers: &[f32]| numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let (divide_by, mean, std) = (reading.divide_by.unwrap_or(1.0), numbers(&reading.mean), numbers(&reading.std));
    format!("{size} ({filter}), {channels}, (value / {divide_by} - {mean}) / {std}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_choices_are_said_in_words() {
        assert_eq!(parse_size("640x480"), Ok((640, 480)));
        assert_eq!(parse_size("224"), Ok((224, 224)));
        assert!(parse_size("0x3").is_err() && parse_size("2x").is_err() && parse_size("x").is_err());
        assert_eq!(parse_layout("NCHW"), Ok(PictureLayout::Nchw));
        assert_eq!(parse_delimiter("tab"), Ok('\t'));
        assert_eq!(parse_finite(" -0.5"), Ok(-0.5));
        assert!(["nan", "inf", "1e99", "x", ""].into_iter().all(|text| parse_finite(text).is_err()));
        assert!(parse_resize("squeeze").unwrap_err().contains("stretch, crop, pad"));
    }

    #[test]
    fn columns_go_to_the_input_that_they_are_said_for() {
        let said = ["age=1,2", "sex=m"].map(str::to_owned).to_vec();
        let options =
            TableOptions { columns: said, leave_out: Vec::new(), header: None, delimiter: None, missing: None };
        let names = |input| options.reading(input).columns.into_keys().collect::<Vec<_>>();

        assert_eq!(names(None), ["age", "sex"]);
        assert_eq!(names(Some("sex")), ["sex"]);
    }

    #[test]
    fn only_what_jobs_read_as_it_is_needs_no_making() {
        let folder = tempfile::tempdir().unwrap();
        let is_plain_head = |descr: &str, fortran: &str| {
            let path = folder.path().join("x.npy");
            let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (2, 3), }}\n");
            fs::write(&path, [b"\x93NUMPY\x01\x00\x00\x00".as_slice(), text.as_bytes()].concat()).unwrap();
            is_plain(&path)
        };

        assert!(is_plain_head("<f4", "False") && is_plain_head("|u1", "False"));
        assert!(!is_plain_head("<f8", "False") && !is_plain_head(">f4", "False") && !is_plain_head("<f4", "True"));
        assert!(!is_plain(&folder.path().join("none.npy")));
    }
}
