//! Tiles of a model by this server's processor, and whether two outputs of a tile agree.

use gpu_kernels::dtype::Repr;
use gpu_kernels::records::{Column, columns, deinterleave, interleave, split};
use gpu_kernels::tolerance::{Closeness, differing};
use onnx::{Feed, Graph, InputArray};
use wire::{Field, InferTask};

use crate::random;

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

    /// Where they differ, as it is before any reference was asked; of very many places some at random.
    pub fn apart(&self) -> Apart<'_> {
        let arrays = self.answers.iter().zip(self.found.iter().zip(&self.expected));
        let places = arrays.map(|(column, (a, b))| {
            let places = differing(column.dtype, a, b);
            let of_so_many = wire::number::to(places.len().div_ceil(PLACES_MAX).max(1));
            let kept = places.into_iter().filter(|_| random::below(of_so_many) == 0);
            kept.map(|place| (place, Spread::default())).collect()
        });
        Apart { pair: self, places: places.collect(), runs: 0 }
    }
}

/// Places of an array that are looked at.
const PLACES_MAX: usize = 1 << 16;

/// Where two outputs differ, and what nudged runs of the references come to there.
pub struct Apart<'a> {
    pair: &'a Pair,
    /// Of each array.
    places: Vec<Vec<(usize, Spread)>>,
    runs: u32,
}

/// What came out at one place.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    /// Some run was like the one output, and like the other.
    seen: [bool; 2],
    /// The first that were unlike each other, and how many they are.
    values: [u32; SCATTERED_VALUES],
    unlike: usize,
    range: Option<(f64, f64)>,
}

/// Different values before they are taken for a number that is uncertain, and not for a choice between a few.
const UNCERTAIN_VALUES: usize = 3;
/// Different values from which on they scatter, and none of them is come to again: all may lie to one side of what was
/// computed, of many thousands of places somewhere.
const SCATTERED_VALUES: usize = 8;
/// Runs before what lies far outside of all that came out is given up: of four, three lie so close together by chance, of many
/// thousands of places somewhere, that what was computed seems far off.
const RUNS_FOR_RANGE: u32 = 8;
const FAR_OUTSIDE: f64 = 32.0;
/// Runs before another value is given up where all came to one and the same: of what lies near a tie one in five hundred.
const RUNS_FOR_ONE: u32 = 10;

impl Spread {
    fn note(&mut self, word: u32, value: f64) {
        if self.unlike < SCATTERED_VALUES && !self.values[..self.unlike].contains(&word) {
            self.values[self.unlike] = word;
            self.unlike += 1;
        }
        if value.is_finite() {
            let (low, high) = self.range.unwrap_or((value, value));
            self.range = Some((low.min(value), high.max(value)));
        }
    }

    /// What a number that follows closely from floats may be, which no run has to come to exactly.
    fn uncertain(&self) -> Option<(f64, f64)> {
        let (low, high) = self.range.filter(|_| self.unlike >= UNCERTAIN_VALUES)?;
        // Sixteen that scatter about a value lie all to one side of it in one of thirty thousand places, and as far off as
        // half of what they span in one of ten trillion.
        let beyond = if self.unlike >= SCATTERED_VALUES { (high - low) / 2.0 } else { 0.0 };
        Some((low - beyond, high + beyond))
    }

    fn explains(&self, output: usize, value: f64) -> bool {
        self.seen[output] || self.uncertain().is_some_and(|(low, high)| (low..=high).contains(&value))
    }

    /// No further run will come to it. What is no number is beyond every range.
    fn is_beyond(&self, output: usize, value: f64, runs: u32) -> bool {
        let is_near = |(low, high): (f64, f64)| (low - value).max(value - high) <= FAR_OUTSIDE * (high - low);
        let is_far = || runs >= RUNS_FOR_RANGE && self.uncertain().is_some_and(|range| !is_near(range));
        let is_other = || runs >= RUNS_FOR_ONE && self.unlike == 1;
        !self.seen[output] && (is_far() || is_other())
    }
}

