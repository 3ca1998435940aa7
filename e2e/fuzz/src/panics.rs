//! Panics since a seed began, in whatever thread, and whoever caught them.

use std::any::Any;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Has every panic noted, and printed by nobody.
pub(crate) fn watch() {
    std::panic::set_hook(Box::new(note_panic));
}

fn note_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
    let said = said(info.payload());
    note(format!("a panic at {place}: {said}"));
}

/// Adds to what is wrong with the seed.
pub(crate) fn note(found: String) {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(found);
}

pub(crate) fn said(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Takes what panicked so far and was caught.
pub(crate) fn take() -> Vec<String> {
    std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}
