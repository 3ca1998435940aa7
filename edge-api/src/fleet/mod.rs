//! The devices on this replica's sockets: admitted, lent leases, checked and paid.
//!
//! `rules::scheduling` decides. `connection` speaks with a device by `messages`, `claim` owns slices, `uploads` keeps what a device computed and `commit` what it signed,
//! and `settle` goes from there to money by `settlement`, both in groups (`gatherer`); where a check finds a difference,
//! `dispute` has others compute the tile, `reject` takes a device's work back and `redraw` looks at the rest of it; `outcomes`
//! tells devices what became of a commit; `close` ends a job, and `observed` says to an operator what happened.
//! `judges` are paid, and `challenge` has devices show how fast they are. `drain` ends it all when the server goes away, and
//! `notices` are what other replicas say.

pub mod admit;
pub mod challenge;
pub mod check;
pub mod claim;
pub mod close;
pub mod closing;
pub mod commit;
pub mod compile;
pub mod connection;
pub mod dispute;
pub mod drain;
pub mod fail;
pub mod fault;
pub mod frame_pace;
pub mod gathered;
pub mod gatherer;
pub mod judges;
pub mod lease_output;
pub mod leases;
pub mod line;
pub mod mature;
pub mod messages;
pub mod notices;
pub mod observed;
pub mod open_challenges;
pub mod outcomes;
pub mod owner;
pub mod recheck;
pub mod redraw;
pub mod reject;
pub mod reveal;
pub mod scheduler;
pub mod settle;
pub mod settlement;
pub mod task_files;
pub mod token;
pub mod undone;
pub mod uploads;
pub mod verified;
