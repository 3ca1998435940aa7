//! Messages of a device's socket.
//!
//! A text message is one frame, as JSON. A binary message begins with a byte that says what follows it: a part of what a
//! frame announced ([`PART`]), or frames with what goes along with them ([`FRAMES`]): of each the length of its JSON and
//! of the bytes that go along, four bytes little-endian each, then the JSON, then those bytes.
//!
//! So the input of a small lease comes with its grant and the output goes with its commit, in one message.

use std::str;

use crate::{FromDevice, ToDevice};

/// First byte of a binary message with a part of what a frame announced.
pub const PART: u8 = 0;
/// First byte of a binary message with frames.
pub const FRAMES: u8 = 1;

/// Largest message either way, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Largest input or output of a lease that goes along with its frame, in bytes.
pub const SMALL_BYTES_MAX: u64 = 16 << 10;

const LENGTH_BYTES: usize = 4;

/// A binary message that is not frames, or is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a binary message should hold whole frames: lengths, JSON, and bytes that the frame has room for")]
pub struct BrokenMessage;

/// A frame that may have bytes going along with it.
pub trait Frame {
    /// What goes along; empty where nothing does.
    fn along(&self) -> &[u8];

    /// Takes what came along. Fails for a frame that has no use for it.
    fn take_along(&mut self, bytes: &[u8]) -> Result<(), BrokenMessage>;
}

impl Frame for FromDevice {
    fn along(&self) -> &[u8] {
        match self {
            Self::Commit { output, .. } => output.as_deref().unwrap_or_default(),
            _ => &[],
        }
    }

    fn take_along(&mut self, bytes: &[u8]) -> Result<(), BrokenMessage> {
        match self {
            Self::Commit { output, .. } => take(output, bytes),
            _ => refuse(bytes),
        }
    }
}

impl Frame for ToDevice {
    fn along(&self) -> &[u8] {
        match self {
            Self::Lease(grant) => grant.input.as_deref().unwrap_or_default(),
            _ => &[],
        }
    }

    fn take_along(&mut self, bytes: &[u8]) -> Result<(), BrokenMessage> {
        match self {
            Self::Lease(grant) => take(&mut grant.input, bytes),
            _ => refuse(bytes),
        }
    }
}

fn take(field: &mut Option<Vec<u8>>, bytes: &[u8]) -> Result<(), BrokenMessage> {
    if crate::number::to::<u64>(bytes.len()) > SMALL_BYTES_MAX {
        return Err(BrokenMessage);
    }
    *field = (!bytes.is_empty()).then(|| bytes.to_vec());
    Ok(())
}

fn refuse(bytes: &[u8]) -> Result<(), BrokenMessage> {
    if bytes.is_empty() { Ok(()) } else { Err(BrokenMessage) }
}

/// Frames on their way into one binary message.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

impl Default for Packed {
    fn default() -> Self {
        Self(vec![FRAMES])
    }
}

impl Packed {
    /// Adds a frame by its JSON and what goes along. `false`: there is no room for it, and nothing was added.
    pub fn push(&mut self, json: &str, along: &[u8]) -> bool {
        let has_room = self.0.len() + 2 * LENGTH_BYTES + json.len() + along.len() <= MESSAGE_BYTES_MAX;
        if has_room {
            for part in [json.as_bytes(), along] {
                self.0.extend(crate::number::to::<u32>(part.len()).to_le_bytes());
            }
            self.0.extend(json.as_bytes());
            self.0.extend(along);
        }
        has_room
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub fn into_message(self) -> Vec<u8> {
        self.0
    }
}

/// A part of what a frame announced, as a message.
pub fn part_message(part: &[u8]) -> Vec<u8> {
    [&[PART], part].concat()
}

/// What a binary message holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Unpacked<'a> {
    Part(&'a [u8]),
    /// The JSON of each frame, and what goes along with it.
    Frames(Vec<(&'a str, &'a [u8])>),
}

/// Takes a binary message apart. What goes along with a frame is for [`Frame::take_along`].
pub fn unpack(message: &[u8]) -> Result<Unpacked<'_>, BrokenMessage> {
    match message.split_first() {
        Some((&PART, part)) => Ok(Unpacked::Part(part)),
        Some((&FRAMES, mut rest)) => {
            let mut frames = Vec::new();
            while !rest.is_empty() {
                frames.push(split_frame(&mut rest).ok_or(BrokenMessage)?);
            }
            Ok(Unpacked::Frames(frames))
        }
        _ => Err(BrokenMessage),
    }
}

fn split_frame<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, &'a [u8])> {
    let (json_len, along_len) = (split_length(rest)?, split_length(rest)?);
    let json = split(rest, json_len)?;
    let along = split(rest, along_len)?;
    Some((str::from_utf8(json).ok()?, along))
}

fn split_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

fn split<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (part, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_of_a_message_as_they_went_in() {
        let mut packed = Packed::default();
        assert!(packed.is_empty());
        assert!(packed.push("{\"a\":\"ä\"}", &[1, 2, 0]));
        assert!(packed.push("{}", &[]));
        assert!(!packed.is_empty());

        let message = packed.into_message();

        let frames: Vec<(&str, &[u8])> = vec![("{\"a\":\"ä\"}", &[1, 2, 0]), ("{}", &[])];
        assert_eq!(unpack(&message), Ok(Unpacked::Frames(frames)));
        assert_eq!(unpack(&part_message(&[7, 8])), Ok(Unpacked::Part(&[7, 8])));
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_broken() {
        let mut packed = Packed::default();
        packed.push("{}", &[1, 2, 3]);
        let message = packed.into_message();
        for len in 2..message.len() {
            assert_eq!(unpack(&message[..len]), Err(BrokenMessage), "{len}");
        }
        for other in [&[][..], &[2, 0], &[FRAMES, 255, 255, 255, 255, 255, 255, 255, 255]] {
            assert_eq!(unpack(other), Err(BrokenMessage));
        }
        let no_text = [&[FRAMES][..], &1u32.to_le_bytes(), &0u32.to_le_bytes(), &[0xff]].concat();
        assert_eq!(unpack(&no_text), Err(BrokenMessage));
    }

    #[test]
    fn a_message_grows_no_larger_than_the_other_side_takes() {
        let mut packed = Packed::default();
        let along = vec![0; 16 << 10];
        let added = (0..10).filter(|_| packed.push("{}", &along)).count();
        assert_eq!(added, 3);
        assert!(packed.into_message().len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn only_commits_and_grants_have_bytes_along_and_few() {
        let mut ready = FromDevice::Ready;
        assert_eq!(ready.take_along(&[]), Ok(()));
        assert_eq!(ready.take_along(&[1]), Err(BrokenMessage));
        let mut field = None;
        assert_eq!(take(&mut field, &vec![0; 16 << 10]), Ok(()));
        assert_eq!(take(&mut field, &vec![0; (16 << 10) + 1]), Err(BrokenMessage));
    }
}
