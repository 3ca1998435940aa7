//! Numbers from one integer type into another, where this crate's own checks keep them in range.

use std::fmt::Debug;

/// The same number as another integer type.
///
/// For counts, strides and indices of tensors and records: whoever built the call or the program has bounded
/// them. A number that a stranger sends is refused with `try_from` where it comes in, and never brought here.
///
/// # Panics
/// When the number does not fit, which is an error in whatever should have bounded it.
#[inline(always)]
#[track_caller]
pub fn to<T, N>(number: N) -> T
where
    N: TryInto<T>,
    N::Error: Debug,
{
    number.try_into().expect("a count should have been bounded where it came in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_what_it_is_in_another_type() {
        assert_eq!(to::<u32, usize>(7), 7);
        assert_eq!(to::<i64, u32>(u32::MAX), 4_294_967_295);
    }
}
