//! Inputs of leases, of which many lie side by side: read a block at a time, and the next ones from memory.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use wire::BlobHash;

const BLOCK: u64 = 256 << 10;
/// A larger part is read by itself.
const SMALL_PART: u64 = 64 << 10;
const BYTES_MAX: u64 = 64 << 20;
/// A block that was damaged where it lies is read anew after this.
const LASTS: Duration = Duration::from_secs(60);

/// Blocks of blobs, by which of its blob each is.
#[derive(Clone, Debug)]
pub(super) struct Blocks(Cache<(BlobHash, u64), Bytes>);

impl Default for Blocks {
    fn default() -> Self {
        let weigh = |_key: &(BlobHash, u64), block: &Bytes| u32::try_from(block.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(BYTES_MAX).weigher(weigh).time_to_live(LASTS).build())
    }
}

impl Blocks {
    /// A part of a blob, as much of it as there is; `read` reads a range of it where it lies.
    pub(super) async fn read<E: Send + Sync + 'static>(
        &self,
        blob: BlobHash,
        range: Range<u64>,
        read: impl AsyncFnOnce(Range<u64>) -> Result<Bytes, E>,
    ) -> Result<Bytes, Arc<E>> {
        let block = range.start / BLOCK;
        let first = block * BLOCK;
        let is_in_one = range.end <= first + BLOCK;
        if range.is_empty() || range.end - range.start > SMALL_PART || !is_in_one {
            return Ok(read(range).await?);
        }
        let bytes = self.0.try_get_with((blob, block), read(first..first + BLOCK)).await?;
        Ok(cut(&bytes, &(range.start - first..range.end - first)))
    }
}

/// As much of a range as there is, as stores do it.
pub(super) fn cut(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use wire::number::to;

    use super::*;

    /// A blob in a place that counts how often it is asked.
    struct Stored {
        bytes: Bytes,
        asked: AtomicUsize,
    }

    impl Stored {
        fn new() -> Self {
            let bytes: Vec<u8> = (0..to::<usize>(BLOCK) * 2 + 1000).map(|at| to(at % 251)).collect();
            Self { bytes: bytes.into(), asked: AtomicUsize::new(0) }
        }

        async fn read(&self, blocks: &Blocks, range: Range<u64>) -> Bytes {
            let read = async |part: Range<u64>| {
                self.asked.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(cut(&self.bytes, &part))
            };
            blocks.read(BlobHash([1; 32]), range, read).await.unwrap()
        }
    }

    #[tokio::test]
    async fn parts_are_what_their_blob_says_wherever_blocks_begin_and_end() {
        let (stored, blocks) = (Stored::new(), Blocks::default());

        for range in [
            0..4,
            BLOCK - 4..BLOCK,
            BLOCK - 2..BLOCK + 2,
            2 * BLOCK + 996..2 * BLOCK + 1000,
            5..5,
            0..SMALL_PART + 1,
            0..2 * BLOCK + 1000,
        ] {
            let read = stored.read(&blocks, range.clone()).await;
            assert_eq!(read, stored.bytes[to(range.start)..to(range.end)], "{range:?}");
        }
        assert_eq!(stored.read(&blocks, 2 * BLOCK + 998..2 * BLOCK + 1002).await.len(), 2, "there is no more");
    }

    #[tokio::test]
    async fn small_parts_side_by_side_are_read_once() {
        let (stored, blocks) = (Stored::new(), Blocks::default());

        for start in 0..1000 {
            stored.read(&blocks, start * 4..start * 4 + 4).await;
        }

        assert_eq!(stored.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_asked_for_again() {
        let (stored, blocks) = (Stored::new(), Blocks::default());
        let fails = async |_: Range<u64>| Err::<Bytes, _>(std::io::Error::other("no disk"));

        assert_eq!(blocks.read(BlobHash([1; 32]), 0..4, fails).await.unwrap_err().to_string(), "no disk");

        assert_eq!(stored.read(&blocks, 0..4).await, stored.bytes[..4]);
    }
}
