//! Ids: a type each, so that one cannot stand for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}")]
pub struct ParseIdError {
    expected: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
        #[cfg_attr(feature = "openapi", schema(example = "019aa966-9c00-7123-8a5b-2f6c1d0e9b47"))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A version 7 id: sorted by time of making.
            pub fn from_parts(unix_millis: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let uuid = Uuid::try_parse(text).map_err(|_malformed| ParseIdError { expected: "a UUID" })?;
                Ok(Self(uuid))
            }
        }
    };
}

uuid_id!(
    /// Who pays or is paid.
    AccountId
);
impl AccountId {
    /// One of the platform's own accounts: a number that no version 7 id can be.
    pub const fn platform(number: u128) -> Self {
        Self(Uuid::from_u128(number))
    }
}

uuid_id!(
    /// A customer's order.
    JobId
);
uuid_id!(
    /// A durable, contiguous range of a job's tiles.
    SliceId
);

/// The schema of `bytes` bytes in hex.
#[cfg(feature = "openapi")]
fn hex_schema(bytes: usize, description: &str) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let example = "9fc4e90e".repeat(bytes / 4);
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .pattern(Some(format!("^[0-9a-f]{{{}}}$", 2 * bytes)))
        .description(Some(description))
        .examples([example])
        .into()
}

macro_rules! bytes_id {
    ($(#[doc = $doc:literal])+ $name:ident, $len:literal, $expected:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $len];
                hex::encode_to_slice(self.0, &mut text).map_err(|_too_long| fmt::Error)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_no_text| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_malformed| ParseIdError { expected: $expected })?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                hex_schema($len, concat!($($doc),+).trim_ascii_start())
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

bytes_id!(
    /// A device's Ed25519 public key.
    DeviceId, 32, "a device's public key in 64 hex digits"
);
bytes_id!(
    /// BLAKE3 of a blob: an address, never a permission.
    BlobHash, 32, "a BLAKE3 hash in 64 hex digits"
);
bytes_id!(
    /// BLAKE3 of a lease's id and one tile's output, or a node of the tree over such hashes.
    TileHash, 32, "a BLAKE3 hash in 64 hex digits"
);
bytes_id!(
    /// A lease: its random nonce is its name, and what opens its blobs to its device.
    LeaseId, 16, "a lease in 32 hex digits"
);
bytes_id!(
    /// A challenge that one device is put to.
    ChallengeId, 16, "a challenge in 32 hex digits"
);
bytes_id!(
    /// What a device must sign to show that it holds its key.
    Nonce, 16, "a nonce in 32 hex digits"
);
bytes_id!(
    /// An Ed25519 signature.
    Signature, 64, "a signature in 128 hex digits"
);
