use leptos::prelude::*;

const SHOWN: std::time::Duration = std::time::Duration::from_secs(6);

/// Shows a message in the corner for a few seconds; screen readers read it out.
pub fn toast(message: &str) {
    let Some(corner) = document().get_element_by_id("toasts") else { return };
    let Ok(note) = document().create_element("p") else { return };
    note.set_text_content(Some(message));
    if corner.append_child(&note).is_ok() {
        set_timeout(move || note.remove(), SHOWN);
    }
}
