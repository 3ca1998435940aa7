//! What a tab keeps until it is closed, however often its page is loaded anew. A browser that keeps nothing forgets it.

use leptos::prelude::window;

fn storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}

pub fn read(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

pub fn write(key: &str, text: &str) {
    if let Some(storage) = storage() {
        storage.set_item(key, text).unwrap_or_default();
    }
}

pub fn remove(key: &str) {
    if let Some(storage) = storage() {
        storage.remove_item(key).unwrap_or_default();
    }
}

/// Forgets everything: whoever signs in next in this tab is somebody else.
pub fn clear() {
    if let Some(storage) = storage() {
        storage.clear().unwrap_or_default();
    }
}
