//! All devices are asked at one instant how fast they are. Who answers right is shown with that, and who does not with
//! nothing.

use std::ops::ControlFlow;
use std::time::Duration;

use e2e::browser::{Browser, Gpu};
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use gpu_kernels::challenge::{Chain, Pace, Prover};
use gpu_kernels::device::{Cpu, Device, budget};
use wire::device::DeviceClass;
use wire::explorer::{Page, PublicDevice, PublicDevicePage};
use wire::{ChallengeId, DeviceId, FromDevice, SpeedChallenge, TileHash, ToDevice};

use crate::engine_test;

const WITHIN: Duration = Duration::from_mins(3);
/// Bytes of one binary message.
const PART: usize = 48 << 10;

async fn page(stack: &Stack, device: DeviceId) -> Option<PublicDevicePage> {
    let answer = reqwest::get(format!("{}/v1/public/devices/{device}", stack.url())).await.ok()?;
    answer.json().await.ok()
}

/// What the explorer says of a device's last challenge, once it was put to one.
async fn proved(stack: &Stack, device: DeviceId) -> u64 {
    until("the device was challenged", WITHIN, async || {
        let device = page(stack, device).await?.device;
        device.proved_at.map(|_| device.proved_ops_per_sec)
    })
    .await
}

/// Its speed and, once that was known, its line.
fn has_proved_both(device: &PublicDevice) -> bool {
    device.proved_ops_per_sec > 0 && device.down_bytes_per_sec > 0
}

async fn challenged(device: &mut Scripted) -> SpeedChallenge {
    loop {
        if let ToDevice::Prove(challenge) = device.hear().await.unwrap() {
            return challenge;
        }
    }
}

/// Rows that are asked for and the hash of the probe, or the next challenge.
async fn asked(device: &mut Scripted) -> Result<([u8; 32], Vec<u32>), SpeedChallenge> {
    loop {
        match device.hear().await.unwrap() {
            ToDevice::Prove(larger) => return Err(larger),
            ToDevice::Reveal { rows, probe_bytes, .. } => {
                let probe = device.hear_bytes(usize::try_from(probe_bytes).unwrap()).await.unwrap();
                return Ok((*blake3::hash(&probe).as_bytes(), rows));
            }
            _ => {}
        }
    }
}

/// What the edge takes its speed to be.
async fn told(device: &mut Scripted) -> u64 {
    loop {
        if let ToDevice::Speed { ops_per_sec } = device.hear().await.unwrap() {
            return ops_per_sec;
        }
    }
}

/// An answer that was computed, or made up.
struct Answer {
    steps: u32,
    rows: Vec<Vec<u8>>,
    hashes: Vec<u8>,
}

impl Answer {
    fn new(challenge: &SpeedChallenge, (steps, product): (u32, Vec<u32>)) -> Self {
        let side = usize::try_from(challenge.side).unwrap();
        let bytes = |row: &[u32]| row.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let rows: Vec<Vec<u8>> = product.chunks(side).map(bytes).collect();
        let hashes = rows.iter().flat_map(|row| *blake3::hash(row).as_bytes()).collect();
        Self { steps, rows, hashes }
    }

    async fn computed(challenge: SpeedChallenge) -> Self {
        let product = tokio::task::spawn_blocking(move || {
            let mut prover = Prover::new(&Device::Cpu(Cpu::open(budget::NATIVE, None)));
            let chain = Chain { seed: challenge.seed, side: challenge.side };
            let pace = Pace { steps: challenge.steps, time: Duration::from_millis(challenge.millis.into()) };
            pollster::block_on(prover.prove(chain, pace, async |_busy| ControlFlow::Continue(()))).unwrap()
        });
        Self::new(&challenge, product.await.unwrap())
    }

    /// Without having computed anything.
    fn made_up(challenge: &SpeedChallenge) -> Self {
        let entries = usize::try_from(challenge.side * challenge.side).unwrap();
        Self::new(challenge, (challenge.steps, vec![7; entries]))
    }

    async fn say(&self, device: &mut Scripted, challenge: ChallengeId) {
        let root = TileHash(*blake3::hash(&self.hashes).as_bytes());
        device.say(&FromDevice::Proved { challenge, steps: self.steps, root }).await.unwrap();
    }

    async fn show(&self, device: &mut Scripted, asked: &Asked) {
        let rows = asked.rows.iter().flat_map(|row| self.rows[usize::try_from(*row).unwrap()].clone());
        let bytes: Vec<u8> = asked.probe.iter().copied().chain(self.hashes.clone()).chain(rows).collect();
        for part in bytes.chunks(PART) {
            device.say_bytes(part.to_vec()).await.unwrap();
        }
    }
}

/// What a device is to show.
struct Asked {
    challenge: SpeedChallenge,
    /// BLAKE3 of the bytes that measured the line.
    probe: [u8; 32],
    rows: Vec<u32>,
}

/// Answers each challenge as `answer` does until rows are asked for.
async fn answer_until_asked(device: &mut Scripted, answer: impl AsyncFn(SpeedChallenge) -> Answer) -> (Answer, Asked) {
    let mut challenge = challenged(device).await;
    loop {
        let given = answer(challenge).await;
        given.say(device, challenge.challenge).await;
        match asked(device).await {
            Ok((probe, rows)) => return (given, Asked { challenge, probe, rows }),
            Err(larger) => challenge = larger,
        }
    }
}

