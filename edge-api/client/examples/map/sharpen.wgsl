// Image filter: a block of 8 by 8 pixels a record, with one pixel of its surroundings on each side.
//
// Record (400 bytes): 10 by 10 pixels, row by row, each red, green, blue, alpha from the low byte up.
// Result (256 bytes): 8 by 8 pixels.
// Parameters (16 B):  nine weights of the 3 by 3 filter as signed bytes, then a divisor in byte 9.
//
// All in integers: the answer is the same to the bit on every device.

@group(0) @binding(0) var<storage, read> blocks: array<array<u32, 100>>;
@group(0) @binding(1) var<storage, read_write> filtered: array<array<u32, 64>>;
@group(0) @binding(2) var<uniform> params: vec4u;

fn signed_byte(index: u32) -> i32 {
    let word = params[index / 4u] >> (8u * (index % 4u));
    return (i32(word & 255u) ^ 128) - 128;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var weights: array<i32, 9>;
    for (var i = 0u; i < 9u; i++) {
        weights[i] = signed_byte(i);
    }
    let divisor = max(signed_byte(9u), 1);
    for (var place = 0u; place < 64u; place++) {
        let corner = place / 8u * 10u + place % 8u;
        var sum = vec3i(0);
        for (var i = 0u; i < 9u; i++) {
            let pixel = blocks[id.x][corner + i / 3u * 10u + i % 3u];
            sum += weights[i] * vec3i(vec3u(pixel, pixel >> 8u, pixel >> 16u) & vec3u(255u));
        }
        let colour = vec3u(clamp(sum / divisor, vec3i(0), vec3i(255)));
        let alpha = blocks[id.x][corner + 11u] & 0xff000000u;
        filtered[id.x][place] = colour.x | (colour.y << 8u) | (colour.z << 16u) | alpha;
    }
}
