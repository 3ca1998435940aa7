//! Tiles of a model by this server's processor, and whether two outputs of a tile agree.

use std::collections::BTreeSet;

use gpu_kernels::records::{Column, columns, deinterleave, interleave, split};
use gpu_kernels::tolerance::differing;
use onnx::{Feed, Graph, InputArray};
use wire::{Field, InferTask};

/// One tile of a model by the CPU: its outputs as a device would upload them. `input` holds its `rows`
/// rows of each input, then what all rows share. With a seed each computed float is moved a little, at random.
pub fn recompute_tile(
    graph: &Graph,
    task: &InferTask,
    rows: u64,
    input: &[u8],
    nudge: Option<u64>,
) -> anyhow::Result<Vec<u8>> {
    let rows = usize::try_from(rows)?;
    let of_rows = columns(task.inputs.iter().filter(|field| !field.shared).map(Field::array));
    let row_bytes = rows * of_rows.iter().map(Column::bytes).sum::<usize>();
    anyhow::ensure!(row_bytes <= input.len(), "a tile's input is cut short");
    let (row_values, shared_values) = input.split_at(row_bytes);
    let row_words = split(row_values, rows, &of_rows).ok_or_else(|| anyhow::anyhow!("an input has another size"))??;
    let feeds = shared_feeds(&task.inputs, shared_values)?;
    let plan = graph.plan(rows, &feeds)?;
    let fed: Vec<&[u32]> = row_words.iter().map(Vec::as_slice).collect();
    let computed = nudge.map_or_else(|| plan.run(&fed), |seed| plan.run_nudged(&fed, seed));
    Ok(interleave(rows, &columns(task.outputs.iter().map(Field::array)), &computed))
}

/// Two outputs of one tile, as they are uploaded, so that a float16 is compared as one.
pub struct Pair {
    answers: Vec<Column>,
    found: Vec<Vec<u32>>,
    expected: Vec<Vec<u32>>,
}

impl Pair {
    /// `None` where one is no output at all: it has another size, or an int64 that no device could have computed.
    pub fn new(task: &InferTask, found: &[u8], expected: &[u8]) -> Option<Self> {
        let answers = columns(task.outputs.iter().map(Field::array));
        let arrays = |bytes: &[u8]| deinterleave(bytes, &answers)?.ok();
        let (found, expected) = (arrays(found)?, arrays(expected)?);
        Some(Self { answers, found, expected })
    }

    /// Whether they agree, by integers that are the same.
    pub fn agrees(&self) -> bool {
        let mut arrays = self.answers.iter().zip(self.found.iter().zip(&self.expected));
        arrays.all(|(column, (a, b))| differing(column.dtype, a, b).is_empty())
    }

    /// Where they differ, as it is before any reference was asked.
    pub fn apart(&self) -> Apart<'_> {
        let arrays = self.answers.iter().zip(self.found.iter().zip(&self.expected));
        let places =
            arrays.map(|(column, (a, b))| differing(column.dtype, a, b).into_iter().collect::<BTreeSet<usize>>());
        let unseen: Vec<[BTreeSet<usize>; 2]> = places.map(|places| [places.clone(), places]).collect();
        Apart { pair: self, unseen }
    }
}

/// Where two outputs differ, and what of it no nudged run of the references has come to.
pub struct Apart<'a> {
    pair: &'a Pair,
    /// Of each array, where no run was like the one output, and like the other.
    unseen: Vec<[BTreeSet<usize>; 2]>,
}

impl Apart<'_> {
    /// All of it lies near a tie: some run of the references came to the one value, and some to the other.
    pub fn is_explained(&self) -> bool {
        self.unseen.iter().flatten().all(BTreeSet::is_empty)
    }

    /// Takes a nudged run, as it is uploaded; `None` where it is no output.
    pub fn note(&mut self, run: &[u8]) -> Option<()> {
        let Pair { answers, found, expected } = self.pair;
        let run = deinterleave(run, answers)?.ok()?;
        for (array, column) in answers.iter().enumerate() {
            for (unseen, words) in self.unseen[array].iter_mut().zip([&found[array], &expected[array]]) {
                let unlike: BTreeSet<usize> = differing(column.dtype, words, &run[array]).into_iter().collect();
                unseen.retain(|place| unlike.contains(place));
            }
        }
        Some(())
    }
}

/// What the planner is told of each input. `shared` holds the values of the shared ones, one after another.
pub fn shared_feeds(inputs: &[Field], shared: &[u8]) -> anyhow::Result<Vec<Feed>> {
    let arrays = inputs.iter().map(|field| {
        let (dtype, shape) = field.array();
        InputArray { dtype, shape, shared: field.shared, whole: field.whole }
    });
    Ok(onnx::feeds(&arrays.collect::<Vec<_>>(), shared)?)
}

#[cfg(test)]
mod tests {
    use wire::{BlobHash, DType};

    use super::*;

    fn labels() -> InferTask {
        let field = |dtype| Field { name: "y".to_owned(), dtype, shape: Vec::new(), shared: false, whole: false };
        InferTask { model: BlobHash([0; 32]), inputs: Vec::new(), outputs: vec![field(DType::Int32)] }
    }

    fn tile(changed: &[(usize, u32)]) -> Vec<u8> {
        let mut labels = vec![3u32; 200];
        changed.iter().for_each(|(place, label)| labels[*place] = *label);
        labels.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn a_label_may_differ_where_the_references_are_unsure_of_it_and_nowhere_else() {
        let runs = [tile(&[]), tile(&[(7, 5)])];
        let agrees = |found: &[u8], expected: &[u8]| {
            let pair = Pair::new(&labels(), found, expected).unwrap();
            let mut apart = pair.apart();
            runs.iter().for_each(|run| apart.note(run).unwrap());
            (pair.agrees(), apart.is_explained())
        };

        assert_eq!(agrees(&tile(&[]), &tile(&[])), (true, true));
        assert_eq!(agrees(&tile(&[(7, 5)]), &tile(&[])), (false, true));
        assert_eq!(agrees(&tile(&[(7, 6)]), &tile(&[])), (false, false), "it is neither of the two");
        assert_eq!(agrees(&tile(&[(8, 5)]), &tile(&[])), (false, false), "there is no tie");
        assert_eq!(agrees(&tile(&[(7, 5), (8, 5)]), &tile(&[])), (false, false), "a tie hides no lie beside it");
    }
}
