//! Files as people keep them, made into the arrays that a model reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::array::DType;
use crate::id::BlobHash;
use crate::job::Blob;

/// A file and the model that its rows are for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct ArraysToMake {
    /// `.npy`, `.npz`, CSV, Parquet, a picture or a zip of pictures, uploaded before.
    pub file: BlobHash,
    /// ONNX, uploaded before. Its inputs say which types and shapes are wanted.
    pub model: BlobHash,
    /// The one input that the file is for; left out, all of the model's.
    #[cfg_attr(feature = "openapi", schema(example = "images"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Change the type of an array's values to the one that the model reads, where every value fits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cast: bool,
    /// Take an array that lacks its first axis as one row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub add_batch: bool,
    /// How a CSV or Parquet file is read.
    #[serde(default, skip_serializing_if = "TableReading::is_default")]
    pub table: TableReading,
    /// How pictures become values.
    #[serde(default, skip_serializing_if = "PictureReading::is_default")]
    pub pictures: PictureReading,
}

/// How a table is read. What is left out follows from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct TableReading {
    /// The first line has names, not values. Left out, it has names where some of it is no number. For CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Between two values. Left out, the one of comma, semicolon and tab that the first line has most of. For CSV.
    #[cfg_attr(feature = "openapi", schema(example = ","))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// By input, the columns that feed it: names, numbers counted from one, or numbers from and to, as in `2-785`.
    #[cfg_attr(feature = "openapi", schema(example = json!({ "age": ["age"], "pixels": ["2-785"] })))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Vec<String>>,
    /// Columns that feed nothing, such as an index or a label.
    #[cfg_attr(feature = "openapi", schema(example = json!(["label"])))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
    /// The number that stands for a missing value, or `nan`. Left out, a missing value is refused.
    #[cfg_attr(feature = "openapi", schema(example = "0"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// How pictures become values. What is left out follows from the model, or has the value said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct PictureReading {
    /// Pixels across; left out, the model's.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 224))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down; left out, the model's.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 224))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How a picture of another size gets to that size; left out, it is stretched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// For `crop`: the shorter side after resizing, out of which the middle is cut. Left out, as little as possible is cut
    /// off.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shorter_side: Option<u32>,
    /// For `pad`: the value, 0 to 255, of what surrounds the picture; left out, 0.
    #[cfg_attr(feature = "openapi", schema(example = 114))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_value: Option<u8>,
    /// How pixels are weighed in resizing, as Pillow does it; left out, bilinear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ResizeFilter>,
    /// The order of the axes; left out, the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<PictureLayout>,
    /// The values of a pixel; left out, `grey` where the model reads one channel, else `rgb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<PictureChannels>,
    /// What the values 0 to 255 are divided by; left out, 255 where the model reads floats, else 1.
    #[cfg_attr(feature = "openapi", schema(example = 255.0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divide_by: Option<f32>,
    /// Taken off after dividing: one number, or one a channel in their order. Left out, 0.
    #[cfg_attr(feature = "openapi", schema(example = json!([0.485, 0.456, 0.406])))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f32>,
    /// Divided by last: one number, or one a channel in their order. Left out, 1.
    #[cfg_attr(feature = "openapi", schema(example = json!([0.229, 0.224, 0.225])))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f32>,
}

impl TableReading {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl PictureReading {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Choices with their names in requests and on the command line.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $choice:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$of])* $choice,)+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$choice,)+];

            /// As JSON has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$choice => $text,)+
                }
            }
        }
    )+};
}

choices! {
    /// How a picture gets to another size.
    Resize {
        /// Both sides to the size, whatever the proportions.
        Stretch = "stretch",
        /// Until it covers the size; the middle is cut out.
        Crop = "crop",
        /// Until it fits into the size; the rest is filled.
        Pad = "pad",
    }
    /// How pixels are weighed in resizing.
    ResizeFilter {
        /// The nearest pixel.
        Nearest = "nearest",
        /// Over a triangle, as wide as what becomes a pixel.
        Bilinear = "bilinear",
        /// Over a cubic of Catmull and Rom's.
        Bicubic = "bicubic",
        /// Over a windowed sinc of three lobes.
        Lanczos = "lanczos",
    }
    /// The order of a picture's axes.
    PictureLayout {
        /// Channel by channel.
        Nchw = "nchw",
        /// Pixel by pixel.
        Nhwc = "nhwc",
    }
    /// The values of a pixel.
    PictureChannels {
        /// Red, green, blue.
        Rgb = "rgb",
        /// Blue, green, red.
        Bgr = "bgr",
        /// Brightness: 0.299 red, 0.587 green, 0.114 blue.
        Grey = "grey",
    }
    /// What a file was.
    FileKind {
        /// One array.
        Npy = "npy",
        /// Arrays by name.
        Npz = "npz",
        /// Lines of text.
        Csv = "csv",
        /// A table in columns.
        Parquet = "parquet",
        /// A picture, or a zip of them.
        Pictures = "pictures",
    }
}

/// The arrays that a file became, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeArrays {
    /// A job's `input`, or one of its `inputs`: `.npy` for one array, `.npz` for several. The file itself where it was
    /// what the model reads.
    pub blob: Blob,
    /// What the file was.
    pub kind: FileKind,
    /// The file is used as it is: nothing was changed, and nothing stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// How many rows.
    pub rows: u64,
    /// In the model's order.
    pub arrays: Vec<MadeArray>,
    /// How the table was read, all of it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableReading>,
    /// How pictures became values, all of it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PictureReading>,
    /// The pictures' names row by row: they are in the order of their names.
    #[cfg_attr(feature = "openapi", schema(example = json!(["cats/1.jpg", "cats/2.jpg"])))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// One array that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeArray {
    /// The model's input.
    #[cfg_attr(feature = "openapi", schema(example = "images"))]
    pub name: String,
    /// The type of its values.
    pub dtype: DType,
    /// With the rows first.
    #[cfg_attr(feature = "openapi", schema(example = json!([1000, 3, 224, 224])))]
    pub shape: Vec<u64>,
    /// The type that its values had, where they were cast.
    #[cfg_attr(feature = "openapi", schema(example = "float64"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cast_from: Option<String>,
    /// An axis of one row was put in front.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub batch_added: bool,
}
