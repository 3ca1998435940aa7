//! What a job runs. A program is a file here: what a customer asks for, and what a device does with a
//! lease's rows. It has one line in the table below.
//!
//! A lease's input holds the rows of each input after one another, then each shared input whole. Its
//! output holds row after row, and in each row the outputs in order; a program may note after each tile what its rows took.
//! Values are little-endian.

pub mod infer;
pub mod map;
mod properties;

use serde::{Deserialize, Serialize};

use self::infer::{Infer, InferTask};
use self::map::{Map, MapTask};
use self::properties::{OrderProperties, TaskProperties};
use crate::{BlobHash, Field};

/// The table: each program with what it does, its order and its task.
macro_rules! programs {
    ($($(#[$doc:meta])* $name:ident($order:ty, $task:ty),)+) => {
        /// What a customer asks for.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Program {
            $($(#[$doc])* $name($order),)+
        }

        /// What a device does with the rows of a lease.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Task {
            $($(#[$doc])* $name($task),)+
        }

        impl Program {
            fn properties(&self) -> &dyn OrderProperties {
                match self {
                    $(Self::$name(order) => order,)+
                }
            }
        }

        impl Task {
            fn properties(&self) -> &dyn TaskProperties {
                match self {
                    $(Self::$name(task) => task,)+
                }
            }
        }
    };
}

programs! {
    /// A model over the rows of arrays.
    Infer(Infer, InferTask),
    /// A kernel of the customer's own over the records of a file.
    Map(Map, MapTask),
}

impl Program {
    /// The order's fields that name files, like `model` or `inputs.mask`.
    pub fn file_fields(&self) -> Vec<String> {
        self.properties().file_fields()
    }
}

impl Task {
    /// Program and kernel version, as receipts name them.
    pub fn program(&self) -> &'static str {
        self.properties().version()
    }

    /// The program's name, without the version: what a device's standing goes by.
    pub fn program_name(&self) -> &'static str {
        let program = self.program();
        program.split_once('/').map_or(program, |(name, _version)| name)
    }

    /// The customer's code: a model or a kernel.
    pub fn code(&self) -> BlobHash {
        self.properties().code()
    }

    /// Every blob that a device needs besides the rows.
    pub fn blobs(&self) -> Vec<BlobHash> {
        match self {
            Self::Infer(task) => vec![task.model],
            Self::Map(task) => std::iter::once(task.kernel).chain(task.params).collect(),
        }
    }

    pub fn inputs(&self) -> Vec<Field> {
        self.properties().inputs()
    }

    pub fn outputs(&self) -> Vec<Field> {
        self.properties().outputs()
    }

    /// Bytes of a row over all inputs that have rows.
    pub fn row_bytes(&self) -> u64 {
        self.properties().row_bytes()
    }

    /// Bytes of the inputs that all rows share.
    pub fn shared_bytes(&self) -> u64 {
        self.properties().shared_bytes()
    }

    /// Bytes of an output row.
    pub fn out_bytes(&self) -> u64 {
        self.properties().out_bytes()
    }

    /// Bytes that follow the rows of each tile in an output, and say what they took.
    pub fn tile_note_bytes(&self) -> u64 {
        self.properties().tile_note_bytes()
    }

    /// Operations that each tile of a lease did not need of those that it was lent for, by what the output notes; nothing
    /// for a program without notes.
    pub fn flops_left(&self, output: &[u8], tile_rows: u64) -> impl Iterator<Item = u64> {
        let noted = if self.tile_note_bytes() > 0 { output } else { &[] };
        let tile_bytes = usize::try_from(self.output_bytes(tile_rows, 1)).unwrap_or(usize::MAX);
        noted.chunks(tile_bytes.max(1)).filter_map(map::split_tile).map(|(_, left)| left.into())
    }

    /// Bytes of so many rows' output, cut into so many tiles.
    pub fn output_bytes(&self, rows: u64, tiles: u64) -> u64 {
        rows.saturating_mul(self.out_bytes()).saturating_add(tiles.saturating_mul(self.tile_note_bytes()))
    }
}
