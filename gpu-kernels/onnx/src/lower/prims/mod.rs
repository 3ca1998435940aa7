//! What several operators are made of. Nothing here reads a node's attributes but what slides a window.

pub(crate) mod attention;
pub(crate) mod cast;
pub(crate) mod convolution;
pub(crate) mod copies;
pub(crate) mod gather;
pub(crate) mod iota;
pub(crate) mod product;
pub(crate) mod reduce;
pub(crate) mod resample;
pub(crate) mod views;
pub(crate) mod window;
