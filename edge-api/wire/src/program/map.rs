//! `map`: a customer's WGSL kernel over the records of a file.

use serde::{Deserialize, Serialize};

use super::properties::{OrderProperties, TaskProperties};
use crate::number::to;
use crate::{BlobHash, Check, DType, Field, WordRun};

/// Program and kernel version, as receipts name them.
pub const VERSION: &str = "map/2";

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct Map {
    /// WGSL: `main`, one invocation a record.
    pub kernel: BlobHash,
    /// Records, one after another.
    pub input: BlobHash,
    /// Of an input record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub record_bytes: u32,
    /// Of an output record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub out_bytes: u32,
    /// What `@binding(2)` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<BlobHash>,
    /// Operations that the loops of one record may take; left out, what they need at most, or a million where the text does
    /// not tell how often they turn.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u32>,
    /// When two outputs are the same; left out, `exact` for integers and 1e-4, 1e-6 for floats. For
    /// integers that follow from floats it says how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Records a tile; left out, the edge chooses.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_records: Option<u32>,
}

/// What a device does with a lease's records: a row is a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapTask {
    /// WGSL, as the customer wrote it.
    pub kernel: BlobHash,
    /// Of an input record, in bytes.
    pub record_bytes: u32,
    /// Of an output record, in bytes.
    pub out_bytes: u32,
    /// Operations that the loops of one record may take.
    pub fuel: u32,
    /// What `@binding(2)` holds; left out where the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<BlobHash>,
    /// Types of an output record's words, over and over to its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordRun>,
}

impl OrderProperties for Map {
    fn file_fields(&self) -> Vec<String> {
        let fields = [Some("kernel"), Some("input"), self.params.map(|_| "params")];
        fields.into_iter().flatten().map(str::to_owned).collect()
    }
}

impl TaskProperties for MapTask {
    fn version(&self) -> &'static str {
        VERSION
    }

    fn code(&self) -> BlobHash {
        self.kernel
    }

    fn inputs(&self) -> Vec<Field> {
        vec![records("records", self.record_bytes)]
    }

    /// Of words where they are all of one type, else of bytes.
    fn outputs(&self) -> Vec<Field> {
        let mut types = self.words.iter().map(|run| run.dtype);
        let first = types.next().filter(|first| types.all(|dtype| dtype == *first));
        let bytes = records("results", self.out_bytes);
        vec![match first {
            Some(dtype) => Field { dtype, shape: vec![u64::from(self.out_bytes / 4)], ..bytes },
            None => bytes,
        }]
    }

    fn tile_note_bytes(&self) -> u64 {
        to(FUEL_LEFT_BYTES)
    }
}

/// After each tile's records: the fuel that they left, all together, as a little-endian word. A job is held for all of
/// it, and charged for what was used.
pub const FUEL_LEFT_BYTES: usize = 4;

impl MapTask {
    /// Whether two outputs of one tile are the same by the job's rule, records and fuel. `words` are the types of an output
    /// record's, over and over.
    pub fn tiles_agree(&self, check: Check, words: &[WordRun], found: &[u8], expected: &[u8]) -> bool {
        let (Some((found, found_left)), Some((expected, expected_left))) = (split_tile(found), split_tile(expected))
        else {
            return false;
        };
        let records = to::<u64>(found.len()) / u64::from(self.out_bytes.max(1));
        check.holds(words, found, expected) && check.fuel_holds(records, self.fuel, found_left, expected_left)
    }
}

/// A tile's records, and the fuel that they left. `None` where it is too short for a tile.
pub fn split_tile(tile: &[u8]) -> Option<(&[u8], u32)> {
    let (records, left) = tile.split_last_chunk::<FUEL_LEFT_BYTES>()?;
    Some((records, u32::from_le_bytes(*left)))
}

/// A run's output: the records of each tile, `tile_bytes` of them but in the last one, and what they left.
pub fn join_tiles(records: &[u8], tile_bytes: usize, fuel_left: &[u32]) -> Vec<u8> {
    let mut output = Vec::with_capacity(records.len() + FUEL_LEFT_BYTES * fuel_left.len());
    for (tile, left) in records.chunks(tile_bytes.max(1)).zip(fuel_left) {
        output.extend_from_slice(tile);
        output.extend_from_slice(&left.to_le_bytes());
    }
    output
}