/// A device that takes work, and has left unanswered what it was asked as it came.
async fn join(stack: &Stack) -> Scripted {
    let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
    device.say(&FromDevice::Ready).await.unwrap();
    challenged(&mut device).await;
    device
}

engine_test! {
    async fn a_worker_proves_its_speed_and_its_line_and_its_page_shows_both(mut stack: Stack) {
        stack.challenge_every(2).await;
        let device = stack.worker_id("worker");
        stack.start_worker("worker", &["--backend", "cpu"]);

        let shown = until("the worker has proved its speed", WITHIN, async || {
            page(&stack, device).await.map(|page| page.device).filter(has_proved_both)
        })
        .await;

        assert_eq!(shown.flops_per_sec, shown.proved_ops_per_sec, "it has done no work yet");
        assert!(shown.down_bytes_per_sec > 0 && shown.up_bytes_per_sec > 0, "{shown:?}");
        let html = reqwest::get(format!("{}/explorer/devices/{device}", stack.url())).await.unwrap().text().await.unwrap();
        assert!(html.contains("Last challenge") && html.contains("OP/s") && html.contains("Mbit/s"), "{html}");
    }
}

engine_test! {
    async fn who_makes_an_answer_up_is_shown_with_no_speed(mut stack: Stack) {
        stack.challenge_every(2).await;
        let mut liar = join(&stack).await;

        let (made_up, asked) = answer_until_asked(&mut liar, async |challenge| Answer::made_up(&challenge)).await;
        made_up.show(&mut liar, &asked).await;

        assert_eq!(told(&mut liar).await, 0);
        assert_eq!(proved(&stack, liar.identity.device()).await, 0);
    }
}

engine_test! {
    async fn an_answer_counts_with_the_rows_that_it_was_bound_to_and_the_whole_probe(mut stack: Stack) {
        stack.challenge_every(2).await;
        let mut device = join(&stack).await;

        let (_, asked) = answer_until_asked(&mut device, async |challenge| Answer::made_up(&challenge)).await;
        // Computed only now that its time is over.
        Answer::computed(asked.challenge).await.show(&mut device, &asked).await;
        assert_eq!(told(&mut device).await, 0);

        let (right, asked) = answer_until_asked(&mut device, Answer::computed).await;
        right.show(&mut device, &Asked { probe: [0; 32], ..asked }).await;
        assert_eq!(told(&mut device).await, 0, "without the bytes that measure the line");

        let (right, asked) = answer_until_asked(&mut device, Answer::computed).await;
        right.show(&mut device, &asked).await;
        let speed = told(&mut device).await;
        assert!(speed > 1_000_000, "{speed}");
        until("the page shows the speed", WITHIN, async || {
            page(&stack, device.identity.device()).await.filter(|page| page.device.proved_ops_per_sec == speed)
        })
        .await;
    }
}

engine_test! {
    async fn who_leaves_instead_of_answering_has_failed(mut stack: Stack) {
        stack.challenge_every(2).await;
        let mut device = join(&stack).await;
        challenged(&mut device).await;
        let id = device.identity.device();

        drop(device);

        assert_eq!(proved(&stack, id).await, 0);
    }
}

engine_test! {
    async fn a_device_that_rests_is_not_challenged(mut stack: Stack) {
        stack.challenge_every(2).await;
        let resting = Scripted::join(&stack.url(), identity()).await.unwrap();
        let mut awake = join(&stack).await;

        challenged(&mut awake).await;
        let id = awake.identity.device();
        drop(awake);

        assert_eq!(proved(&stack, id).await, 0);
        let resting = page(&stack, resting.identity.device()).await.unwrap();
        assert_eq!(resting.device.proved_at, None);
    }
}

/// The one device that is here, once it has passed a challenge.
async fn only_device_that_proved(stack: &Stack) -> PublicDevice {
    until("the tab has proved its speed", WITHIN, async || {
        let answer = reqwest::get(format!("{}/v1/public/devices", stack.url())).await.ok()?;
        let mut page: Page<PublicDevice> = answer.json().await.ok()?;
        page.rows.pop().filter(has_proved_both)
    })
    .await
}

#[tokio::test]
async fn a_tab_proves_the_speed_of_its_gpu_and_another_that_of_its_processor() {
    for (gpu, backend) in [(Gpu::Swiftshader, "webgpu"), (Gpu::None, "cpu")] {
        let mut stack = Stack::start().await;
        stack.challenge_every(2).await;
        let browser = Browser::start(gpu).await;
        if gpu == Gpu::Swiftshader {
            browser.lend(&stack.url(), "software").await;
        } else {
            browser.lend_processor(&stack.url()).await;
        }

        let device = only_device_that_proved(&stack).await;

        assert_eq!((device.class, device.backend.as_str()), (DeviceClass::Tab, backend));
        assert!(device.down_bytes_per_sec > 0 && device.up_bytes_per_sec > 0, "{device:?}");
        browser.close().await;
    }
}
