// Hash search: for each range of nonces, the one whose SHA-256 begins with the most zero bits.
//
// Record (8 bytes):  first nonce, how many nonces to try.
// Result (8 bytes):  best nonce, zero bits at the beginning of its hash.
// Parameters (64 B): one padded SHA-256 block; its word 12 is replaced by the nonce.
//
// SHA-256 is FIPS 180-4; words are big-endian there, so the parameters hold them as numbers.

struct Range { first: u32, count: u32 }
struct Best { nonce: u32, zeros: u32 }

@group(0) @binding(0) var<storage, read> ranges: array<Range>;
@group(0) @binding(1) var<storage, read_write> best: array<Best>;
@group(0) @binding(2) var<uniform> block: array<vec4u, 4>;

const K = array<u32, 64>(
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
);

fn turn(x: u32, by: u32) -> u32 {
    return (x >> by) | (x << (32u - by));
}

// Zero bits at the beginning of the hash of the block with this nonce: the first two words tell.
fn leading_zeros(nonce: u32) -> u32 {
    var w: array<u32, 16>;
    for (var i = 0u; i < 16u; i++) {
        w[i] = block[i / 4u][i % 4u];
    }
    w[12] = nonce;
    var a = 0x6a09e667u;
    var b = 0xbb67ae85u;
    var c = 0x3c6ef372u;
    var d = 0xa54ff53au;
    var e = 0x510e527fu;
    var f = 0x9b05688cu;
    var g = 0x1f83d9abu;
    var h = 0x5be0cd19u;
    for (var round = 0u; round < 64u; round++) {
        let place = round % 16u;
        if round >= 16u {
            let x = w[(round + 1u) % 16u];
            let y = w[(round + 14u) % 16u];
            let s0 = turn(x, 7u) ^ turn(x, 18u) ^ (x >> 3u);
            let s1 = turn(y, 17u) ^ turn(y, 19u) ^ (y >> 10u);
            w[place] += s0 + w[(round + 9u) % 16u] + s1;
        }
        let s1 = turn(e, 6u) ^ turn(e, 11u) ^ turn(e, 25u);
        let t1 = h + s1 + ((e & f) ^ (~e & g)) + K[round] + w[place];
        let s0 = turn(a, 2u) ^ turn(a, 13u) ^ turn(a, 22u);
        let t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    let first = a + 0x6a09e667u;
    return select(countLeadingZeros(first), 32u + countLeadingZeros(b + 0xbb67ae85u), first == 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let range = ranges[id.x];
    var found = Best(range.first, 0u);
    for (var i = 0u; i < range.count; i++) {
        let zeros = leading_zeros(range.first + i);
        if zeros > found.zeros {
            found = Best(range.first + i, zeros);
        }
    }
    best[id.x] = found;
}
