//! `infer`: which array feeds which input of the model, what its rows are and what all rows share, and how
//! many rows a tile holds.

use wire::{CheckedBy, DType, Field, InferTask};

use super::limits::EDGE_FLOPS;
use super::task_rules::TaskRules;
use super::tiling::{RowCost, tile_rows};
use crate::admission::error::AdmitError;
use crate::job::Source;

/// What all rows share travels with every lease, so it is bounded, in bytes.
const SHARED_BYTES_MAX: u64 = 4 << 20;
pub const INPUTS_MAX: usize = 16;
/// Values of an array that may say sizes.
const SIZES_MAX: u64 = 64;
const TILE_BYTES_MAX: u64 = 64 << 20;

impl TaskRules for InferTask {
    /// What this server does in a moment it does by itself; what would hold it up goes to a checker.
    fn checked_by(&self, tile_flops: u64, has_checkers: bool) -> CheckedBy {
        if has_checkers && tile_flops > EDGE_FLOPS { CheckedBy::Checker } else { CheckedBy::Edge }
    }

    fn code_field(&self) -> &'static str {
        "model"
    }

    fn needs_kernels(&self) -> bool {
        false
    }
}

/// An input as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub dtype: &'static str,
    /// `None` where the model declares no shape; in it, `None` for an axis of any size.
    pub shape: Option<Vec<Option<u64>>>,
}

/// An array as it was sent: under a name, or as the only one.
#[derive(Clone, Debug)]
pub struct SentArray {
    pub name: Option<String>,
    /// The request's field that sent it.
    pub field: String,
    pub source: Source,
    pub dtype: DType,
    pub shape: Vec<u64>,
}

/// A job's inputs in the model's order.
#[derive(Clone, Debug)]
pub struct Layout {
    pub rows: u64,
    pub inputs: Vec<InputLayout>,
}

#[derive(Clone, Debug)]
pub struct InputLayout {
    pub field: Field,
    pub source: Source,
    /// The request's field that sent it.
    pub sent_as: String,
}

impl Layout {
    pub fn fields(&self) -> Vec<Field> {
        self.inputs.iter().map(|input| input.field.clone()).collect()
    }

    pub fn sources(&self) -> Vec<Source> {
        self.inputs.iter().map(|input| input.source).collect()
    }

    pub fn is_whole(&self) -> bool {
        self.inputs.iter().any(|input| input.field.whole)
    }
}

/// The arrays in the model's order.
pub fn match_names(ports: &[Port], mut sent: Vec<SentArray>) -> Result<Vec<SentArray>, AdmitError> {
    let names = ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    let field = if sent.iter().any(|sent| sent.field != "input") { "inputs" } else { "input" }.to_owned();
    if ports.is_empty() {
        return Err(AdmitError::ModelWithoutInput { field });
    }
    // A single array needs no name, and numpy calls one that was given none `arr_0`.
    if let ([only], [sent]) = (ports, &mut sent[..])
        && sent.name.as_ref().is_none_or(|name| name == "arr_0")
    {
        sent.name = Some(only.name.clone());
    }
    if sent.len() == 1 && sent[0].name.is_none() {
        return Err(AdmitError::UnnamedArray { field, names });
    }
    let is_known = |name: &str| ports.iter().any(|port| port.name == name);
    if let Some(unknown) = sent.iter().filter_map(|sent| sent.name.as_deref()).find(|name| !is_known(name)) {
        return Err(AdmitError::UnknownInput { field, name: unknown.to_owned(), names });
    }
    let mut matched = Vec::with_capacity(ports.len());
    for port in ports {
        let Some(index) = sent.iter().position(|sent| sent.name.as_ref() == Some(&port.name)) else {
            return Err(AdmitError::MissingInput { field, name: port.name.clone(), names });
        };
        let found = sent.swap_remove(index);
        if found.dtype.name() != port.dtype {
            let (name, expected) = (port.name.clone(), port.dtype);
            return Err(AdmitError::InputType { field: found.field, name, expected, found: found.dtype.name() });
        }
        matched.push(found);
    }
    Ok(matched)
}

/// The arrays as rows, and what all rows share. `sent` is in the model's order.
pub fn by_rows(ports: &[Port], sent: &[SentArray]) -> Result<Layout, AdmitError> {
    let (rows, lead) = count_rows(ports, sent)?;
    let mut inputs = Vec::with_capacity(ports.len());
    let mut shared_bytes = 0u64;
    for (port, sent) in ports.iter().zip(sent) {
        let shared = !is_rows(port, &sent.shape, rows, lead);
        let shape = if shared { sent.shape.clone() } else { sent.shape[1..].to_vec() };
        let field = Field { name: port.name.clone(), dtype: sent.dtype, shape, shared, whole: false };
        if field.shape.contains(&0) {
            let (name, shape) = (port.name.clone(), sent.shape.clone());
            return Err(AdmitError::EmptyRow { field: sent.field.clone(), name, shape });
        }
        if shared {
            shared_bytes = shared_bytes.saturating_add(field.bytes());
            if shared_bytes > SHARED_BYTES_MAX {
                let (name, most) = (port.name.clone(), SHARED_BYTES_MAX);
                return Err(AdmitError::SharedTooLarge { field: sent.field.clone(), name, most });
            }
        }
        inputs.push(InputLayout { field, source: sent.source, sent_as: sent.field.clone() });
    }
    Ok(Layout { rows, inputs })
}