/// Records are bytes.
fn records(name: &str, bytes: u32) -> Field {
    Field { name: name.to_owned(), dtype: DType::Uint8, shape: vec![u64::from(bytes)], shared: false, whole: false }
}

/// A kernel as the server's gate emits it, for devices that have no gate of their own: a tab takes
/// its programs from the server anyway, and its browser checks each shader again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GatedKernel {
    /// The text that a device compiles: the kernel with fuel and bounds written in.
    pub wgsl: String,
    /// Invocations a workgroup.
    pub workgroup_size: u32,
    /// Of `@binding(2)`.
    #[cfg_attr(feature = "openapi", schema(example = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_bytes: Option<u32>,
    /// Line of each loop in the customer's text, counted from one.
    pub loop_lines: Vec<u32>,
    /// The most operations that a record can take.
    pub ops: u64,
}

/// A kernel to be passed through the gate without running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct KernelToCheck {
    /// WGSL.
    pub kernel: String,
    /// Of an input record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub record_bytes: u32,
    /// Of an output record, in bytes.
    #[cfg_attr(feature = "openapi", schema(multiple_of = 4, minimum = 4))]
    pub out_bytes: u32,
    /// Operations that the loops of one record may take; left out, what they need at most, or a million where the text does
    /// not tell how often they turn.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u32>,
}

/// What the gate says of a kernel that it lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KernelReport {
    /// Invocations a workgroup.
    pub workgroup_size: u32,
    /// Of `@binding(2)`; none where the kernel takes no parameters.
    #[cfg_attr(feature = "openapi", schema(example = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_bytes: Option<u32>,
    /// The most operations that a record can take, its fuel included.
    pub ops: u64,
    /// Operations that the loops of one record may take: what the request says, or what a job gets that says nothing.
    pub fuel: u32,
    /// The most that they can take, where every loop counts between bounds that the text tells.
    #[cfg_attr(feature = "openapi", schema(example = 1_856))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_needed: Option<u64>,
    /// Line of each loop, counted from one.
    pub loops: Vec<u32>,
    /// It computes with floats, so its job states a tolerance.
    pub floats: bool,
    /// Some word of its output is a float.
    pub answers_floats: bool,
    /// Some word of its output is an integer.
    pub answers_integers: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tile_is_followed_by_the_fuel_that_it_left() {
        let output = join_tiles(b"aabbc", 2, &[7, 8, 9]);

        let tiles: Vec<_> = output.chunks(2 + FUEL_LEFT_BYTES).filter_map(split_tile).collect();

        assert_eq!(tiles, [(&b"aa"[..], 7), (b"bb", 8), (b"c", 9)]);
        assert_eq!(split_tile(b"abc"), None);
    }

    #[test]
    fn results_have_their_words_type_where_it_is_one() {
        let task = |words: &[(DType, u32)]| MapTask {
            kernel: BlobHash([0; 32]),
            record_bytes: 4,
            out_bytes: 16,
            fuel: 100,
            params: None,
            words: words.iter().map(|&(dtype, words)| WordRun { dtype, words }).collect(),
        };
        let result = |words: &[(DType, u32)]| (task(words).outputs()[0].dtype, task(words).outputs()[0].shape.clone());

        assert_eq!(result(&[(DType::Float32, 4)]), (DType::Float32, vec![4]));
        assert_eq!(result(&[(DType::Float32, 2), (DType::Uint32, 2)]), (DType::Uint8, vec![16]));
        assert_eq!(result(&[]), (DType::Uint8, vec![16]), "nobody said what they are");
    }

    #[test]
    fn a_tile_whose_fuel_differs_is_another_tile() {
        let (kernel, words) = (BlobHash([0; 32]), Vec::new());
        let task = MapTask { kernel, record_bytes: 4, out_bytes: 4, fuel: 100, params: None, words };
        let tile = |left| join_tiles(&[5; 8], 8, &[left]);
        let agree = |a: &[u8], b: &[u8]| task.tiles_agree(Check::Exact, &[], a, b);

        assert!(agree(&tile(30), &tile(30)));
        assert!(!agree(&tile(30), &tile(31)));
        assert!(!agree(&tile(201), &tile(201)), "two records have 200");
        assert!(!agree(&tile(30), b"ab"));
    }
}
