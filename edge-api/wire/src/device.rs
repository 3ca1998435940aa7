//! Frames between the edge and a device, and the receipt that a device signs. How they become messages, `frame` says.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    BlobHash, ChallengeId, Credits, DeviceId, ErrorCode, JobId, LeaseId, Micros, Nonce, Signature, Task, TileHash,
};

/// Version of the frames and of the receipt's bytes. The edge refuses others by this number.
pub const PROTOCOL: u16 = 9;

/// What a device opens with, in answer to the edge's challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hello {
    /// The version of these frames that it speaks.
    pub protocol: u16,
    /// Its Ed25519 public key.
    pub device: DeviceId,
    /// Over [`Hello::signing_bytes`] of the challenge, and of the server that the device means.
    pub signature: Signature,
    /// What kind of program it is.
    pub class: DeviceClass,
    /// The adapter's name, as its driver gives it; 128 characters at most.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// What it computes with.
    pub backend: Backend,
    /// The adapter is a CPU's.
    pub software: bool,
    /// Largest buffer that a shader may read, in bytes.
    pub buffer_bytes_max: u64,
    /// It runs WGSL, so `map` jobs too.
    #[serde(default)]
    pub runs_kernels: bool,
    /// It would recompute what others did, unpaid, and is one of those that the server trusts to.
    #[serde(default)]
    pub checker: bool,
    /// It works for this job of its own account, and for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_job: Option<JobId>,
    /// An account's key, to earn for that account and run its `own` jobs; else the device is a guest.
    #[cfg_attr(feature = "openapi", schema(example = "tsk_59…"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A device code, to link the device to the account that made it. What the device earned as a
    /// guest goes along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceClass {
    Native,
    Tab,
}

impl DeviceClass {
    pub const ALL: [Self; 2] = [Self::Native, Self::Tab];

    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Tab => "tab",
        }
    }
}

/// From a device to the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::allow_attributes, clippy::large_enum_variant, reason = "large on 64 bits alone; frames are few")]
pub enum FromDevice {
    Hello(Box<Hello>),
    /// The device would take a lease.
    Ready,
    /// What the device says of an output that goes along, or that it has uploaded.
    Commit {
        /// What the device says.
        receipt: Receipt,
        /// Ed25519, over the receipt's bytes.
        signature: Signature,
        /// The token that came with the lease: any replica takes its receipt, also when the one that granted it is gone.
        token: String,
        /// The output, where it goes along: one of at most 16 KiB, behind the frame in its message.
        #[serde(skip)]
        output: Option<Vec<u8>>,
    },
    /// The device gives a lease back undone.
    Return {
        /// The lease that is given back.
        lease: LeaseId,
    },
    /// A record of the lease ran out of fuel: there is no output, and never will be.
    Fault {
        /// The lease that cannot be finished.
        lease: LeaseId,
        /// Counted over the job.
        tile: u64,
        /// Of the loop, counted from one.
        line: u32,
        /// It turned too often, though there was fuel left.
        turns: bool,
    },
    /// The lease's kernel does not compile on this device, or breaks it. The device wants no more of the job.
    CannotCompile {
        /// The lease that is given up.
        lease: LeaseId,
        /// What its compiler says; 500 characters at most.
        #[serde(deserialize_with = "text")]
        message: String,
    },
    /// How far the device got with a challenge. What it computed stays with it until the edge asks for rows of it.
    Proved {
        /// The challenge that is answered.
        challenge: ChallengeId,
        /// Matrices that were multiplied.
        steps: u32,
        /// BLAKE3 of the BLAKE3 hashes of the result's rows, in order; a row is its numbers in little-endian bytes.
        root: TileHash,
    },
    /// The device will take no more for a while; it keeps its socket.
    Rest,
}

