//! Matrix products by the `gemm` crate: vector code chosen for the machine, and threads. A tab, which
//! multiplies on its GPU, has plain loops for the few constants that it folds.

#[cfg(not(target_arch = "wasm32"))]
use gemm_common::Parallelism;

/// A matrix within a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) offset: usize,
    /// Elements from one row to the next.
    pub(crate) row: usize,
    /// Elements from one column to the next.
    pub(crate) col: usize,
}

impl Matrix<'_> {
    fn covers(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || self.offset + (rows - 1) * self.row + (cols - 1) * self.col < self.data.len()
    }
}

/// Products smaller than this are not worth a second thread.
#[cfg(not(target_arch = "wasm32"))]
const SHARED: usize = 1 << 20;

#[cfg(not(target_arch = "wasm32"))]
fn parallelism(work: usize) -> Parallelism {
    if work < SHARED { Parallelism::None } else { Parallelism::Rayon(0) }
}

/// `out[m, n] = alpha · a[m, k] · b[k, n]`, contiguous.
///
/// # Panics
/// When a matrix reaches beyond its slice.
pub(crate) fn product([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, alpha: f32, out: &mut [f32]) {
    assert!(a.covers(m, k) && b.covers(k, n) && out.len() >= m * n, "a matrix reaches beyond its slice");
    if m == 0 || n == 0 {
        return;
    }
    out[..m * n].fill(0.0);
    if k > 0 {
        multiply([m, n, k], a, b, alpha, out);
    }
}

#[cfg(target_arch = "wasm32")]
fn multiply([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, alpha: f32, out: &mut [f32]) {
    for (row, out) in out.chunks_exact_mut(n).take(m).enumerate() {
        for i in 0..k {
            let left = alpha * a.data[a.offset + row * a.row + i * a.col];
            for (col, out) in out.iter_mut().enumerate() {
                *out += left * b.data[b.offset + i * b.row + col * b.col];
            }
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(unsafe_code, reason = "the crate takes pointers")]
fn multiply([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, alpha: f32, out: &mut [f32]) {
    let signed = |stride: usize| isize::try_from(stride).expect("a stride should fit an address");
    let multiply = gemm_f32::gemm::f32::get_gemm_fn();
    // SAFETY: every element that the strides reach lies inside its slice, as `product` asserted; `out`
    // is borrowed mutably, so nothing else reads or writes it meanwhile; `read_dst` is false, so
    // what it held is not read.
    unsafe {
        multiply(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            signed(n),
            false,
            a.data[a.offset..].as_ptr(),
            signed(a.col),
            signed(a.row),
            b.data[b.offset..].as_ptr(),
            signed(b.col),
            signed(b.row),
            0.0,
            alpha,
            false,
            false,
            false,
            parallelism(m * n * k),
        );
    }
}
