//! How many operations a second a challenge shows of this machine's CPU and GPU, and what its check costs. One JSON object
//! a line.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use gpu_kernels::challenge::{Chain, Pace, Prover};
use gpu_kernels::device::{Cpu, Device, Gpu, budget};
use serde_json::json;

const CHAIN: Chain = Chain { seed: [1, 2, 3, 4], side: 1024 };
/// As a device of a hundred billion operations a second would be asked for.
const STEPS: u32 = 64;
const TIME: Duration = Duration::from_secs(3);
/// Rows that the edge draws of such a matrix.
const ROWS: u32 = 64;

fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "figure": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

/// Steps, the product and the time that it took.
fn prove(device: &Device) -> (u32, Vec<u32>, f64) {
    let mut prover = Prover::new(device);
    let mut best: Option<(u32, Vec<u32>, f64)> = None;
    // The first run learns the budget and compiles shaders.
    for _ in 0..3 {
        let begun = Instant::now();
        let pace = Pace { steps: STEPS, time: TIME };
        let proved = prover.prove(CHAIN, pace, async |_busy| ControlFlow::Continue(()));
        let (steps, product) = pollster::block_on(proved).expect("a challenge should be answered");
        let secs = begun.elapsed().as_secs_f64();
        if best.as_ref().is_none_or(|(before, _, took)| f64::from(steps) / secs > f64::from(*before) / took) {
            best = Some((steps, product, secs));
        }
    }
    best.expect("it ran")
}

#[expect(clippy::cast_precision_loss, reason = "a figure")]
fn main() {
    let mut devices = vec![("cpu".to_owned(), Device::Cpu(Cpu::open(budget::NATIVE, None)))];
    match pollster::block_on(Gpu::open(budget::NATIVE)) {
        Err(error) => eprintln!("SKIP challenges on a GPU: {error}"),
        Ok(gpu) => {
            let name = if gpu.info.software { "software" } else { gpu.info.backend };
            devices.push((name.to_owned(), Device::Gpu(Box::new(gpu))));
        }
    }
    for (name, device) in devices {
        let (steps, product, secs) = prove(&device);
        let gops = CHAIN.ops(steps) as f64 / secs / 1e9;
        figure(&format!("challenge.{name}"), gops, "GOP/s");
        let side = CHAIN.side as usize;
        let rows: Vec<(u32, Vec<u32>)> = (0..ROWS).zip(product.chunks(side).map(<[u32]>::to_vec)).collect();
        let coefficients: Vec<u32> = (1..=ROWS).map(|row| row.wrapping_mul(0x9e37_79b9)).collect();
        let begun = Instant::now();
        assert!(CHAIN.holds(steps, &rows, &coefficients), "the answer of '{name}' is wrong");
        let check = begun.elapsed().as_secs_f64();
        figure(&format!("challenge.{name}.check_a_step"), check * 1e3 / f64::from(steps + 1), "ms");
        figure(&format!("challenge.{name}.step"), secs * 1e3 / f64::from(steps), "ms");
    }
}