/// From the edge to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::allow_attributes, clippy::large_enum_variant, reason = "large on 64 bits alone; frames are few")]
pub enum ToDevice {
    /// The socket's first frame, which the device's hello answers.
    Challenge {
        /// The version of these frames that the edge speaks.
        protocol: u16,
        /// Sixteen random bytes to sign.
        nonce: Nonce,
    },
    /// The hello was taken.
    Welcome(Earnings),
    /// Work, in answer to a `ready`.
    Lease(LeaseGrant),
    /// The lease is no longer this device's: its job ended, or its deadline passed.
    Revoke {
        /// The lease that is over.
        lease: LeaseId,
    },
    /// The lease's check passed and its tiles are settled.
    Settled {
        /// The lease that is settled.
        lease: LeaseId,
        /// Tiles of it that are paid.
        tiles: u32,
        /// What the account has earned with it.
        earnings: Earnings,
    },
    /// The tiles that the device recomputed for a check were taken. A checker is not paid for it; others are, once their word
    /// stands.
    Checked {
        /// The lease of that tile.
        lease: LeaseId,
    },
    /// The lease was not accepted; nothing is paid for it.
    Refused {
        /// The lease that came to nothing.
        lease: LeaseId,
        /// What to branch on.
        code: ErrorCode,
        /// What is wrong, for a person.
        message: String,
    },
    /// To be begun at once, before anything else that waits for the device.
    Prove(SpeedChallenge),
    /// To be answered with binary messages: BLAKE3 of the bytes that follow, then BLAKE3 of each row of what was computed,
    /// then the rows that are named. Until then the device is shown with no speed.
    Reveal {
        /// The challenge that was answered.
        challenge: ChallengeId,
        /// Counted from zero.
        rows: Vec<u32>,
        /// Random bytes that follow in binary messages, to measure the line; none where it was measured lately.
        probe_bytes: u32,
    },
    /// What the edge takes the device's speed to be after a challenge.
    Speed {
        /// Multiplications and additions of integers a second; 0 where the answer was wrong.
        ops_per_sec: u64,
    },
    /// The socket closes after this.
    Close {
        /// What to branch on.
        code: ErrorCode,
        /// What is wrong, for a person.
        message: String,
    },
}

/// A product of matrices that no device can know before, and none can compute for two at once. `gpu_kernels::challenge`
/// says what is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpeedChallenge {
    /// Names the challenge.
    pub challenge: ChallengeId,
    /// All matrices follow from it.
    pub seed: [u32; 4],
    /// Rows and columns of each matrix.
    pub side: u32,
    /// Matrices to multiply, one after another.
    pub steps: u32,
    /// The device stops after the step that ends later than this.
    pub millis: u32,
}

/// What the device's account has earned, and the device itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Earnings {
    /// Mature: free to spend.
    pub available: Credits,
    /// Settled, and waiting for the device's next checks.
    pub pending: Credits,
    /// What this very device was paid for its leases, over its life.
    #[serde(default)]
    pub by_device: Credits,
}

/// A range of tiles lent to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeaseGrant {
    /// Names the lease.
    pub lease: LeaseId,
    /// The job whose tiles these are.
    pub job: JobId,
    /// Counted over the job, from zero.
    pub first_tile: u64,
    /// How many, side by side.
    pub tiles: u32,
    /// Rows of the lease; every tile but a job's last has the same number.
    pub rows: u64,
    /// Rows of each tile but a job's last.
    pub tile_rows: u64,
    /// What to do with the rows.
    pub task: Task,
    /// Floating-point operations of the lease.
    pub flops: u64,
    /// Each float that the model computes is to be moved at random, by this seed, as far as devices may differ: asked of
    /// the operator's checkers alone, to see which integers lie near a tie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nudge: Option<u64>,
    /// Time until the lease goes to somebody else.
    pub deadline_millis: u64,
    /// Opens the lease's blobs at `/v1/leases/{token}/…`, on any replica, until the deadline.
    pub token: String,
    /// The input, where it comes along: one of at most 16 KiB, behind the frame in its message.
    #[serde(skip)]
    pub input: Option<Vec<u8>>,
}

/// A device's signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// The lease that was computed.
    pub lease: LeaseId,
    /// The job whose tiles these are.
    pub job: JobId,
    /// Counted over the job, from zero.
    pub first_tile: u64,
    /// How many, side by side.
    pub tiles: u32,
    /// Merkle root of the tiles' output hashes, in order.
    pub root: TileHash,
    /// BLAKE3 of all that was uploaded.
    pub output: BlobHash,
    /// Program and kernel version.
    #[serde(deserialize_with = "text")]
    pub program: String,
    /// What computed it.
    pub backend: Backend,
    /// When it was signed, by the device's clock.
    pub time: Micros,
}

