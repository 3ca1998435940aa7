// Monte-Carlo price of a European call: a contract a record.
//
// Record (24 bytes): spot, strike, rate a year, volatility a year, years, seed (a whole number).
// Result (8 bytes):  price, standard error.
// Parameters (16 B): paths (at most 65,000), and three words unused.
//
// Paths come in pairs, z and −z. Random words are PCG (O'Neill 2014); normals are Acklam's rational
// approximation of the inverse distribution, which needs no sine, whose precision WGSL leaves open.

struct Contract { spot: f32, strike: f32, rate: f32, volatility: f32, years: f32, seed: u32 }
struct Price { mean: f32, error: f32 }

@group(0) @binding(0) var<storage, read> contracts: array<Contract>;
@group(0) @binding(1) var<storage, read_write> prices: array<Price>;
@group(0) @binding(2) var<uniform> params: vec4u;

fn next(state: ptr<function, u32>) -> u32 {
    let old = *state;
    *state = old * 747796405u + 2891336453u;
    let word = ((old >> ((old >> 28u) + 4u)) ^ old) * 277803737u;
    return (word >> 22u) ^ word;
}

// The z of which a standard normal is below with probability p, 0 < p < 1/2.
fn lower_normal(p: f32) -> f32 {
    if p < 0.02425 {
        let q = sqrt(-2.0 * log(p));
        let top = ((((-7.784894e-3 * q - 0.3223965) * q - 2.400758) * q - 2.549733) * q + 4.374664) * q + 2.938164;
        let bottom = (((7.784696e-3 * q + 0.3224671) * q + 2.445134) * q + 3.754409) * q + 1.0;
        return top / bottom;
    }
    let q = p - 0.5;
    let r = q * q;
    let top = (((((-39.69683 * r + 220.9461) * r - 275.9285) * r + 138.3578) * r - 30.66480) * r + 2.506628) * q;
    let bottom = ((((-54.47610 * r + 161.5858) * r - 155.6990) * r + 66.80131) * r - 13.28068) * r + 1.0;
    return top / bottom;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let c = contracts[id.x];
    var state = c.seed * 2654435769u + 1u;
    let drift = (c.rate - 0.5 * c.volatility * c.volatility) * c.years;
    let spread = c.volatility * sqrt(c.years);
    var sum = 0.0;
    var squares = 0.0;
    let pairs = max(params.x / 2u, 1u);
    for (var i = 0u; i < pairs; i++) {
        // 24 bits and a half: never zero, and below one half.
        let p = (f32(next(&state) >> 9u) + 0.5) / 16777216.0;
        let z = lower_normal(p);
        let low = max(c.spot * exp(drift + spread * z) - c.strike, 0.0);
        let high = max(c.spot * exp(drift - spread * z) - c.strike, 0.0);
        let payoff = 0.5 * (low + high);
        sum += payoff;
        squares += payoff * payoff;
    }
    let n = f32(pairs);
    let discount = exp(-c.rate * c.years);
    let mean = sum / n;
    let variance = max(squares / n - mean * mean, 0.0);
    prices[id.x] = Price(discount * mean, discount * sqrt(variance / n));
}
