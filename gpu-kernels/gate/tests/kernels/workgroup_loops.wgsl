// What people write over a workgroup: an inclusive prefix sum (Hillis and Steele), a reduction, a bitonic sort.
const SIZE = 64u;
struct Params { turns: u32, low: u32 }
struct Row { sum: u32, most: u32, sorted: u32, rounds: u32 }
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> rows: array<Row>;
@group(0) @binding(2) var<uniform> params: Params;
var<workgroup> sums: array<u32, SIZE>;
var<workgroup> most: array<u32, SIZE>;
var<workgroup> sorted: array<u32, SIZE>;

@compute @workgroup_size(SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
    let word = words[id.x];
    sums[lane] = word;
    most[lane] = word;
    sorted[lane] = word;
    workgroupBarrier();

    for (var reach = 1u; reach < SIZE; reach *= 2u) {
        var before = 0u;
        if lane >= reach { before = sums[lane - reach]; }
        workgroupBarrier();
        sums[lane] += before;
        workgroupBarrier();
    }
    for (var half = SIZE / 2u; half > 0u; half >>= 1u) {
        if lane < half { most[lane] = max(most[lane], most[lane + half]); }
        workgroupBarrier();
    }
    for (var k = 2u; k <= SIZE; k <<= 1u) {
        for (var j = k >> 1u; j > 0u; j >>= 1u) {
            let other = lane ^ j;
            if other > lane {
                let a = sorted[lane];
                let b = sorted[other];
                let is_up = (lane & k) == 0u;
                if (a > b) == is_up {
                    sorted[lane] = b;
                    sorted[other] = a;
                }
            }
            workgroupBarrier();
        }
    }
    // As often as the parameters say, which is the same for all.
    var rounds = 0u;
    for (var turn = 0u; turn < min(params.turns, 8u); turn++) {
        if params.low > 5u { break; }
        // A loop inside takes its fuel as any other.
        for (var i = 0u; i < lane; i++) { rounds += 1u; }
        workgroupBarrier();
    }
    rows[id.x] = Row(sums[lane], most[0], sorted[lane], rounds);
}
