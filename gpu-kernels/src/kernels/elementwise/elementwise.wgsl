// Operations whose results WGSL leaves open or promises only roughly. NaN and infinity are recognized by
// their bits, since a compiler may assume that neither exists. Trigonometry is by polynomial, since WGSL
// promises no more than 2^-11 for sin and cos, and 4096 units in the last place for asin and acos. The
// polynomials are those of Cephes (Moshier, netlib.org/cephes, single precision).

const NAN_BITS: u32 = 0x7fc00000u;
const INF_BITS: u32 = 0x7f800000u;

fn magnitude(x: f32) -> u32 { return bitcast<u32>(x) & 0x7fffffffu; }
fn is_inf(x: f32) -> bool { return magnitude(x) == INF_BITS; }
fn is_negative(x: f32) -> bool { return (bitcast<u32>(x) >> 31u) != 0u; }
// Depends on a parameter, because WGSL refuses constant expressions that are not finite.
fn bits_to_float(bits: u32) -> f32 { return bitcast<f32>(bits | (p.rank & 0x80000000u)); }
fn nan_value() -> f32 { return bits_to_float(NAN_BITS); }
fn infinity() -> f32 { return bits_to_float(INF_BITS); }

fn eq_f(a: f32, b: f32) -> bool { return !is_nan(a) && !is_nan(b) && ordered(a) == ordered(b); }
fn lt_f(a: f32, b: f32) -> bool { return !is_nan(a) && !is_nan(b) && ordered(a) < ordered(b); }
fn le_f(a: f32, b: f32) -> bool { return !is_nan(a) && !is_nan(b) && ordered(a) <= ordered(b); }
// An integer that orders like the float; both zeroes give 0.
fn ordered(x: f32) -> i32 {
  let bits = bitcast<i32>(x);
  return select(bits, -(bits & 0x7fffffff), bits < 0);
}

fn max_f(a: f32, b: f32) -> f32 { if (is_nan(a)) { return a; } if (is_nan(b)) { return b; } return select(b, a, ordered(a) > ordered(b)); }
fn min_f(a: f32, b: f32) -> f32 { if (is_nan(a)) { return a; } if (is_nan(b)) { return b; } return select(b, a, ordered(a) < ordered(b)); }
fn max_i(a: i32, b: i32) -> i32 { return max(a, b); }
fn min_i(a: i32, b: i32) -> i32 { return min(a, b); }
fn max_u(a: u32, b: u32) -> u32 { return max(a, b); }
fn min_u(a: u32, b: u32) -> u32 { return min(a, b); }