impl Apart<'_> {
    /// The references are as uncertain as that: at each place some run came to the one value and some to the other, or
    /// both lie among all that came out.
    pub fn is_explained(&self) -> bool {
        self.all(Spread::explains)
    }

    /// No further run will explain it.
    pub fn is_hopeless(&self) -> bool {
        !self.all(|spread, output, value| !spread.is_beyond(output, value, self.runs))
    }

    fn all(&self, holds: impl Fn(&Spread, usize, f64) -> bool) -> bool {
        let Pair { answers, found, expected } = self.pair;
        answers.iter().zip(&self.places).enumerate().all(|(array, (column, places))| {
            places.iter().all(|(place, spread)| {
                let outputs = [&found[array], &expected[array]];
                // One that is longer has a value where the other has none.
                let words = outputs.map(|output| output.get(*place).copied());
                words
                    .iter()
                    .enumerate()
                    .all(|(output, word)| word.is_some_and(|word| holds(spread, output, number(column, word))))
            })
        })
    }

    /// Takes a nudged run, as it is uploaded; `None` where it is no output.
    pub fn note(&mut self, run: &[u8]) -> Option<()> {
        let Pair { answers, found, expected } = self.pair;
        let run = deinterleave(run, answers)?.ok()?;
        for (array, column) in answers.iter().enumerate() {
            let closeness = Closeness::of(column.dtype, &run[array]);
            for (place, spread) in &mut self.places[array] {
                let word = *run[array].get(*place)?;
                spread.note(word, number(column, word));
                for (seen, output) in spread.seen.iter_mut().zip([&found[array], &expected[array]]) {
                    *seen |= output.get(*place).is_some_and(|value| closeness.holds(*value, word));
                }
            }
        }
        self.runs += 1;
        Some(())
    }
}

fn number(column: &Column, word: u32) -> f64 {
    match column.dtype.repr() {
        Repr::F32 => f32::from_bits(word).into(),
        Repr::I32 => word.cast_signed().into(),
        Repr::U32 => word.into(),
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

    #[test]
    fn a_number_that_is_uncertain_may_be_any_that_lies_among_what_came_out() {
        let far = |label: u32| tile(&[(7, label)]);
        let runs = [far(1_000_000), far(1_000_040), far(999_970), far(1_000_010)];
        let judge = |found: u32, runs: &[Vec<u8>]| {
            let (found, expected) = (far(found), far(1_000_003));
            let pair = Pair::new(&labels(), &found, &expected).unwrap();
            let mut apart = pair.apart();
            runs.iter().for_each(|run| apart.note(run).unwrap());
            (apart.is_explained(), apart.is_hopeless())
        };

        assert_eq!(judge(1_000_004, &runs), (true, false), "no run has come to it");
        assert_eq!(judge(1_000_041, &runs), (false, false), "further runs may");
        assert_eq!(judge(1_010_000, &runs), (false, false), "few may lie close together by chance");
        assert_eq!(judge(1_010_000, &[&runs[..], &runs[..]].concat()), (false, true));
        assert_eq!(judge(1_000_004, &runs[..2]), (false, false), "of two values each may be the one");
    }

    #[test]
    fn where_all_that_came_out_scatters_to_one_side_of_a_number_it_is_among_them_still() {
        let far = |label: u32| tile(&[(7, label)]);
        let is_explained = |found: u32, runs: u32| {
            let (found, expected) = (far(found), far(1_000_000));
            let pair = Pair::new(&labels(), &found, &expected).unwrap();
            let mut apart = pair.apart();
            (1..=runs).for_each(|run| apart.note(&far(1_000_000 + 10 * run)).unwrap());
            apart.is_explained()
        };

        assert!(!is_explained(1_000_001, 7), "they are few");
        assert!(is_explained(1_000_001, 16));
        assert!(!is_explained(1_000_300, 16), "as far off as they are apart");
    }

    #[test]
    fn a_value_that_is_none_or_that_no_run_comes_to_is_given_up_early() {
        let far = |label: u32| tile(&[(7, label)]);
        let hopeless_after = |found: u32, runs: &[u32]| {
            let (found, expected) = (far(found), far(4));
            let pair = Pair::new(&labels(), &found, &expected).unwrap();
            let mut apart = pair.apart();
            runs.iter().position(|run| {
                apart.note(&far(*run)).unwrap();
                apart.is_hopeless()
            })
        };

        assert_eq!(hopeless_after(9, &[4; 16]), Some(9), "ten runs say the same");
        assert_eq!(
            hopeless_after(9, &[4, 4, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4]),
            None,
            "there is a tie, and nine may come yet"
        );
        let pair = Spread { unlike: 3, range: Some((0.0, 1.0)), ..Spread::default() };
        assert!(pair.is_beyond(0, f64::NAN, 8) && !pair.is_beyond(0, 2.0, 8));
    }
}
