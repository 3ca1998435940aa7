//! Numbers from one integer type into another, where this crate's own checks keep them in range.

/// The same number as another integer type.
///
/// For counts, strides and indices of tensors and records: whoever built the call or the program has bounded
/// them. A number that a stranger sends is refused with `try_from` where it comes in, and never brought here.
///
/// # Panics
/// When the number does not fit, which is an error in whatever should have bounded it.
#[inline(always)]
#[cfg_attr(not(target_family = "wasm"), track_caller)]
pub fn to<T, N: TryInto<T>>(number: N) -> T {
    match number.try_into() {
        Ok(number) => number,
        Err(_) => does_not_fit(),
    }
}

/// Apart, so that a browser downloads it once.
#[cold]
#[inline(never)]
#[cfg_attr(not(target_family = "wasm"), track_caller)]
fn does_not_fit() -> ! {
    panic!("a count should have been bounded where it came in")
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