fn sign_f(x: f32) -> f32 { if (is_nan(x)) { return x; } return sign(x); }
fn sqrt_f(x: f32) -> f32 {
  if (is_nan(x) || x == 0.0) { return x; }
  if (is_negative(x)) { return nan_value(); }
  if (is_inf(x)) { return x; }
  return sqrt(x);
}
fn exp_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x > 88.72283) { return infinity(); }
  if (x < -103.97) { return 0.0; }
  // Cephes expf: x = n ln 2 + r, |r| ≤ ln 2 / 2.
  let n = round(x * 1.44269504);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4;
  var y = 1.9875691500e-4;
  y = y * r + 1.3981999507e-3;
  y = y * r + 8.3334519073e-3;
  y = y * r + 4.1665795894e-2;
  y = y * r + 1.6666665459e-1;
  y = y * r + 5.0000001201e-1;
  y = y * r * r + r + 1.0;
  let half = i32(n) / 2;
  let rest = i32(n) - half;
  return y * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(rest + 127) << 23u);
}
fn log_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (magnitude(x) == 0u) { return -infinity(); }
  if (is_negative(x)) { return nan_value(); }
  if (is_inf(x)) { return x; }
  var bits = bitcast<u32>(x);
  var e = 0;
  if (bits < 0x00800000u) { bits = bitcast<u32>(x * 8388608.0); e = -23; }
  e += i32(bits >> 23u) - 126;
  var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
  if (m < 0.70710678) { e -= 1; m = m + m - 1.0; } else { m = m - 1.0; }
  let z = m * m;
  var y = 7.0376836292e-2;
  y = y * m - 1.1514610310e-1;
  y = y * m + 1.1676998740e-1;
  y = y * m - 1.2420140846e-1;
  y = y * m + 1.4249322787e-1;
  y = y * m - 1.6668057665e-1;
  y = y * m + 2.0000714765e-1;
  y = y * m - 2.4999993993e-1;
  y = y * m + 3.3333331174e-1;
  y = y * m * z;
  y = y + f32(e) * -2.12194440e-4 - 0.5 * z;
  return m + y + f32(e) * 0.693359375;
}
// x less a multiple of π/2, with the multiple; good to |x| of some thousands.
fn quadrant(x: f32) -> vec2<f32> {
  let n = round(x * 0.636619772);
  var r = x - n * 1.5703125;
  r = r - n * 4.837512969970703125e-4;
  r = r - n * 7.54978995489188216e-8;
  return vec2<f32>(r, n - 4.0 * floor(n * 0.25));
}
fn sin_kernel(r: f32) -> f32 { let z = r * r; return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r; }
fn cos_kernel(r: f32) -> f32 { let z = r * r; return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0; }
fn sin_f(x: f32) -> f32 {
  if (is_nan(x) || is_inf(x)) { return nan_value(); }
  let q = quadrant(x);
  var y = select(sin_kernel(q.x), cos_kernel(q.x), q.y == 1.0 || q.y == 3.0);
  return select(y, -y, q.y >= 2.0);
}
fn cos_f(x: f32) -> f32 {
  if (is_nan(x) || is_inf(x)) { return nan_value(); }
  let q = quadrant(x);
  var y = select(cos_kernel(q.x), sin_kernel(q.x), q.y == 1.0 || q.y == 3.0);
  return select(y, -y, q.y == 1.0 || q.y == 2.0);
}
fn tan_f(x: f32) -> f32 { return sin_f(x) / cos_f(x); }
fn atan_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  var y = 0.0;
  var v = a;
  if (a > 2.414213562) { y = 1.5707963268; v = -1.0 / a; } else if (a > 0.4142135624) { y = 0.7853981634; v = (a - 1.0) / (a + 1.0); }
  let z = v * v;
  y += (((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * v + v;
  return select(y, -y, is_negative(x));
}
fn asin_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a > 1.0) { return nan_value(); }
  var z = a * a;
  var v = a;
  let big = a > 0.5;
  if (big) { z = 0.5 * (1.0 - a); v = sqrt(z); }
  var y = ((((4.2163199048e-2 * z + 2.4181311049e-2) * z + 4.5470025998e-2) * z + 7.4953002686e-2) * z + 1.6666752422e-1) * z * v + v;
  if (big) { y = 1.5707963268 - 2.0 * y; }
  return select(y, -y, is_negative(x));
}
fn acos_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x > 0.5) { return 2.0 * asin_f(sqrt_f(0.5 * (1.0 - x))); }
  if (x < -0.5) { return 3.1415926536 - 2.0 * asin_f(sqrt_f(0.5 * (1.0 + x))); }
  return 1.5707963268 - asin_f(x);
}
fn sinh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a < 1.0) { let z = x * x; return ((2.03721912945e-4 * z + 8.33028376239e-3) * z + 1.66667160211e-1) * z * x + x; }
  let e = exp_f(0.5 * a);
  let y = 0.5 * e * e - 0.5 / (e * e);
  return select(y, -y, is_negative(x));
}
fn cosh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let e = exp_f(0.5 * abs(x));
  return 0.5 * e * e + 0.5 / (e * e);
}
fn tanh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a < 0.625) {
    let z = x * x;
    return ((((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z - 3.33332819422e-1) * z * x + x;
  }
  let y = 1.0 - 2.0 / (exp_f(2.0 * min(a, 15.0)) + 1.0);
  return select(y, -y, is_negative(x));
}
fn log1p_f(x: f32) -> f32 {
  let u = 1.0 + x;
  if (u == 1.0) { return x; }
  return log_f(u) * (x / (u - 1.0));
}
fn asinh_f(x: f32) -> f32 {
  if (is_nan(x) || is_inf(x)) { return x; }
  let a = abs(x);
  var y = 0.0;
  if (a > 1e9) { y = log_f(a) + 0.6931471806; } else { y = log1p_f(a + a * a / (1.0 + sqrt(a * a + 1.0))); }
  return select(y, -y, is_negative(x));
}
fn acosh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x < 1.0) { return nan_value(); }
  if (x > 1e9) { return log_f(x) + 0.6931471806; }
  let t = x - 1.0;
  return log1p_f(t + sqrt(2.0 * t + t * t));
}
fn atanh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a > 1.0) { return nan_value(); }
  if (a == 1.0) { return select(infinity(), -infinity(), is_negative(x)); }
  let y = 0.5 * log1p_f(2.0 * a / (1.0 - a));
  return select(y, -y, is_negative(x));
}
// Numerical Recipes' erfc by Chebyshev fit is too coarse below 1; there the series is summed.
fn erf_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  var y = 1.0;
  if (a < 1.0) {
    let z = x * x;
    let t = ((((((7.853861353153693e-5 * z - 8.010193625184903e-4) * z + 5.188327685732524e-3) * z - 2.685381193529856e-2) * z + 1.128358514861418e-1) * z - 3.761262582423300e-1) * z + 1.128379165726710);
    return x * t;
  }
  if (a < 4.0) {
    let t = 1.0 / (1.0 + 0.5 * a);
    let s = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    y = 1.0 - t * exp_f(s - a * a);
  }
  return select(y, -y, is_negative(x));
}
fn sigmoid_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  return 1.0 / (1.0 + exp_f(-clamp(x, -87.0, 87.0)));
}
fn softplus_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  return max(x, 0.0) + log1p_f(exp_f(-abs(x)));
}
fn pow_f(a: f32, b: f32) -> f32 {
  if (b == 0.0 || a == 1.0) { return 1.0; }
  if (is_nan(a) || is_nan(b)) { return nan_value(); }
  let whole = trunc(b) == b;
  let odd = whole && abs(b) < 16777216.0 && (i32(b) & 1) != 0;
  if (a == 0.0) { return select(0.0, infinity(), b < 0.0); }
  if (is_negative(a) && !whole) { return nan_value(); }
  let m = abs(a);
  var y = 0.0;
  if (whole && abs(b) <= 64.0) {
    // Whole powers by squaring keep the last digits that a logarithm would lose.
    var n = u32(abs(b));
    var square = m;
    y = 1.0;
    while (n != 0u) {
      if ((n & 1u) != 0u) { y *= square; }
      square *= square;
      n >>= 1u;
    }
    if (b < 0.0) { y = 1.0 / y; }
  } else if (b == 0.5) { y = sqrt_f(m); } else { y = exp_f(b * log_f(m)); }
  return select(y, -y, is_negative(a) && odd);
}
fn pow_u(a: u32, b: u32) -> u32 {
  var y = 1u;
  var square = a;
  var n = b;
  while (n != 0u) {
    if ((n & 1u) != 0u) { y *= square; }
    square *= square;
    n >>= 1u;
  }
  return y;
}
fn pow_i(a: i32, b: i32) -> i32 {
  if (b < 0) {
    if (a == 1) { return 1; }
    if (a == -1) { return select(1, -1, (b & 1) != 0); }
    return 0;
  }
  return bitcast<i32>(pow_u(bitcast<u32>(a), u32(b)));
}
fn div_i(a: i32, b: i32) -> i32 { if (b == 0) { return 0; } if (b == -1) { return -a; } return a / b; }
fn div_u(a: u32, b: u32) -> u32 { if (b == 0u) { return 0u; } return a / b; }
fn rem_i(a: i32, b: i32) -> i32 { if (b == 0 || b == -1) { return 0; } return a - (a / b) * b; }
fn rem_u(a: u32, b: u32) -> u32 { if (b == 0u) { return 0u; } return a % b; }
fn mod_i(a: i32, b: i32) -> i32 { let r = rem_i(a, b); return select(r, r + b, r != 0 && (r < 0) != (b < 0)); }
fn mod_u(a: u32, b: u32) -> u32 { return rem_u(a, b); }
fn rem_f(a: f32, b: f32) -> f32 {
  if (is_nan(a) || is_nan(b) || is_inf(a) || b == 0.0) { return nan_value(); }
  if (is_inf(b)) { return a; }
  return a - b * trunc(a / b);
}
fn mod_f(a: f32, b: f32) -> f32 {
  let r = rem_f(a, b);
  if (is_nan(r) || r == 0.0 || is_negative(r) == is_negative(b)) { return r; }
  return r + b;
}
fn shl_u(a: u32, b: u32) -> u32 { return select(a << (b & 31u), 0u, b > 31u); }
fn shr_u(a: u32, b: u32) -> u32 { return select(a >> (b & 31u), 0u, b > 31u); }
fn shl_i(a: i32, b: u32) -> i32 { return select(a << (b & 31u), 0, b > 31u); }
fn shr_i(a: i32, b: u32) -> i32 { return a >> min(b, 31u); }

