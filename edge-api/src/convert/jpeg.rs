//! Whether a JPEG is all there. Its decoder fills the rows that are missing with grey, and says nothing.

/// Whether the picture has its end. What follows that is the camera's, such as another picture.
pub fn is_whole(file: &[u8]) -> bool {
    let mut rest = file;
    // From one marker to the next: over what a segment says that it has, and over a scan's bytes, in which no other lie.
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        rest = &rest[at..];
        let Some(filled) = rest.iter().position(|byte| *byte != 0xff) else { return false };
        let marker = rest[filled];
        rest = &rest[filled + 1..];
        let len = match marker {
            0xd9 => return true,
            // A byte of a scan that looks like a marker, restarts and the beginning have no length.
            0x00 | 0x01 | 0xd0..=0xd8 => Some(0),
            _ => rest.first_chunk().map(|len| usize::from(u16::from_be_bytes(*len))),
        };
        let Some(behind) = len.and_then(|len| rest.get(len..)) else { return false };
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_belongs_to_the_picture_is_one() {
        // A segment in which an end stands, as a small picture within the picture has it, then a scan with a restart.
        let whole = b"\xff\xd8\xff\xe1\x00\x06\xff\xd8\xff\xd9\xff\xda\x00\x03\x01abc\xff\x00d\xff\xd0e\xff\xff\xd9";
        assert!(is_whole(whole) && is_whole(&[whole, b"trailing\xff".as_slice()].concat()));
        for cut in 0..whole.len() {
            assert!(!is_whole(&whole[..cut]), "{cut} bytes");
        }
    }
}
