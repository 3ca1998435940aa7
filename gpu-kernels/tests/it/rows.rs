//! What the edge relies on: rows computed apart are the rows computed together.

use std::ops::ControlFlow;

use gpu_kernels::budget::Budget;
use gpu_kernels::graph::Graph;
use gpu_kernels::graph::forward::{RunError, Session};

use crate::{assert_close, gpu, no_pause};

fn digits() -> (Graph, Vec<f32>) {
    let folder = crate::folder().join("../e2e/samples/digits");
    let graph = Graph::parse(&std::fs::read(folder.join("digits.onnx")).unwrap()).unwrap();
    let npy = std::fs::read(folder.join("digits.npy")).unwrap();
    let values = npy[128..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (graph, values)
}

const ROW: [usize; 3] = [1, 8, 8];

#[test]
fn a_row_computed_alone_is_bit_for_bit_the_row_of_a_batch() {
    let (graph, input) = digits();

    let together = graph.plan(50, &ROW).unwrap().run_reference(&input[..50 * 64]);
    let alone = graph.plan(1, &ROW).unwrap();
    let apart: Vec<f32> = input[..50 * 64].chunks(64).flat_map(|row| alone.run_reference(row)).collect();

    assert_eq!(together, apart);
}

#[test]
fn a_device_with_a_tiny_budget_cuts_kernels_and_gets_the_same_answer() {
    let Some(mut gpu) = gpu() else { return };
    let (graph, input) = digits();
    let expected = graph.plan(300, &ROW).unwrap().run_reference(&input[..300 * 64]);
    let mut session = Session::new(graph, ROW.to_vec()).unwrap();

    gpu.set_budget(Budget::new(std::time::Duration::from_micros(200)));
    let runs = std::cell::Cell::new(0);
    let count = async |_busy| {
        runs.set(runs.get() + 1);
        ControlFlow::Continue(())
    };
    let output = pollster::block_on(session.run(&mut gpu, 300, &input[..300 * 64], count)).unwrap();

    assert!(runs.get() > 10, "the work went to the device in {} submissions", runs.get());
    assert_close("digits", &output, &expected, 1e-6, 1e-5);
}

#[test]
fn a_run_that_is_stopped_submits_nothing_more_and_the_next_one_is_right() {
    let Some(mut gpu) = gpu() else { return };
    let (graph, input) = digits();
    let expected = graph.plan(300, &ROW).unwrap().run_reference(&input[..300 * 64]);
    let mut session = Session::new(graph, ROW.to_vec()).unwrap();
    gpu.set_budget(Budget::new(std::time::Duration::from_micros(200)));
    let runs = std::cell::Cell::new(0);
    let three = async |_busy| {
        runs.set(runs.get() + 1);
        if runs.get() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };

    let stopped = pollster::block_on(session.run(&mut gpu, 300, &input[..300 * 64], three));
    let output = pollster::block_on(session.run(&mut gpu, 300, &input[..300 * 64], no_pause)).unwrap();

    assert_eq!((stopped, runs.get()), (Err(RunError::Stopped), 3));
    assert_close("digits", &output, &expected, 1e-6, 1e-5);
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
    let mut session = Session::new(graph, ROW.to_vec()).unwrap();

    let result = pollster::block_on(session.run(&mut gpu, 3, &input[..100], no_pause));

    assert_eq!(result, Err(RunError::Input { expected: 192, found: 100 }));
}
