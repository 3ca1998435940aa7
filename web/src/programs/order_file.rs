//! The files of a job that is there: what each is, what its customer calls it, and where its bytes are.

use wire::{BlobHash, Job};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFile {
    /// The order's field that names it, like `model` or `inputs.mask`.
    pub field: String,
    /// What it is to the program, in the reader's language.
    pub label: &'static str,
    /// Where its bytes are.
    pub hash: BlobHash,
    /// What it is called where its customer said nothing.
    pub usual_name: String,
}

impl OrderFile {
    pub fn new(field: &str, label: &'static str, hash: BlobHash, usual_name: &str) -> Self {
        Self { field: field.to_owned(), label, hash, usual_name: usual_name.to_owned() }
    }

    /// As its customer knows it.
    pub fn given_name(&self, job: &Job) -> Option<String> {
        job.file_names.get(&self.field).cloned()
    }

    /// A name for it in somebody's folder, like `5f3627fb-digits.onnx`: whatever else lies there is another file, since the
    /// first digits of its hash are in it.
    pub fn local_name(&self, job: &Job) -> String {
        let given = self.given_name(job).unwrap_or_default();
        let last = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
        let name = if matches!(last, "" | "." | "..") { self.usual_name.as_str() } else { last };
        let digits: String = self.hash.to_string().chars().take(8).collect();
        // What a model reads is an array by now, whatever it was made of.
        let is_input = self.field.starts_with("input") && self.usual_name.ends_with(".npy");
        let is_array = name.to_ascii_lowercase().ends_with(".npy") || name.to_ascii_lowercase().ends_with(".npz");
        format!("{digits}-{name}{}", if is_input && !is_array { ".npy" } else { "" })
    }
}
