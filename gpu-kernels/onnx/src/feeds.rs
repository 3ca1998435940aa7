//! What a model's inputs are fed with, from the arrays of a job.

use gpu_kernels::dtype::OutOfRange;
use gpu_kernels::records::{Column, columns, split};

use crate::graph::Feed;
use crate::tensor::Tensor;

/// An input as a job describes it.
#[derive(Clone, Copy, Debug)]
pub struct InputArray<'a> {
    /// Name of its type in ONNX and numpy.
    pub dtype: &'a str,
    /// Of a row, where each row has its own.
    pub shape: &'a [u64],
    /// All rows share it, and its values are known before a plan is made.
    pub shared: bool,
    /// It is the job's only row: no dimension before `shape` counts rows.
    pub whole: bool,
}

/// Why the values of shared inputs cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    #[error("the shared inputs take {expected} bytes and {found} were sent")]
    Size { expected: usize, found: usize },
    #[error(transparent)]
    Value(#[from] OutOfRange),
}

/// What the planner is told of each input. `shared` holds the values of the shared ones, one after another.
pub fn feeds(inputs: &[InputArray<'_>], shared: &[u8]) -> Result<Vec<Feed>, FeedError> {
    let known = columns(inputs.iter().filter(|input| input.shared).map(|input| (input.dtype, input.shape)));
    let size = || {
        let expected = known.iter().map(Column::bytes).fold(0, usize::saturating_add);
        FeedError::Size { expected, found: shared.len() }
    };
    let words = split(shared, 1, &known).ok_or_else(size)??;
    let mut values = known.iter().zip(words);
    let feed = |input: &InputArray<'_>| {
        // A size beyond memory comes out as a shape that no plan accepts.
        let shape = input.shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        if input.shared {
            let (column, words) = values.next().expect("a shared input should have its values");
            return Feed::Known(Tensor { dtype: column.dtype, shape, words: words.into() });
        }
        if input.whole { Feed::Whole(shape) } else { Feed::Rows(shape) }
    };
    Ok(inputs.iter().map(feed).collect())
}

#[cfg(test)]
mod tests {
    use gpu_kernels::dtype::DType;

    use super::*;

    #[test]
    fn shared_inputs_take_their_values_in_order_and_all_of_them() {
        let by_row = |dtype, shape| InputArray { dtype, shape, shared: false, whole: false };
        let inputs = [
            InputArray { shared: true, ..by_row("uint8", &[2][..]) },
            by_row("float32", &[3]),
            InputArray { shared: true, ..by_row("int64", &[]) },
            InputArray { whole: true, ..by_row("float32", &[5, 1]) },
        ];
        let known = |dtype, shape, words: &[u32]| Feed::Known(Tensor { dtype, shape, words: words.into() });

        let bytes = [7, 9, 3, 0, 0, 0, 0, 0, 0, 0];
        let found = feeds(&inputs, &bytes).unwrap();

        let expected = [
            known(DType::U8, vec![2], &[7, 9]),
            Feed::Rows(vec![3]),
            known(DType::I64, vec![], &[3]),
            Feed::Whole(vec![5, 1]),
        ];
        assert_eq!(found, expected);
        assert_eq!(feeds(&inputs, &bytes[1..]), Err(FeedError::Size { expected: 10, found: 9 }));
    }
}
