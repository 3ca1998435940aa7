//! Files as people keep them, made into the arrays that a model reads: compressed archives, tables, pictures.
//!
//! A stranger's file is read in a process apart, which has no file but two pipes: it asks for ranges of the file and
//! sends back what it makes, so that neither side ever holds all of one. [`process`] is that child as the server sees it,
//! [`child`] is the same program as the child, [`message`] what travels between them. [`run`] is the conversion itself:
//! a function of what it reads.

pub mod arrays;
pub mod arrow;
pub mod child;
pub mod csv;
pub mod error;
pub mod input;
pub mod jpeg;
pub mod message;
pub mod number;
pub mod order;
pub mod parquet;
pub mod picture_rule;
pub mod pictures;
pub mod port;
pub mod process;
pub mod routes;
pub mod run;
pub mod sink;
pub mod table;
