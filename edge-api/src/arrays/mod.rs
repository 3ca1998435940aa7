//! Arrays in files: numpy's `.npy` and `.npz`, and rows as CSV and JSON.

pub mod npy;
pub mod npz;
pub mod rows;