/// The arrays as they are: one row, which one device computes at once. For models whose arrays have no
/// rows, or whose rows belong together.
pub fn as_whole(ports: &[Port], sent: &[SentArray]) -> Result<Layout, AdmitError> {
    // Shapes may depend on a few integers, which must be known to the planner.
    let is_sizes = |sent: &SentArray| {
        !sent.dtype.is_float() && sent.shape.len() < 2 && sent.shape.iter().all(|&size| size <= SIZES_MAX)
    };
    let runs_on_sizes = sent.iter().all(is_sizes);
    let mut inputs = Vec::with_capacity(ports.len());
    for (port, sent) in ports.iter().zip(sent) {
        let shared = !runs_on_sizes && is_sizes(sent);
        let (name, shape) = (port.name.clone(), sent.shape.clone());
        if shape.contains(&0) {
            return Err(AdmitError::EmptyArray { field: sent.field.clone(), name, shape });
        }
        let field = Field { name, dtype: sent.dtype, shape, shared, whole: !shared };
        inputs.push(InputLayout { field, source: sent.source, sent_as: sent.field.clone() });
    }
    Ok(Layout { rows: 1, inputs })
}

/// The array that has one axis less than the model declares: it may be one row as it is.
pub fn lacks_batch(ports: &[Port], sent: &[SentArray]) -> Option<AdmitError> {
    let lacks = |(port, sent): &(&Port, &SentArray)| {
        port.shape.as_ref().is_some_and(|declared| declared.len() == sent.shape.len() + 1)
    };
    ports.iter().zip(sent).find(lacks).map(|(port, sent)| AdmitError::NeedsBatch {
        field: sent.field.clone(),
        name: port.name.clone(),
        shape: sent.shape.clone(),
    })
}

/// The first size that the model declares: `None` where it is free, or nothing is said.
fn declared_first(port: &Port) -> Option<u64> {
    port.shape.as_ref().and_then(|shape| shape.first().copied().flatten())
}

/// Rows of the job, as many as each input has that has rows; and the input that tells.
fn count_rows<'a>(ports: &'a [Port], matched: &[SentArray]) -> Result<(u64, &'a Port), AdmitError> {
    let first = |sent: &SentArray| sent.shape.first().copied();
    let arrays: Vec<(&Port, &SentArray)> =
        ports.iter().zip(matched).filter(|(_, sent)| !sent.shape.is_empty()).collect();
    let Some((port, lead)) = arrays.iter().find(|(port, _)| declared_first(port).is_none()).or_else(|| arrays.first())
    else {
        return Err(AdmitError::OnlySingleValues { field: matched[0].field.clone() });
    };
    let rows = first(lead).unwrap_or(0);
    if rows == 0 {
        return Err(AdmitError::NoRows { field: lead.field.clone(), name: port.name.clone() });
    }
    for (other, sent) in &arrays {
        if declared_first(other).is_none() && first(sent) != Some(rows) {
            return Err(AdmitError::RowsDiffer {
                field: sent.field.clone(),
                name: other.name.clone(),
                found: first(sent).unwrap_or(0),
                other: port.name.clone(),
                rows,
            });
        }
    }
    Ok((rows, port))
}

/// Whether an array is fed row by row. A first size that the model leaves free counts rows; one that
/// it fixes belongs to the array, unless it is the batch, which exporters fix without need: one, or
/// what the input that leads has as well.
fn is_rows(port: &Port, shape: &[u64], rows: u64, lead: &Port) -> bool {
    let Some(&first) = shape.first() else { return false };
    match declared_first(port) {
        _ if port.shape.as_ref().is_some_and(Vec::is_empty) => false,
        None => true,
        Some(1) => first == rows,
        fixed @ Some(_) => fixed == declared_first(lead) && first == rows,
    }
}

/// What the planner says of a model over a job's arrays.
#[derive(Clone, Debug)]
pub struct ModelCost {
    /// Rows that the model takes at a time: fewer cost as much. One, unless it fixes its batch.
    pub micro_batch: u64,
    /// Operations of one micro-batch; of all rows where the model mixes them.
    pub flops: u64,
    /// The node that mixes rows, if one does: then all rows are one tile.
    pub mixed_by: Option<String>,
    /// Rows that one plan should hold; more would make it too long.
    pub rows_at_once: u64,
}

/// Rows of a tile, and operations of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    pub tile_rows: u64,
    pub row_flops: u64,
}

