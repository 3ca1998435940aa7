//! One file of a job that is being written, on its way to a blob.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use web_sys::File;
use wire::{Account, BlobHash, Job};

use crate::api;
use crate::text::text;

/// A file stays on the browser's one thread; the server never has one.
type ChosenFile = SendWrapper<File>;

#[derive(Clone, Debug)]
pub enum FileSlot {
    Missing,
    /// Chosen, and waiting for an account to upload it to.
    Chosen(ChosenFile),
    Uploading(ChosenFile),
    /// `name` is what the person knows it by.
    Stored {
        name: String,
        hash: BlobHash,
    },
    Refused {
        chosen: Option<ChosenFile>,
        message: String,
    },
}

impl FileSlot {
    /// A file that a person chose or dropped, or that a page wrote.
    pub fn chosen(file: File) -> Self {
        if file.size() == 0.0 {
            return Self::Refused {
                chosen: None,
                message: format!("{}{}{}", file.name(), text().site.colon, text().jobs.empty_file),
            };
        }
        Self::Chosen(SendWrapper::new(file))
    }

    /// Under the name that the job's customer gave it.
    pub fn from_earlier_job(job: &Job, field: &str, hash: BlobHash) -> Self {
        let name = job.file_names.get(field).cloned();
        Self::Stored { name: name.unwrap_or_else(|| text().jobs.from_earlier_job.to_owned()), hash }
    }

    /// What the person knows it by.
    pub fn given_name(&self) -> Option<String> {
        let t = text();
        match self {
            Self::Chosen(file) | Self::Uploading(file) => Some(file.name()),
            Self::Stored { name, .. } => Some(name.clone()).filter(|name| name != t.jobs.from_earlier_job),
            Self::Missing | Self::Refused { .. } => None,
        }
    }

    pub fn hash(&self) -> Option<BlobHash> {
        match self {
            Self::Stored { hash, .. } => Some(*hash),
            Self::Missing | Self::Chosen(_) | Self::Uploading(_) | Self::Refused { .. } => None,
        }
    }

    pub fn refusal(self) -> Option<String> {
        match self {
            Self::Refused { message, .. } => Some(message),
            Self::Missing | Self::Chosen(_) | Self::Uploading(_) | Self::Stored { .. } => None,
        }
    }

    /// The file's name and how far it is.
    pub fn describe(&self) -> String {
        let t = text();
        match self {
            Self::Missing | Self::Refused { chosen: None, .. } => t.jobs.no_file.to_owned(),
            Self::Chosen(file) | Self::Refused { chosen: Some(file), .. } => file.name(),
            Self::Uploading(file) => format!("{} · {}", file.name(), t.jobs.uploading),
            Self::Stored { name, hash } => format!("{name} · {}", crate::components::short(hash)),
        }
    }

    fn is_uploading(&self, file: &File) -> bool {
        matches!(self, Self::Uploading(chosen) if js_sys::Object::is(chosen, file))
    }
}

/// A file that a page wrote.
pub fn file_of(name: &str, bytes: &[u8]) -> Option<File> {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    File::new_with_u8_array_sequence(&parts, name).ok()
}

/// A file's name has so many characters at most, and the server takes no more.
const NAME_CHARS_MAX: usize = 255;

/// What the person calls the files in these slots, by the order's fields.
pub fn names_of(slots: impl IntoIterator<Item = (String, RwSignal<FileSlot>)>) -> BTreeMap<String, String> {
    let name = |(field, slot): (String, RwSignal<FileSlot>)| {
        let given = slot.with_untracked(FileSlot::given_name)?;
        let name: String = given.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        (!name.is_empty()).then_some((field, name))
    };
    slots.into_iter().filter_map(name).collect()
}

/// Uploads what is chosen, once there is an account to own it.
pub fn upload(slot: RwSignal<FileSlot>, account: RwSignal<Option<Account>>) {
    let FileSlot::Chosen(file) = slot.get() else { return };
    if account.with(Option::is_none) {
        return;
    }
    slot.set(FileSlot::Uploading(file.clone()));
    spawn_local(async move {
        let answer = api::upload((*file).clone()).await;
        if !slot.with_untracked(|slot| slot.is_uploading(&file)) {
            // Another file was chosen meanwhile.
            return;
        }
        slot.set(match answer {
            Ok(blob) => FileSlot::Stored { name: file.name(), hash: blob.hash },
            Err(failure) if failure.is_unauthorized() => {
                account.set(None);
                FileSlot::Chosen(file)
            }
            Err(failure) => FileSlot::Refused { chosen: Some(file), message: failure.message() },
        });
    });
}
