//! Loops compiled a second time for newer processors with wider vectors; which one runs is decided at run time.

/// A loop that a compiler turns into vector code. `run` and all that it calls must be inlined.
pub(crate) trait Vector {
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a loop with the widest vectors that this processor has.
#[cfg(feature = "cpu")]
pub(crate) fn dispatch<V: Vector>(work: V) -> V::Output {
    use pulp::{Arch, Simd, WithSimd};

    struct Inner<V>(V);

    impl<V: Vector> WithSimd for Inner<V> {
        type Output = V::Output;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> V::Output {
            self.0.run()
        }
    }

    Arch::new().dispatch(Inner(work))
}

#[cfg(not(feature = "cpu"))]
pub(crate) fn dispatch<V: Vector>(work: V) -> V::Output {
    work.run()
}
