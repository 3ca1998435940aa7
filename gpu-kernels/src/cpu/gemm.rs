//! Matrix products by the `gemm` crate: vector code chosen for the machine, and threads natively.
//! Without feature `cpu` they are plain loops.

#[cfg(feature = "cpu")]
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
#[cfg(all(feature = "cpu", not(target_arch = "wasm32")))]
const SHARED: usize = 1 << 20;

#[cfg(all(feature = "cpu", not(target_arch = "wasm32")))]
fn parallelism(work: usize) -> Parallelism {
    if work < SHARED { Parallelism::None } else { Parallelism::Rayon(0) }
}

#[cfg(all(feature = "cpu", target_arch = "wasm32"))]
fn parallelism(_work: usize) -> Parallelism {
    Parallelism::None
}

/// `out[m, n] = alpha · a[m, k] · b[k, n]`; each row of `out` begins `row` values after the one before.
///
/// # Panics
/// When a matrix reaches beyond its slice, or rows of `out` overlap.
pub(crate) fn product(
    [m, n, k]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    alpha: f32,
    (out, row): (&mut [f32], usize),
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.covers(m, k) && b.covers(k, n), "a matrix reaches beyond its slice");
    assert!(row >= n && out.len() >= (m - 1) * row + n, "the result reaches beyond its slice");
    if k == 0 {
        return out.chunks_mut(row).take(m).for_each(|out| out[..n].fill(0.0));
    }
    multiply([m, n, k], a, b, alpha, out, row);
}

#[cfg(not(feature = "cpu"))]
fn multiply([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, alpha: f32, out: &mut [f32], out_row: usize) {
    for (row, out) in out.chunks_mut(out_row).take(m).enumerate() {
        let out = &mut out[..n];
        out.fill(0.0);
        for i in 0..k {
            let left = alpha * a.data[a.offset + row * a.row + i * a.col];
            for (col, out) in out.iter_mut().enumerate() {
                *out += left * b.data[b.offset + i * b.row + col * b.col];
            }
        }
    }
}

#[cfg(feature = "cpu")]
#[expect(unsafe_code, reason = "the crate takes pointers")]
fn multiply([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, alpha: f32, out: &mut [f32], out_row: usize) {
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
            signed(out_row),
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
