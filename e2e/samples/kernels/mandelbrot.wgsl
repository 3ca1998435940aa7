// The Mandelbrot set: a pixel a record. It computes with integers alone, 13 bits behind the point, so that every device
// comes to the same picture, bit by bit.
//
// Record (4 bytes): the pixel's number, row after row.
// Result (4 bytes): its colour, as red, green, blue and opacity.
// Parameters (16 B): width in pixels, most turns, and two words unused.

@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read_write> colours: array<u32>;
@group(0) @binding(2) var<uniform> params: vec4u;

// A number times a number, both with 13 bits behind the point.
fn times(a: i32, b: i32) -> i32 {
    return (a * b) >> 13u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let width = i32(max(params.x, 1u));
    let pixel = i32(pixels[id.x]);
    // From -2.25 to 0.75, and from -1.5 to 1.5.
    let x0 = (pixel % width) * 24576 / width - 18432;
    let y0 = (pixel / width) * 24576 / width - 12288;
    var x = 0;
    var y = 0;
    var turns = 0u;
    for (var i = 0u; i < min(params.y, 256u); i++) {
        let xx = times(x, x);
        let yy = times(y, y);
        // Beyond a distance of two it never comes back.
        if xx + yy > 32768 {
            break;
        }
        y = 2 * times(x, y) + y0;
        x = xx - yy + x0;
        turns += 1u;
    }
    let inside = turns >= min(params.y, 256u);
    let red = select(min(turns * 9u, 255u), 15u, inside);
    let green = select(min(turns * 4u + 24u, 255u), 19u, inside);
    let blue = select(min(255u, 96u + turns * 2u), 18u, inside);
    colours[id.x] = red | (green << 8u) | (blue << 16u) | 0xff000000u;
}