impl Receipt {
    /// What is signed: a domain, then each field, texts with their length before them.
    pub fn signing_bytes(&self) -> Vec<u8> {
        let mut bytes = b"tessera.receipt.1\0".to_vec();
        bytes.extend(self.lease.0);
        bytes.extend(self.job.to_string().bytes());
        bytes.extend(self.first_tile.to_le_bytes());
        bytes.extend(self.tiles.to_le_bytes());
        bytes.extend(self.root.0);
        bytes.extend(self.output.0);
        for text in [&self.program, self.backend.name()] {
            bytes.extend(text_bytes(text));
        }
        bytes.extend(self.time.to_le_bytes());
        bytes
    }
}

impl Hello {
    /// The adapter's name as it is kept and shown: what cannot be seen, or turns the text beside it around, is a space.
    pub fn shown_name(&self) -> String {
        let is_unseen = |c: char| {
            c.is_control()
                || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        let seen = self.name.replace(is_unseen, " ");
        seen.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What a device signs to open its socket: a domain, the challenge, the server that it means, then each field, texts
    /// with their length before them. So a server cannot say a device's hello to another one, nor change a word of it.
    /// `origin` is the server's as the device knows it: scheme, host and port where that is not the scheme's own.
    pub fn signing_bytes(&self, nonce: Nonce, origin: &str) -> Vec<u8> {
        let mut bytes = b"tessera.hello.2\0".to_vec();
        bytes.extend(nonce.0);
        bytes.extend(text_bytes(origin));
        bytes.extend(self.protocol.to_le_bytes());
        bytes.extend(self.device.0);
        for text in [self.class.name(), &self.name, self.backend.name()] {
            bytes.extend(text_bytes(text));
        }
        bytes.extend([u8::from(self.software), u8::from(self.runs_kernels), u8::from(self.checker)]);
        bytes.extend(self.buffer_bytes_max.to_le_bytes());
        let only_job = self.only_job.map(|job| job.to_string());
        for text in [&only_job, &self.key, &self.code] {
            bytes.push(u8::from(text.is_some()));
            bytes.extend(text_bytes(text.as_deref().unwrap_or_default()));
        }
        bytes
    }
}

fn text_bytes(text: &str) -> Vec<u8> {
    let len = u64::try_from(text.len()).unwrap_or(u64::MAX);
    [&len.to_le_bytes(), text.as_bytes()].concat()
}

/// What a device computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
    Webgpu,
    Cpu,
}

impl Backend {
    pub const ALL: [Self; 6] = [Self::Vulkan, Self::Metal, Self::Dx12, Self::Gl, Self::Webgpu, Self::Cpu];

    pub fn name(self) -> &'static str {
        match self {
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Dx12 => "dx12",
            Self::Gl => "gl",
            Self::Webgpu => "webgpu",
            Self::Cpu => "cpu",
        }
    }

    /// `None` for a text that names none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }
}

