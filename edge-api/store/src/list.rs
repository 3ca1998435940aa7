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

/// The objects of the JSON array bound at a place, as a subquery with a column a field: its name, and its type where the
/// engine wants to know that.
macro_rules! rows_sql {
    (sqlite $place:literal, $first:ident $first_type:ident $(, $column:ident $type:ident)*) => {
        concat!(
            "select value ->> '", stringify!($first), "' as ", stringify!($first),
            $(", value ->> '", stringify!($column), "' as ", stringify!($column),)*
            " from json_each(", $place, ")"
        )
    };
    (postgres $place:literal, $first:ident $first_type:ident $(, $column:ident $type:ident)*) => {
        concat!(
            "select * from jsonb_to_recordset(", $place, "::jsonb) as entry (",
            stringify!($first), " ", stringify!($first_type),
            $(", ", stringify!($column), " ", stringify!($type),)*
            ")"
        )
    };
}
pub(crate) use rows_sql;