fn to_i32(x: f32) -> i32 {
  if (is_nan(x)) { return 0; }
  if (x >= 2147483648.0) { return 2147483647; }
  if (x <= -2147483648.0) { return -2147483647 - 1; }
  return i32(x);
}
fn to_u32(x: f32) -> u32 {
  if (is_nan(x) || x <= 0.0) { return bitcast<u32>(to_i32(x)); }
  if (x >= 4294967296.0) { return 4294967295u; }
  return u32(x);
}

// The nearest value with `kept` bits of fraction, halves to the even one.
fn round_bits(bits: u32, dropped: u32) -> u32 {
  let odd = (bits >> dropped) & 1u;
  return ((bits + (1u << (dropped - 1u)) - 1u + odd) >> dropped) << dropped;
}
fn to_bfloat(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  return bits_to_float_any(round_bits(bitcast<u32>(x), 16u));
}
fn to_half(x: f32) -> f32 {
  let size = magnitude(x);
  if (size >= INF_BITS) { return x; }
  let sign_bit = bitcast<u32>(x) & 0x80000000u;
  var bits = 0u;
  if (size < 0x38800000u) {
    // Below 2^-14 halves are multiples of 2^-24.
    bits = bitcast<u32>(round(bitcast<f32>(size) * 16777216.0) / 16777216.0);
  } else {
    bits = round_bits(size, 13u);
    if (bits >= 0x47800000u) { bits = INF_BITS; }
  }
  return bits_to_float_any(bits | sign_bit);
}
fn bits_to_float_any(bits: u32) -> f32 { return bitcast<f32>(bits); }

