// What Chromium's software adapter answers with errors of 2e-4 by its own functions.
@group(0) @binding(0) var<storage, read> angles: array<f32>;
@group(0) @binding(1) var<storage, read_write> rows: array<array<f32, 8>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let a = angles[id.x];
    let turned = sin(vec2f(a, a + 0.5));
    let share = a / 40.0;
    rows[id.x] = array<f32, 8>(
        turned.x, turned.y, cos(a), tan(share), asin(share), acos(share), atan(a), atan2(share, -0.25),
    );
}
