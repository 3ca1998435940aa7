use leptos::prelude::*;

/// A drawing, hidden from screen readers: the text beside it says what it means.
#[component]
pub fn Icon(
    /// `brand` or `theme`.
    name: &'static str,
) -> impl IntoView {
    let (view_box, paths): (_, &[(&str, &str)]) = match name {
        "brand" => (
            "0 0 24 24",
            &[("a", "M2 2h9v9h-9z"), ("b", "M13 2h9v9h-9z"), ("c", "M2 13h9v9h-9z"), ("d", "M13 13h9v9h-9z")],
        ),
        _ => ("0 0 24 24", &[("line", "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18")]),
    };
    let class = format!("icon icon-{name}");
    view! {
        <svg class=class viewBox=view_box width="24" height="24" aria-hidden="true" focusable="false">
            {paths.iter().map(|(class, d)| view! { <path class=*class d=*d/> }).collect_view()}
        </svg>
    }
}
