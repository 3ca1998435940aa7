//! What a lease opens, sealed with a key that all replicas share: any of them can serve it, and it ends
//! with the lease's deadline.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rules::Job;
use rules::scheduling::link::Grant;
use serde::{Deserialize, Serialize};
use wire::{BlobHash, DeviceId, JobId, LeaseId, Micros, SliceId, Task};

/// What a lease opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseToken {
    pub lease: LeaseId,
    /// Whose lease it is, and what of its job: what a commit is held against by a replica that did not grant it.
    pub device: Option<DeviceId>,
    pub job: JobId,
    pub slice: Option<SliceId>,
    /// Counted over the job.
    pub tiles: Range<u64>,
    pub task: Task,
    pub rows: u64,
    pub input: Vec<(BlobHash, Range<u64>)>,
    deadline: Micros,
}

impl LeaseToken {
    /// `device`: whom the tiles are lent to, or nobody where they are only tried.
    pub fn new(device: Option<DeviceId>, job: &Job, grant: &Grant) -> Self {
        let tiles = job.tiles(grant.tiles.clone());
        Self {
            lease: grant.lease,
            device,
            job: job.id,
            slice: grant.slice,
            tiles: grant.tiles.clone(),
            task: job.task.clone(),
            rows: tiles.rows(),
            input: tiles.input_parts(),
            deadline: grant.deadline,
        }
    }

    pub fn output_bytes(&self) -> u64 {
        self.task.output_bytes(self.rows, self.tiles.end - self.tiles.start)
    }

    pub fn expires_at(&self) -> Micros {
        self.deadline
    }

    pub fn seal(&self, secret: &[u8; 32]) -> String {
        let body = serde_json::to_vec(self).expect("a lease token should serialise");
        let mac = blake3::keyed_hash(secret, &body);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode(mac.as_bytes()))
    }

    /// `None` for anything that we did not seal, or whose lease is over.
    pub fn open(text: &str, secret: &[u8; 32], now: Micros) -> Option<Self> {
        let (body, mac) = text.split_once('.')?;
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        let mac: [u8; 32] = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        // Comparing two `Hash`es takes the same time wherever they differ.
        if blake3::keyed_hash(secret, &body) != blake3::Hash::from_bytes(mac) {
            return None;
        }
        let token: Self = serde_json::from_slice(&body).ok()?;
        (now <= token.deadline).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use wire::InferTask;

    use super::*;

    fn token() -> LeaseToken {
        LeaseToken {
            device: Some(DeviceId([1; 32])),
            job: JobId::from_parts(1, [0; 10]),
            slice: Some(SliceId::from_parts(1, [0; 10])),
            tiles: 0..4,
            lease: LeaseId([3; 16]),
            task: Task::Infer(InferTask { model: BlobHash([1; 32]), inputs: Vec::new(), outputs: Vec::new() }),
            rows: 7,
            input: vec![(BlobHash([2; 32]), 128..256)],
            deadline: 1000,
        }
    }

    #[test]
    fn a_token_opens_until_its_deadline_and_not_with_another_key() {
        let sealed = token().seal(&[7; 32]);

        assert_eq!(LeaseToken::open(&sealed, &[7; 32], 1000), Some(token()));
        assert_eq!(LeaseToken::open(&sealed, &[7; 32], 1001), None);
        assert_eq!(LeaseToken::open(&sealed, &[8; 32], 0), None);
    }

    #[test]
    fn a_token_that_was_altered_does_not_open() {
        let sealed = token().seal(&[7; 32]);
        let wider = LeaseToken { input: vec![(BlobHash([2; 32]), 0..1 << 20)], ..token() }.seal(&[9; 32]);
        let (_, mac) = sealed.split_once('.').unwrap();
        let (body, _) = wider.split_once('.').unwrap();

        for text in [format!("{body}.{mac}"), String::new(), ".".into(), sealed.replace('.', "")] {
            assert_eq!(LeaseToken::open(&text, &[7; 32], 0), None, "{text}");
        }
    }
}
