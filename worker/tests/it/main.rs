//! What a device does at an edge, natively and in a tab alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod fetching;
mod session;
