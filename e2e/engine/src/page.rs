//! The engine as the page's script calls it.

use std::io::{Cursor, Read};
use std::ops::ControlFlow;

use gpu_kernels::device::{Cpu, Device, Gpu, budget};
use onnx::forward::{Session, run_plan};
use onnx::{Arena, Feed, Graph, Tensor, proto};
use prost::Message;
use wasm_bindgen::prelude::*;

use crate::case::{Case, Outcome};

/// A device with at most one model loaded.
#[wasm_bindgen]
pub struct Engine {
    device: Device,
    arena: Arena,
    model: Option<Model>,
}

struct Model {
    session: Session,
    input: Tensor,
}

#[wasm_bindgen]
impl Engine {
    /// The page's processor, or its GPU.
    pub async fn open(on_cpu: bool) -> Result<Self, String> {
        console_error_panic_hook::set_once();
        let device = if on_cpu {
            Device::Cpu(Cpu::open(budget::NATIVE, None))
        } else {
            Device::Gpu(Box::new(Gpu::open(budget::TAB).await.map_err(|error| error.to_string())?))
        };
        Ok(Self { device, arena: Arena::default(), model: None })
    }

    pub fn name(&self) -> String {
        self.device.info().name.clone()
    }

    /// Loads a model, and one input in the `TensorProto` format.
    pub fn load(&mut self, model: &[u8], input: &[u8]) -> Result<(), String> {
        let graph = Graph::parse(model).map_err(|error| error.to_string())?;
        let proto = proto::Tensor::decode(input).map_err(|error| error.to_string())?;
        let input = Tensor::parse("input", &proto).map_err(|error| error.to_string())?;
        let feeds = vec![Feed::Rows(input.shape[1..].to_vec())];
        let session = Session::new(graph, feeds).map_err(|error| error.to_string())?;
        self.model = Some(Model { session, input });
        Ok(())
    }

    /// Runs the loaded model. The result is the sum of its first output, so that no compiler leaves the work out.
    pub async fn run(&mut self) -> Result<f32, String> {
        let Some(Model { session, input }) = &mut self.model else { return Err("no model is loaded".to_owned()) };
        let fed = [input.words.as_ref()];
        let ran = session.run(&mut self.device, input.shape[0], &fed, async |_| ControlFlow::Continue(())).await;
        let outputs = ran.map_err(|error| error.to_string())?;
        Ok(outputs.first().map_or(0.0, |words| words.iter().map(|&word| f32::from_bits(word)).sum()))
    }

    /// Checks one of ONNX's cases, given as a zip of its folder. The result is lines: the outcome, and for what is
    /// not supported the group and the reason.
    pub async fn check(&mut self, archive: Vec<u8>) -> Result<String, String> {
        let mut archive = zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| error.to_string())?;
        let file = |name: &str| {
            let mut bytes = Vec::new();
            archive.by_name(name).ok()?.read_to_end(&mut bytes).ok()?;
            Some(bytes)
        };
        let outcome = match Case::read(file).map_err(|error| error.to_string())? {
            Err(outcome) => outcome,
            Ok(case) => {
                let (device, arena) = (&mut self.device, &mut self.arena);
                case.check(async |plan, inputs| match device {
                    Device::Cpu(_) => Ok(plan.run_in(arena, inputs)),
                    Device::Gpu(gpu) => run_plan(gpu, &plan, inputs).await.map_err(|error| error.to_string()),
                })
                .await
            }
        };
        Ok(match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed(why) => format!("failed\n{why}"),
            Outcome::Unsupported(group, why) => format!("unsupported\n{group}\n{why}"),
        })
    }
}
