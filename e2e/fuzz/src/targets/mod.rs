//! What is fuzzed. A target is a file here, and a line in the table.

mod files;
mod frames;
mod gate;
mod npy;
mod npz;
mod onnx;
mod orders;
mod requests;
mod rows;
mod socket;

use crate::draw::Draw;
use crate::target::{Limits, Target};

const fn target(name: &'static str, limits: Limits, run: fn(&mut Draw) -> anyhow::Result<()>) -> Target {
    Target { name, limits, run, needs_postgres: false }
}

pub(crate) const TARGETS: &[Target] = &[
    target("frames", IN_SERVER, frames::run),
    target("npy", IN_SERVER, npy::run),
    target("npz", IN_SERVER, npz::run),
    target("rows", IN_SERVER, rows::run),
    target("gate", IN_CHILD, gate::run),
    target("files", IN_CHILD, files::run),
    target("onnx", IN_CHILD, onnx::run),
    target("query", SERVER, requests::query),
    target("bodies", SERVER, requests::bodies),
    target("orders", SERVER, orders::run),
    target("socket", SERVER, socket::run),
    Target { needs_postgres: true, ..target("postgres", SERVER, requests::postgres) },
    Target { needs_postgres: true, ..target("socket-postgres", SERVER, socket::postgres) },
];

/// What the server reads in its own process is small and soon done, on the stack of one of its threads.
const IN_SERVER: Limits = Limits { memory_mib: 1024, seconds: 1, stack_mib: 2 };
/// What it has read in a process apart, as `edge_api::compile` limits that.
const IN_CHILD: Limits = Limits { memory_mib: 2048, seconds: 10, stack_mib: 8 };
/// A server with all that it starts, and several requests.
const SERVER: Limits = Limits { memory_mib: 8192, seconds: 20, stack_mib: 8 };

pub(crate) fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
