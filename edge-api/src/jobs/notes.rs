//! What a program notes after each tile of a lease's output is no part of the result.

use bytes::Bytes;
use wire::{Field, Job};

use crate::programs;

/// How a job's outputs are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileNotes {
    /// Rows of a tile, in bytes.
    tile_bytes: u64,
    note_bytes: u64,
}

impl TileNotes {
    pub fn of(job: &Job) -> Self {
        let row_bytes: u64 = job.outputs.iter().map(Field::bytes).sum();
        Self { tile_bytes: job.tile_rows * row_bytes, note_bytes: programs::tile_note_bytes(&job.program) }
    }

    /// Takes the notes out of a lease's output, which holds `bytes` of rows and comes piece by piece.
    pub fn strip(self, bytes: u64) -> impl FnMut(Bytes) -> Bytes + Send {
        let mut left = bytes;
        let (mut in_tile, mut in_note) = (self.tile_bytes.min(left), self.note_bytes);
        move |piece| {
            if self.note_bytes == 0 {
                return piece;
            }
            let mut kept = Vec::with_capacity(piece.len());
            let mut rest = &piece[..];
            while !rest.is_empty() && (in_tile > 0 || in_note > 0) {
                let part = if in_tile > 0 { &mut in_tile } else { &mut in_note };
                let len = usize::try_from(*part).unwrap_or(usize::MAX).min(rest.len());
                let (now, after) = rest.split_at(len);
                *part -= wire::number::to::<u64>(len);
                if in_note == self.note_bytes {
                    kept.extend_from_slice(now);
                    left -= wire::number::to::<u64>(len);
                } else if in_note == 0 && left > 0 {
                    (in_tile, in_note) = (self.tile_bytes.min(left), self.note_bytes);
                }
                rest = after;
            }
            kept.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_taken_out_however_the_bytes_arrive() {
        let notes = TileNotes { tile_bytes: 3, note_bytes: 4 };
        // Two whole tiles and one of a row, each with its note.
        let output = b"abc----def----g----";

        for size in 1..=output.len() {
            let mut strip = notes.strip(7);
            let kept: Vec<u8> = output.chunks(size).flat_map(|piece| strip(Bytes::copy_from_slice(piece))).collect();

            assert_eq!(kept, b"abcdefg", "in pieces of {size}");
        }
        assert_eq!(TileNotes { tile_bytes: 3, note_bytes: 0 }.strip(7)(Bytes::from_static(b"abcdefg")), "abcdefg");
    }
}
