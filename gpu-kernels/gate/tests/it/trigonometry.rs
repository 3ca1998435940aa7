//! Sines and the like are right to some units of the last place, whatever the device makes of them.

use gate::{Contract, admit};

use crate::run;

/// A kernel of two floats that computes one, of a vector's value or of its own.
fn kernel(formula: &str) -> String {
    let of_vectors = formula.replace('x', "v").replace('y', "w");
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<vec2f>;
        @group(0) @binding(1) var<storage, read_write> result: array<vec2f>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
            let x = source[id.x].x; let y = source[id.x].y;
            let v = vec3f(0.5, x, 0.25); let w = vec3f(y);
            result[id.x] = vec2f({formula}, ({of_vectors}).y);
        }}"
    )
}

#[expect(clippy::cast_possible_truncation, reason = "float32 is what is asked for")]
fn check(formula: &str, inputs: &[(f32, f32)], right: impl Fn(f64, f64) -> f64) {
    let contract = Contract { record_bytes: 8, out_bytes: 8, fuel: None };
    let admitted = admit(&kernel(formula), contract).unwrap_or_else(|error| panic!("{error}"));
    let words: Vec<u32> = inputs.iter().flat_map(|(x, y)| [x.to_bits(), y.to_bits()]).collect();
    let Some(found) = run(&admitted, &[], &words, (8, 8)) else { return };
    for ((x, y), found) in inputs.iter().zip(found.as_chunks::<2>().0) {
        let expected = right(f64::from(*x), f64::from(*y));
        // Half a unit of the angle itself moves a sine by as much.
        let most = 4e-7 * expected.abs().max(1e-3)
            + 6e-8 * f64::from(x.abs()).min(1e3) * expected.abs().max(1.0).powi(2) * 1e-2;
        for found in found.map(f32::from_bits) {
            let apart = (f64::from(found) - expected).abs();
            assert!(apart <= most, "{formula} of {x}, {y} is {found}, not {}: {apart:e}", expected as f32);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "steps between floats")]
fn between(least: f32, most: f32) -> Vec<(f32, f32)> {
    (0..=997u32).map(|i| (least + (most - least) * i as f32 / 997.0, 0.0)).collect()
}

#[test]
fn sines_and_cosines_are_right_on_every_device() {
    for (least, most) in [(-0.01, 0.01), (-7.0, 7.0), (-200.0, 300.0), (9000.0, 9100.0)] {
        check("sin(x)", &between(least, most), |x, _| x.sin());
        check("cos(x)", &between(least, most), |x, _| x.cos());
    }
    check("tan(x)", &between(-1.5, 1.5), |x, _| x.tan());
    check("tan(x)", &between(1.7, 4.6), |x, _| x.tan());
}

#[test]
fn angles_are_right_on_every_device() {
    check("asin(x)", &between(-1.0, 1.0), |x, _| x.asin());
    check("acos(x)", &between(-1.0, 1.0), |x, _| x.acos());
    check("atan(x)", &between(-4.0, 4.0), |x, _| x.atan());
    check("atan(x)", &between(-1e6, 1e6), |x, _| x.atan());
    let around: Vec<(f32, f32)> =
        (0..720u16).map(|i| f32::from(i).to_radians() / 2.0).map(|a| (3.0 * a.cos(), 3.0 * a.sin())).collect();
    check("atan2(y, x)", &around, |x, y| y.atan2(x));
    check("atan2(y, x)", &[(0.0, 0.0), (1.0, 0.0), (0.0, 2.0), (0.0, -2.0), (5.0, 5.0)], |x, y| y.atan2(x));
}