// a / b rounded to nearest even, by long division of the significands: WGSL's own division may be
// 2.5 units off. Subnormal operands and results are divided by WGSL.
fn div_exact(a: f32, b: f32) -> f32 {
  let ma = magnitude(a);
  let mb = magnitude(b);
  let ea = i32(ma >> 23u);
  let eb = i32(mb >> 23u);
  let sign_bit = (bitcast<u32>(a) ^ bitcast<u32>(b)) & 0x80000000u;
  if (ea == 0 || eb == 0 || ea == 255 || eb == 255) { return a / b; }
  var e = ea - eb + 127;
  var rest = (ma & 0x007fffffu) | 0x00800000u;
  let divisor = (mb & 0x007fffffu) | 0x00800000u;
  if (rest < divisor) { rest <<= 1u; e -= 1; }
  if (e <= 0 || e >= 255) { return a / b; }
  var quotient = 0u;
  for (var i = 0; i < 25; i++) {
    quotient <<= 1u;
    if (rest >= divisor) { rest -= divisor; quotient |= 1u; }
    rest <<= 1u;
  }
  // 25 bits: 24 of the result and one to round by.
  let lower = quotient & 1u;
  quotient >>= 1u;
  if (lower == 1u && (rest != 0u || (quotient & 1u) == 1u)) { quotient += 1u; }
  if (quotient == 0x01000000u) { quotient >>= 1u; e += 1; }
  if (e >= 255) { return a / b; }
  return bitcast<f32>(sign_bit | (u32(e) << 23u) | (quotient & 0x007fffffu));
}
