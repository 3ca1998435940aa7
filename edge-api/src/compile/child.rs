//! The child's side: one question after another, within limits that it sets on itself before it reads the first.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Context;
use gate::Contract;
use gpu_kernels::gpu_program::Package;
use onnx::{Feed, Graph};
use wire::InferTask;
use wire::number::to;

use super::message::{
    Answer, FeedMessage, LENGTHS_BYTES, Measured, ModelRefusal, PortMessage, Question, RefusalKind, lengths,
    read_lengths,
};
use crate::programs::infer::recompute::{recompute_tile, shared_feeds};

/// Answers until the server closes the pipe.
pub fn run(memory: u64, seconds: u32) -> anyhow::Result<()> {
    limit_process(memory)?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut model = None;
    while let Some((question, tail)) = read(&mut input)? {
        limit_processor(question.seconds(seconds))?;
        let answered = catch_unwind(AssertUnwindSafe(|| answer(question, &tail, &mut model)));
        let (answer, tail) = match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => (Answer::Failed(format!("{error:#}")), Vec::new()),
            Err(_panic) => {
                let reason = "the planner gave up on this model".to_owned();
                let detail = Some(wire::Detail { reason: "planner_gave_up".to_owned(), ..Default::default() });
                (Answer::Refused(ModelRefusal { kind: RefusalKind::Model, reason, detail }), Vec::new())
            }
        };
        write(&mut output, &answer, &tail)?;
    }
    Ok(())
}

/// Memory is limited for good; files and dumps of memory are not for this process at all.
pub fn limit_process(memory: u64) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let most = |value| Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(Resource::As, most(memory)).context("memory should be limited")?;
        setrlimit(Resource::Core, most(0)).context("dumps should be limited")?;
        setrlimit(Resource::Fsize, most(0)).context("files should be limited")?;
    }
    // Where the whole machine runs out, this process goes before the server. Only Linux has that file.
    std::fs::write("/proc/self/oom_score_adj", "1000").unwrap_or_default();
    Ok(())
}

/// A second limit behind the server's clock, in processor time of all threads, counted from here.
pub fn limit_processor(seconds: u32) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        use rustix::time::{ClockId, clock_gettime};
        let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec)?;
        let threads: u64 = std::thread::available_parallelism().map_or(1, |threads| to(threads.get()));
        let until = used + 1 + u64::from(seconds) * threads;
        setrlimit(Resource::Cpu, Rlimit { current: Some(until), maximum: None }).context("time should be limited")?;
    }
    Ok(())
}

fn read(input: &mut impl Read) -> anyhow::Result<Option<(Question, Vec<u8>)>> {
    let mut head = [0; LENGTHS_BYTES];
    match input.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let (head, tail) = read_lengths(head);
    let mut question = vec![0; usize::try_from(head)?];
    input.read_exact(&mut question)?;
    let mut bytes = vec![0; usize::try_from(tail)?];
    input.read_exact(&mut bytes)?;
    Ok(Some((postcard::from_bytes(&question)?, bytes)))
}

fn write(output: &mut impl Write, answer: &Answer, tail: &[u8]) -> anyhow::Result<()> {
    let head = postcard::to_stdvec(answer)?;
    output.write_all(&lengths(head.len(), to(tail.len())))?;
    output.write_all(&head)?;
    output.write_all(tail)?;
    Ok(output.flush()?)
}

fn answer(question: Question, tail: &[u8], model: &mut Option<Graph>) -> anyhow::Result<(Answer, Vec<u8>)> {
    let graph = || model.as_ref().context("a model should be loaded first");
    let refused = |error: &onnx::ModelError| Answer::Refused(ModelRefusal::from(error));
    let plain = |answer| Ok((answer, Vec::new()));
    match question {
        Question::Gate { source, record_bytes, out_bytes, fuel } => {
            let admitted = gate::admit(&source, Contract { record_bytes, out_bytes, fuel });
            plain(admitted.map_or_else(Answer::from, |kernel| Answer::Admitted(kernel.into())))
        }
        Question::Load => {
            let parsed = Graph::parse(tail);
            let ports = parsed.as_ref().map(|graph| graph.inputs.iter().map(PortMessage::from).collect());
            let answer = ports.map_or_else(refused, Answer::Loaded);
            *model = parsed.ok();
            plain(answer)
        }
        Question::Signature { feeds } => {
            let signature = graph()?.signature(&told(feeds));
            plain(signature.map_or_else(|error| refused(&error), |signature| Answer::Signature(signature.into())))
        }
        Question::Measure { rows, feeds } => {
            let plan = match graph()?.plan(usize::try_from(rows)?, &told(feeds)) {
                Ok(plan) => plan,
                Err(error) => return plain(refused(&error)),
            };
            let (flops, buffer_bytes_max) = (plan.flops(), plan.buffer_bytes_max());
            plain(Answer::Measured(Measured { flops, buffer_bytes_max, device_bytes: plan.device_bytes() }))
        }
        Question::Pack { task, rows } => pack(graph()?, &serde_json::from_str(&task)?, rows, tail),
        Question::Recompute { task, rows, nudge } => {
            let task = serde_json::from_str(&task)?;
            Ok((Answer::Recomputed, recompute_tile(graph()?, &task, rows, tail, nudge)?))
        }
    }
}

fn told(feeds: Vec<FeedMessage>) -> Vec<Feed> {
    feeds.into_iter().map(Feed::from).collect()
}

/// A plan as it travels, and the constants that travel beside it, one after another.
fn pack(graph: &Graph, task: &InferTask, rows: u64, shared: &[u8]) -> anyhow::Result<(Answer, Vec<u8>)> {
    let plan = graph.plan(usize::try_from(rows)?, &shared_feeds(&task.inputs, shared)?)?;
    let (program, constants) = plan.gpu_program();
    let sizes = [plan.device_bytes(), plan.buffer_bytes_max()];
    let package = Package::new(program, &constants, sizes, |bytes| *blake3::hash(bytes).as_bytes());
    let stored = constants.iter().filter(|words| Package::is_stored(words.len()));
    let weights = stored.flat_map(|words| words.iter().flat_map(|word| word.to_le_bytes())).collect();
    Ok((Answer::Packed(postcard::to_stdvec(&package)?), weights))
}
