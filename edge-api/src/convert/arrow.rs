//! What Arrow's own schema says of a Parquet file's columns. Parquet has no type for a span of time, so that one is kept as
//! whole numbers, and only the schema that Arrow lays beside it tells.
//!
//! It is a message in the layout of flatbuffers: tables, whose fields are found by way of a table of their offsets.
//! See <https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What the schema is called among a file's notes.
pub const NOTE: &str = "ARROW:schema";
/// Fields on the way to a column; a schema may lead around in a circle.
const FIELDS_MAX: u32 = 64;
/// Of a record.
const CHILDREN_MAX: usize = 1 << 10;

/// Places in Arrow's tables, and its numbers of types.
const MESSAGE_HEADER: usize = 2;
const SCHEMA_FIELDS: usize = 1;
const FIELD_NAME: usize = 0;
const FIELD_TYPE: usize = 2;
const FIELD_CHILDREN: usize = 5;
const DURATION: u8 = 18;
const STRUCT: u8 = 13;
const MAP: u8 = 17;
/// Of any length, of a fixed one, long ones, and those that lie in any order.
const LISTS: [u8; 5] = [12, 16, 21, 25, 26];

pub struct Schema {
    message: Vec<u8>,
}

impl Schema {
    /// `None` for what is no schema.
    pub fn read(note: &str) -> Option<Self> {
        let mut message = STANDARD.decode(note).ok()?;
        // Before the message stand a mark and its length, of which older files have the latter alone.
        let start = if message.starts_with(&[0xff; 4]) { 8 } else { 4 };
        message.drain(..start.min(message.len()));
        Some(Self { message })
    }

    /// Whether a column holds spans of time: the one of this path, whose first part is the table's field at `place`. What cannot
    /// be read says nothing.
    pub fn is_duration(&self, place: usize, path: &[String]) -> bool {
        let buffer = Buffer(&self.message);
        let found = || {
            let schema = buffer.child(buffer.follow(0)?, MESSAGE_HEADER)?;
            let field = buffer.element(buffer.field(schema, SCHEMA_FIELDS)?, place)?;
            let (name, rest) = path.split_first()?;
            let is_it = buffer.text(field, FIELD_NAME) == Some(name.as_bytes());
            is_it.then(|| leads_to_one(buffer, field, rest)).flatten()
        };
        found().unwrap_or(false)
    }
}

/// Whether the field is such a one, or leads to one: what holds one thing alone, as a list does, leads to that, and a record to
/// that of the next name. Parquet's path has parts besides, which Arrow has no fields for: `list.element`, `key_value`.
fn leads_to_one(buffer: Buffer<'_>, mut field: usize, mut path: &[String]) -> Option<bool> {
    for _ in 0..FIELDS_MAX {
        let kind = *buffer.0.get(buffer.field(field, FIELD_TYPE)?)?;
        let Some(children) = buffer.field(field, FIELD_CHILDREN).filter(|_| kind != DURATION) else {
            return Some(kind == DURATION);
        };
        let parts_besides = match kind {
            MAP => 1,
            kind if LISTS.contains(&kind) => 2,
            _ => 0,
        };
        path = path.get(parts_besides..).unwrap_or_default();
        let count = usize::try_from(buffer.number(buffer.follow(children)?)?).ok()?;
        field = if kind == STRUCT {
            let (name, rest) = path.split_first()?;
            path = rest;
            let named = |place: &usize| {
                let field = buffer.element(children, *place);
                field.and_then(|field| buffer.text(field, FIELD_NAME)) == Some(name.as_bytes())
            };
            buffer.element(children, (0..count.min(CHILDREN_MAX)).find(named)?)?
        } else if count == 1 {
            buffer.element(children, 0)?
        } else {
            return Some(false);
        };
    }
    None
}

/// Offsets are within it, or lead nowhere.
#[derive(Clone, Copy)]
struct Buffer<'a>(&'a [u8]);

impl<'a> Buffer<'a> {
    fn number(self, at: usize) -> Option<u32> {
        self.0.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Where an offset leads.
    fn follow(self, at: usize) -> Option<usize> {
        at.checked_add(usize::try_from(self.number(at)?).ok()?)
    }

    /// Where an element of a list of tables leads. `at` is where the list's offset is.
    fn element(self, at: usize, place: usize) -> Option<usize> {
        let list = self.follow(at)?;
        let is_there = place < usize::try_from(self.number(list)?).ok()?;
        self.follow(list.checked_add(4)?.checked_add(place.checked_mul(4)?)?).filter(|_| is_there)
    }

    /// Where a table's field lies, where it has it.
    fn field(self, table: usize, place: usize) -> Option<usize> {
        let back = self.number(table)?.cast_signed();
        let offsets = isize::try_from(table).ok()?.checked_sub(isize::try_from(back).ok()?)?;
        let at = usize::try_from(offsets).ok()?.checked_add(4 + 2 * place)?;
        let len = self.0.get(usize::try_from(offsets).ok()?..)?.first_chunk()?;
        if usize::from(u16::from_le_bytes(*len)) < 6 + 2 * place {
            return None;
        }
        let offset = usize::from(u16::from_le_bytes(*self.0.get(at..)?.first_chunk()?));
        (offset > 0).then_some(table + offset)
    }

    /// The table that a field leads to.
    fn child(self, table: usize, place: usize) -> Option<usize> {
        self.follow(self.field(table, place)?)
    }

    fn text(self, table: usize, place: usize) -> Option<&'a [u8]> {
        let at = self.child(table, place)?;
        self.0.get(at.checked_add(4)?..)?.get(..usize::try_from(self.number(at)?).ok()?)
    }
}
