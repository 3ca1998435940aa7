//! What an operator's Prometheus reads: `counted` is counted where it happens, `sampled` is read from the database now and
//! then, `gauges` is looked up as it is asked for, and `serve` says it to whoever may know.

pub mod counted;
pub mod gauges;
pub mod requests;
pub mod sampled;
pub mod serve;
