//! A list bound as one value: JSON, which each engine takes apart in words of its own.

/// The entries of the JSON array bound at a place, as a subquery.
macro_rules! list_sql {
    (sqlite $place:literal) => {
        concat!("select value from json_each(", $place, ")")
    };
    (postgres $place:literal) => {
        concat!("select jsonb_array_elements_text(", $place, "::jsonb)")
    };
}
pub(crate) use list_sql;
