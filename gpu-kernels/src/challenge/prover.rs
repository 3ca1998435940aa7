//! Whoever answers challenges at a device, also while a lease holds that device and rests between two submissions.

use std::ops::ControlFlow;
use std::time::Duration;

#[cfg(feature = "cpu")]
use web_time::Instant;

use super::chain::Chain;
#[cfg(feature = "cpu")]
use super::cpu;
use crate::device::{Device, Gpu, GpuError};

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// At least one.
    pub steps: u32,
    /// No step begins after this but the first.
    pub time: Duration,
}

/// Shares its device's queue and compiled shaders, and nothing else of it.
pub enum Prover {
    Gpu(Box<Gpu>),
    #[cfg(feature = "cpu")]
    Cpu,
}

impl Prover {
    pub fn new(device: &Device) -> Self {
        match device {
            Device::Gpu(gpu) => Self::Gpu(Box::new(gpu.share())),
            #[cfg(feature = "cpu")]
            Device::Cpu(_) => Self::Cpu,
        }
    }

    /// Multiplies until the pace says that it is enough, and returns how many steps that were and the last product, row by
    /// row. `rest` is awaited after each submission with the time that it took; where it breaks, what is done counts, and at
    /// least one step is.
    pub async fn prove(
        &mut self,
        chain: Chain,
        pace: Pace,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<(u32, Vec<u32>), GpuError> {
        match self {
            Self::Gpu(gpu) => gpu.prove(chain, pace, rest).await,
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(prove_here(chain, pace, rest).await),
        }
    }
}

#[cfg(feature = "cpu")]
async fn prove_here(chain: Chain, pace: Pace, rest: impl AsyncFn(Duration) -> ControlFlow<()>) -> (u32, Vec<u32>) {
    let begun = Instant::now();
    let mut matrix = cpu::first(chain);
    for step in 1.. {
        let last = Instant::now();
        matrix = cpu::multiply(chain, step, &matrix);
        if step >= pace.steps || begun.elapsed() >= pace.time || rest(last.elapsed()).await.is_break() {
            return (step, matrix);
        }
    }
    unreachable!("a chain ends with its last step")
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;
    use crate::challenge::chain::tests::{CHAIN, answer};
    use crate::device::{Cpu, budget};

    #[test]
    fn every_device_has_the_same_answer() {
        let mut devices = vec![Device::Cpu(Cpu::open(budget::NATIVE, None))];
        match pollster::block_on(Gpu::open(budget::NATIVE)) {
            Ok(gpu) => devices.push(Device::Gpu(Box::new(gpu))),
            Err(error) => assert!(std::env::var_os("REQUIRE_GPU").is_none(), "REQUIRE_GPU is set: {error}"),
        }
        for device in devices {
            let mut prover = Prover::new(&device);
            let pace = Pace { steps: 3, time: Duration::from_mins(5) };
            let proved = prover.prove(CHAIN, pace, async |_busy| ControlFlow::Continue(()));
            let (steps, matrix) = pollster::block_on(proved).unwrap();

            assert_eq!((steps, matrix), (3, answer(CHAIN, 3)), "{}", device.info().name);
            let pace = Pace { steps: 300, time: Duration::ZERO };
            let (steps, matrix) =
                pollster::block_on(prover.prove(CHAIN, pace, async |_busy| ControlFlow::Continue(()))).unwrap();
            assert!(steps >= 1 && matrix == answer(CHAIN, steps), "as far as it got: {steps}");
        }
    }

    #[test]
    fn a_gpu_ends_with_what_is_done_when_the_time_is_over() {
        // Submissions that end in the middle of steps.
        let mut gpu = match pollster::block_on(Gpu::open(Duration::ZERO)) {
            Ok(gpu) => Prover::Gpu(Box::new(gpu)),
            Err(error) => {
                assert!(std::env::var_os("REQUIRE_GPU").is_none(), "REQUIRE_GPU is set: {error}");
                return;
            }
        };
        let chain = Chain { side: 112, ..CHAIN };
        for (time, enough) in
            [(Duration::ZERO, ControlFlow::Continue(())), (Duration::from_mins(5), ControlFlow::Break(()))]
        {
            let pace = Pace { steps: 300, time };
            let (steps, matrix) = pollster::block_on(gpu.prove(chain, pace, async |_busy| enough)).unwrap();

            assert_eq!(steps, 1);
            assert_eq!(matrix, answer(chain, 1));
        }
    }
}
