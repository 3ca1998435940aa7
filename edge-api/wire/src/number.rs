//! Numbers of one width as numbers of another.

/// A number in another type. For values that are bounded where they come in, so that they fit;
/// what a stranger could send out of range is refused there instead.
#[cfg_attr(not(target_family = "wasm"), track_caller)]
pub fn to<T>(number: impl TryInto<T>) -> T {
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
    panic!("a number that was bounded where it came in should fit its type")
}