/// Text of a device's that is kept. No database has room for the character zero, and no driver writes it.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.contains('\0') { Err(D::Error::custom("a text holds the character zero")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    /// Hellos that differ from one another in one field or in how a text is cut, by what differs. All fields are taken
    /// apart, so that one more does not compile until it is here too.
    fn hellos() -> Vec<(&'static str, Hello)> {
        let hello = Hello {
            protocol: PROTOCOL,
            device: DeviceId([1; 32]),
            signature: Signature([2; 64]),
            class: DeviceClass::Native,
            name: "GPU".to_owned(),
            backend: Backend::Vulkan,
            software: false,
            buffer_bytes_max: 1 << 30,
            runs_kernels: false,
            checker: false,
            only_job: None,
            key: None,
            code: None,
        };
        let Hello {
            protocol,
            device: DeviceId(mut device),
            // A signature does not sign itself.
            signature: _,
            class,
            name,
            backend,
            software,
            buffer_bytes_max,
            runs_kernels,
            checker,
            only_job,
            key,
            code,
        } = hello.clone();
        assert_eq!((class, backend, only_job, key, code), (DeviceClass::Native, Backend::Vulkan, None, None, None));
        device[31] ^= 1;
        let with = |change: fn(&mut Hello)| {
            let mut hello = hello.clone();
            change(&mut hello);
            hello
        };
        let mut hellos = vec![
            ("nothing", hello.clone()),
            ("its protocol", Hello { protocol: protocol + 1, ..hello.clone() }),
            ("its key", Hello { device: DeviceId(device), ..hello.clone() }),
            ("its class", Hello { class: DeviceClass::Tab, ..hello.clone() }),
            ("its name", Hello { name: name + " 2", ..hello.clone() }),
            ("what its adapter is", Hello { software: !software, ..hello.clone() }),
            ("its buffers", Hello { buffer_bytes_max: buffer_bytes_max + 1, ..hello.clone() }),
            ("whether it runs kernels", Hello { runs_kernels: !runs_kernels, ..hello.clone() }),
            ("whether it checks", Hello { checker: !checker, ..hello.clone() }),
            ("its only job", with(|hello| hello.only_job = Some(JobId::from_parts(1, [0; 10])))),
            ("another only job", with(|hello| hello.only_job = Some(JobId::from_parts(2, [0; 10])))),
            ("a key", with(|hello| hello.key = Some("tsk_1".to_owned()))),
            ("a key of no characters", with(|hello| hello.key = Some(String::new()))),
            ("a code that reads like the key", with(|hello| hello.code = Some("tsk_1".to_owned()))),
            ("a code of no characters", with(|hello| hello.code = Some(String::new()))),
        ];
        let others = Backend::ALL.into_iter().filter(|other| *other != backend);
        hellos.extend(others.map(|backend| (backend.name(), Hello { backend, ..hello.clone() })));
        hellos
    }

    #[test]
    fn a_hello_that_differs_in_anything_is_signed_as_another() {
        let (nonce, origin) = (Nonce([5; 16]), "https://tessera.test");
        let mut said: Vec<_> =
            hellos().into_iter().map(|(what, hello)| (what, hello.signing_bytes(nonce, origin))).collect();
        let (_, hello) = hellos().swap_remove(0);
        said.push(("its challenge", hello.signing_bytes(Nonce([6; 16]), origin)));
        said.push(("the server that it means", hello.signing_bytes(nonce, "https://tessera.test:8443")));
        let again = Hello { signature: Signature([9; 64]), ..hello.clone() };
        assert_eq!(again.signing_bytes(nonce, origin), hello.signing_bytes(nonce, origin));

        let mut signed = BTreeMap::new();
        for (what, bytes) in said {
            let other = signed.insert(bytes, what);
            assert_eq!(other, None, "{what} is signed as the other");
        }
    }

    #[test]
    fn a_text_with_the_character_zero_is_no_frame() {
        let (lease, hash, signature) = ("01".repeat(16), "02".repeat(32), "03".repeat(64));
        let receipt = json!({
            "lease": lease, "job": "019aa966-9c00-7123-8a5b-2f6c1d0e9b47", "first_tile": 0, "tiles": 1, "root": hash,
            "output": hash, "program": "infer/1", "backend": "vulkan", "time": 0,
        });
        let hello = json!({
            "type": "hello", "protocol": PROTOCOL, "device": hash, "signature": signature, "class": "tab",
            "name": "GPU", "backend": "webgpu", "software": false, "buffer_bytes_max": 1,
        });
        let commit = json!({ "type": "commit", "receipt": receipt, "signature": signature, "token": "" });
        let refusal = json!({ "type": "cannot_compile", "lease": lease, "message": "no" });
        let texts = [
            (hello, &["/name", "/backend"][..]),
            (commit, &["/receipt/program", "/receipt/backend"]),
            (refusal, &["/message"]),
        ];
        for (frame, places) in texts {
            assert!(serde_json::from_value::<FromDevice>(frame.clone()).is_ok(), "{frame}");
            for place in places {
                let mut frame = frame.clone();
                *frame.pointer_mut(place).expect("the frame should have it") = json!("a\0b");
                assert!(serde_json::from_value::<FromDevice>(frame).is_err(), "{place}");
            }
        }
    }
}
