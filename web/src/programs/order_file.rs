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

    /// A name for it in somebody's folder: no path, and nothing that a command would take for an option.
    pub fn local_name(&self, job: &Job) -> String {
        let given = self.given_name(job).unwrap_or_default();
        let last = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
        match last {
            "" | "." | ".." => self.usual_name.clone(),
            name if name.starts_with('-') => format!("./{name}"),
            name => name.to_owned(),
        }
    }
}

/// The names of files in one folder: two that their customer calls the same get their usual ones.
pub fn local_names(job: &Job, files: &[OrderFile]) -> Vec<String> {
    let names: Vec<String> = files.iter().map(|file| file.local_name(job)).collect();
    let is_taken = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    let name =
        |(file, name): (&OrderFile, &String)| if is_taken(name) { file.usual_name.clone() } else { name.clone() };
    files.iter().zip(&names).map(name).collect()
}
