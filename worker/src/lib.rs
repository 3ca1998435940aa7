//! Lending a GPU. `core` decides what to say to the edge and which leases to compute; `run` turns a
//! lease into a signed receipt; `link` and `device` differ between a native agent and a tab.

pub mod core;
pub mod device;
pub mod identity;
pub mod link;
pub mod programs;
pub mod run;
