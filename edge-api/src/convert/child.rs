//! The child's side: one order, within limits that it sets on itself before it reads it.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use wire::number::to;

use super::input::{Input, Ranges};
use super::message::{Head, Outcome, PIECE_MAX, Refused, TEXT_MAX};
use super::order::Order;
use super::run::run as convert;
use crate::compile::child::{limit_process, limit_processor};

/// Converts one file.
pub fn run(memory: u64, seconds: u32) -> anyhow::Result<()> {
    limit_process(memory)?;
    limit_processor(seconds)?;
    let order: Order = serde_json::from_slice(&read_order()?)?;
    let input = Input::new(order.size, Pipe);
    let converted = catch_unwind(AssertUnwindSafe(|| convert(&input, &order, &mut Pieces)));
    let outcome = converted.map_or_else(|_panic| given_up(), Outcome::from);
    let text = serde_json::to_vec(&outcome)?;
    let mut output = io::stdout().lock();
    output.write_all(&Head::End { len: to(text.len()) }.bytes())?;
    output.write_all(&text)?;
    Ok(output.flush()?)
}

fn given_up() -> Outcome {
    let message = "the file cannot be read, and may be damaged: its reader gave up".to_owned();
    Outcome::Refused(Refused { code: wire::ErrorCode::InvalidInput, field: "file".to_owned(), message, detail: None })
}

fn read_order() -> anyhow::Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    let mut len = [0; 8];
    input.read_exact(&mut len)?;
    let len = u64::from_le_bytes(len);
    anyhow::ensure!(len <= TEXT_MAX, "an order should be short");
    let mut order = vec![0; to(len)];
    input.read_exact(&mut order)?;
    Ok(order)
}

/// The file, as the server reads it out.
struct Pipe;

impl Ranges for Pipe {
    fn read(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        let mut bytes = vec![0; to(range.end - range.start)];
        let starts = (range.start..range.end).step_by(to(PIECE_MAX));
        for (start, piece) in starts.zip(bytes.chunks_mut(to(PIECE_MAX))) {
            let mut output = io::stdout().lock();
            output.write_all(&Head::Read { start, len: to(piece.len()) }.bytes())?;
            output.flush()?;
            io::stdin().lock().read_exact(piece)?;
        }
        Ok(bytes.into())
    }
}

/// Where what is made goes.
struct Pieces;

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(to(PIECE_MAX))];
        let mut output = io::stdout().lock();
        output.write_all(&Head::Piece { len: to(piece.len()) }.bytes())?;
        output.write_all(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}