/// Tiles of at most `flops_max` operations.
pub fn cut(
    layout: &Layout,
    outputs: &[Field],
    cost: &ModelCost,
    wanted: Option<u32>,
    flops_max: u64,
) -> Result<Tiling, AdmitError> {
    let rows = layout.rows;
    let inputs = layout.fields();
    let (shared, of_rows): (Vec<&Field>, Vec<&Field>) = inputs.iter().chain(outputs).partition(|field| field.shared);
    let bytes = |fields: &[&Field]| fields.iter().fold(0u64, |sum, field| sum.saturating_add(field.bytes()));
    let (row_bytes, shared_bytes) = (bytes(&of_rows).max(1), bytes(&shared));
    // Where rows are mixed the work may grow faster than their number.
    let batch = if cost.mixed_by.is_some() { rows } else { cost.micro_batch };
    let row = RowCost { flops: cost.flops.div_ceil(batch), bytes: row_bytes, rows_max: cost.rows_at_once };
    let wanted = if cost.mixed_by.is_some() { Some(rows) } else { wanted.map(u64::from) };
    let tile_rows = match wanted {
        Some(_) => tile_rows(rows, row, wanted, "tile_rows")?,
        None => tile_rows(rows, row, None, "tile_rows")?.next_multiple_of(cost.micro_batch).min(rows),
    };
    // A micro-batch that is not full costs as much as one that is.
    let row_flops = cost.flops.saturating_mul(tile_rows.div_ceil(batch)).div_ceil(tile_rows).max(1);
    let tile_flops = tile_rows.saturating_mul(row_flops);
    let tile_bytes = tile_rows.saturating_mul(row_bytes).saturating_add(shared_bytes);
    if tile_flops > flops_max || tile_bytes > TILE_BYTES_MAX {
        return Err(AdmitError::TileTooHeavy {
            mixed_by: cost.mixed_by.clone(),
            tile_rows,
            tile_flops,
            tile_bytes,
            flops_max,
            bytes_max: TILE_BYTES_MAX,
        });
    }
    Ok(Tiling { tile_rows, row_flops })
}

/// Whether arrays that were refused as rows may do as they are.
pub fn may_be_whole(error: &AdmitError) -> bool {
    matches!(
        error,
        AdmitError::InvalidModel { .. }
            | AdmitError::OutputType { .. }
            | AdmitError::ModelInput { .. }
            | AdmitError::OnlySingleValues { .. }
            | AdmitError::RowsDiffer { .. }
            | AdmitError::EmptyRow { .. }
            | AdmitError::SharedTooLarge { .. }
            | AdmitError::ArrayTooLarge { .. }
            | AdmitError::IntegerTooWide { .. }
            | AdmitError::TooManyRows { .. }
    )
}

#[cfg(test)]
mod tests {
    use wire::BlobHash;

    use super::*;

    fn port(name: &str, shape: &[Option<u64>]) -> Port {
        Port { name: name.to_owned(), dtype: "float32", shape: Some(shape.to_vec()) }
    }

    fn array(name: Option<&str>, shape: &[u64]) -> SentArray {
        SentArray {
            name: name.map(str::to_owned),
            field: "input".to_owned(),
            source: Source { blob: BlobHash([0; 32]), offset: 128 },
            dtype: DType::Float32,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn arrays_are_put_into_the_models_order_by_name() {
        let ports = [port("a", &[None, Some(2)]), port("b", &[None, Some(3)])];

        let matched = match_names(&ports, vec![array(Some("b"), &[4, 3]), array(Some("a"), &[4, 2])]).unwrap();

        assert_eq!(matched.iter().map(|sent| &sent.shape[..]).collect::<Vec<_>>(), [[4, 2], [4, 3]]);
        assert!(matches!(
            match_names(&ports, vec![array(Some("a"), &[4, 2])]),
            Err(AdmitError::MissingInput { name, .. }) if name == "b"
        ));
    }

    #[test]
    fn a_first_size_that_the_model_fixes_is_shared_by_all_rows() {
        let ports = [port("x", &[None, Some(2)]), port("table", &[Some(5), Some(3)])];
        let sent = [array(None, &[4, 2]), array(None, &[5, 3])];

        let layout = by_rows(&ports, &sent).unwrap();

        assert_eq!(layout.rows, 4);
        assert_eq!(layout.fields().iter().map(|field| field.shared).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_tile_is_whole_micro_batches_and_all_rows_where_the_model_mixes_them() {
        let ports = [port("x", &[None, Some(2)])];
        let layout = by_rows(&ports, &[array(None, &[1000, 2])]).unwrap();
        let outputs = layout.fields();
        let cost = |micro_batch, mixed_by: Option<&str>| ModelCost {
            micro_batch,
            flops: 1_000,
            mixed_by: mixed_by.map(str::to_owned),
            rows_at_once: u64::MAX,
        };

        let by_micro_batch = cut(&layout, &outputs, &cost(8, None), None, u64::MAX).unwrap();
        let mixed = cut(&layout, &outputs, &cost(1, Some("softmax")), None, u64::MAX).unwrap();

        assert_eq!(by_micro_batch, Tiling { tile_rows: 8, row_flops: 125 });
        assert_eq!(mixed, Tiling { tile_rows: 1000, row_flops: 1 });
        assert!(matches!(
            cut(&layout, &outputs, &cost(1, Some("softmax")), None, 999),
            Err(AdmitError::TileTooHeavy { mixed_by: Some(node), .. }) if node == "softmax"
        ));
    }
}
