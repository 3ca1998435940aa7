//! The float functions that models spend their time in, written so that a compiler vectorizes loops over
//! them. Polynomials after Cephes (Moshier, netlib.org/cephes, single precision).

/// The exponential, within two units in the last place.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    // Beyond these the result is infinity or 0; NaN passes the clamp as it is.
    let v = x.clamp(-104.0, 89.0);
    let shifted = v * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (v - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut y = 1.987_569_1e-4_f32;
    y = y * r + 1.398_2e-3;
    y = y * r + 8.333_452e-3;
    y = y * r + 4.166_579_6e-2;
    y = y * r + 1.666_666_5e-1;
    y = y * r + 0.5;
    y = y * r * r + r + 1.0;
    // 2^n in two factors, since one would leave the range of an exponent.
    let whole = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
    let half = whole >> 1;
    y * power_of_two(half) * power_of_two(whole.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(n.wrapping_add(127).cast_unsigned() << 23)
}

/// The error function: Cephes' polynomial below 1, and above it Chebyshev's fit to the complement
/// (Numerical Recipes, 6.2).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let z = x * x;
    let mut small = 7.853_861e-5_f32;
    for c in
        [-8.010_194e-4, 5.188_327_7e-3, -2.685_381_2e-2, 0.112_835_85, -0.376_126_26, std::f32::consts::FRAC_2_SQRT_PI]
    {
        small = small * z + c;
    }
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let mut s = 0.170_872_77_f32;
    for c in [-0.822_152_23, 1.488_515_9, -1.135_204, 0.278_868_07, -0.186_288_06, 0.096_784_18, 0.374_091_96] {
        s = s * t + c;
    }
    s = (s * t + 1.000_023_7) * t - 1.265_512_2;
    let large = (1.0 - t * exp(s - z)).copysign(x);
    let value = if x.abs() < 1.0 { small * x } else { large };
    if x.is_nan() { x } else { value }
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Eight partial sums, added up in the end: faster than one sum, and with less rounding error.
#[inline(always)]
pub(crate) fn sum(x: &[f32], lift: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, &v)| *sum += lift(v));
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&v| lift(v)).sum::<f32>()
}

/// log(1 + eˣ), without overflow.
pub(crate) fn softplus(x: f32) -> f32 {
    let value = x.max(0.0) + (-x.abs()).exp().ln_1p();
    if x.is_nan() { x } else { value }
}

#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x * x;
    let mut small = -5.704_988_7e-3_f32;
    small = small * z + 2.063_908_8e-2;
    small = small * z - 5.373_971_6e-2;
    small = small * z + 1.333_144_2e-1;
    small = small * z - 0.333_332_8;
    small = small * z * x + x;
    let large = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    let value = if x.abs() < 0.625 { small } else { large };
    if x.is_nan() { x } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_agree_with_the_standard_library_everywhere() {
        let odd = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 88.7, 88.8, -87.5, -103.0, -104.5, 1e-30];
        let grid = (-30_000i16..30_000).map(|i| f32::from(i) / 300.0);
        for x in grid.chain(odd) {
            let pairs = [
                (erf(x), libm::erff(x)),
                (exp(x), x.exp()),
                (tanh(x), x.tanh()),
                (sigmoid(x), 1.0 / (1.0 + (-x).exp())),
            ];
            for (found, expected) in pairs {
                let close = (found - expected).abs() <= 4e-7 * expected.abs() + 1e-44;
                let same = found.total_cmp(&expected).is_eq() || (found.is_nan() && expected.is_nan());
                assert!(close || same, "{x}: {found} {expected}");
            }
        }
    }
}
