//! Numbers of one width as numbers of another.

/// A number in another type. For values that are bounded where they come in, so that they fit;
/// what a stranger could send out of range is refused there instead.
#[track_caller]
pub fn to<T>(number: impl TryInto<T>) -> T {
    number.try_into().ok().expect("a number that was bounded where it came in should fit its type")
}
