//! What the edge relies on: rows computed apart are the rows computed together.

use std::ops::ControlFlow;

use gpu_kernels::budget::{self, Budget};
use gpu_kernels::device::{Cpu, Device};
use gpu_kernels::graph::forward::{RunError, Session};
use gpu_kernels::graph::{Feed, Graph};

use crate::{assert_close, floats, gpu, no_pause};

fn digits() -> (Graph, Vec<u32>) {
    let folder = crate::folder().join("../e2e/samples/digits");
    let graph = Graph::parse(&std::fs::read(folder.join("digits.onnx")).unwrap()).unwrap();
    let npy = std::fs::read(folder.join("digits.npy")).unwrap();
    let values = npy[128..].as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    (graph, values)
}

fn feeds() -> Vec<Feed> {
    vec![Feed::Rows(vec![1, 8, 8])]
}

fn set_tiny_budget(device: &mut Device) {
    if let Device::Gpu(gpu) = device {
        gpu.set_budget(Budget::new(std::time::Duration::from_micros(200)));
    }
}

#[test]
fn a_row_computed_alone_is_the_row_of_a_batch() {
    let (graph, input) = digits();

    let together = graph.plan(50, &feeds()).unwrap().run(&[&input[..50 * 64]]).remove(0);
    let alone = graph.plan(1, &feeds()).unwrap();
    let apart: Vec<u32> = input[..50 * 64].chunks(64).flat_map(|row| alone.run(&[row]).remove(0)).collect();

    assert_close("digits", &floats(&together), &floats(&apart), 1e-7, 1e-6);
}

#[test]
fn a_device_with_a_tiny_budget_cuts_kernels_and_gets_the_same_answer() {
    let Some(mut gpu) = gpu() else { return };
    let (graph, input) = digits();
    let expected = graph.plan(300, &feeds()).unwrap().run(&[&input[..300 * 64]]);
    let mut session = Session::new(graph, feeds()).unwrap();

    set_tiny_budget(&mut gpu);
    let runs = std::cell::Cell::new(0);
    let count = async |_busy| {
        runs.set(runs.get() + 1);
        ControlFlow::Continue(())
    };
    let output = pollster::block_on(session.run(&mut gpu, 300, &[&input[..300 * 64]], count)).unwrap();

    assert!(runs.get() > 10, "the work went to the device in {} submissions", runs.get());
    assert_close("digits", &floats(&output[0]), &floats(&expected[0]), 1e-6, 1e-5);
}

#[test]
fn a_run_that_is_stopped_submits_nothing_more_and_the_next_one_is_right() {
    let Some(mut gpu) = gpu() else { return };
    let (graph, input) = digits();
    let expected = graph.plan(300, &feeds()).unwrap().run(&[&input[..300 * 64]]);
    let mut session = Session::new(graph, feeds()).unwrap();
    set_tiny_budget(&mut gpu);
    let runs = std::cell::Cell::new(0);
    let three = async |_busy| {
        runs.set(runs.get() + 1);
        if runs.get() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };

    let stopped = pollster::block_on(session.run(&mut gpu, 300, &[&input[..300 * 64]], three));
    let output = pollster::block_on(session.run(&mut gpu, 300, &[&input[..300 * 64]], no_pause)).unwrap();

    assert_eq!((stopped, runs.get()), (Err(RunError::Stopped), 3));
    assert_close("digits", &floats(&output[0]), &floats(&expected[0]), 1e-6, 1e-5);
}

#[test]
fn a_device_knows_how_fast_it_multiplies() {
    let Some(mut gpu) = gpu() else { return };

    let measured = pollster::block_on(gpu.measure(std::time::Duration::from_millis(200), async || {})).unwrap();

    assert!(measured.gflops() > 0.01 && measured.gflops().is_finite(), "{measured:?}");
}

#[test]
fn an_input_of_the_wrong_length_is_refused() {
    let Some(mut gpu) = gpu() else { return };
    let (graph, input) = digits();
    let mut session = Session::new(graph, feeds()).unwrap();

    let result = pollster::block_on(session.run(&mut gpu, 3, &[&input[..100]], no_pause));

    assert_eq!(result, Err(RunError::Input { expected: 192, found: 100 }));
}

#[test]
fn the_cpu_as_a_device_asks_its_pace_and_stops_when_told() {
    let (graph, input) = digits();
    let expected = graph.plan(300, &feeds()).unwrap().run(&[&input[..300 * 64]]);
    let mut cpu = Device::Cpu(Cpu::open(budget::TAB, None));
    let mut session = Session::new(graph, feeds()).unwrap();
    let runs = std::cell::Cell::new(0);
    let second = async |_busy| {
        runs.set(runs.get() + 1);
        if runs.get() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };

    let stopped = pollster::block_on(session.run(&mut cpu, 300, &[&input[..300 * 64]], second));
    let output = pollster::block_on(session.run(&mut cpu, 300, &[&input[..300 * 64]], no_pause)).unwrap();

    assert_eq!((stopped, runs.get()), (Err(RunError::Stopped), 2));
    assert_close("digits", &floats(&output[0]), &floats(&expected[0]), 1e-7, 1e-6);
    assert_eq!(cpu.info().backend, "cpu");
}
