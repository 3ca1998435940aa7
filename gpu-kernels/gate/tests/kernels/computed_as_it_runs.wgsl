// Values that are errors if a compiler computes them, and fine as the kernel runs; 16-bit floats in words; a type that
// goes by two names.

requires packed_4x8_integer_dot_product;

alias Row = array<u32, 4>;

@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> outputs: array<array<u32, 8>>;

fn second(row: ptr<function, Row>) -> u32 { return (*row)[1]; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= arrayLength(&inputs) { return; }
    let x = inputs[id.x];
    var row: array<u32, 4>;
    row[1] = x;
    let far = 40u;
    let none = 0u;
    let again = none;
    let last = 30u;
    let minus = -1.0;
    let bits = 0x7f800000u;
    let high = 1;
    let low = 5;
    let huge = 3e38f;
    let nowhere = vec3f();
    let many = 200;
    let endless = bitcast<f32>(bits);
    let unused = u32(sqrt(minus) + huge * 10.0 + normalize(nowhere).x + ldexp(1.0, many) + smoothstep(huge, 3e38f, 1.0))
        + u32(clamp(3, low, high)) + pack2x16float(vec2f(huge, 1.0)) + select(1u, 2u, f32(x) < endless);
    outputs[id.x] = array(
        second(&row),
        x << far,
        x / again,
        x % none,
        extractBits(x | 0xc0000000u, last, 10u),
        pack2x16float(vec2f(f32(x), 0.5)),
        u32(quantizeToF16(f32(x) + 0.25) * 4.0),
        dot4U8Packed(x, 0x01010101u) + u32(unpack2x16float(0x3c004000u).x) + unused * 0u,
    );
}
