//! What the edge relies on: rows computed apart are the rows computed together.

use std::ops::ControlFlow;

use gpu_kernels::device::budget::{self, Budget};
use gpu_kernels::device::{Cpu, Device};
use onnx::forward::{RunError, Session};
use onnx::proto::{self, Attribute, FLOAT, Node, Tensor};
use onnx::{Feed, Graph, ModelError};

use crate::build::{floats as stored, int, ints, longs, model, node, noise, parse, value};
use crate::{assert_close, floats, gpu, no_pause};

fn digits() -> (Graph, Vec<u32>) {
    let folder = crate::folder().join("../../e2e/samples/digits");
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

/// A model that was exported with one row: its reshapes hold that one.
fn exported_with(batch: i64) -> Graph {
    let nodes = vec![
        node("Reshape", &["x", "flat"], "f", vec![]),
        node("MatMul", &["f", "w"], "h", vec![]),
        node("Reshape", &["h", "back"], "b", vec![]),
        node("ReduceSum", &["b", "axes"], "y", vec![int("keepdims", 0)]),
    ];
    let constants = vec![
        longs("flat", &[4 * batch, 3]),
        stored("w", &[3, 3], noise(9)),
        longs("back", &[batch, 4, 3]),
        longs("axes", &[2]),
    ];
    let mut model = model(nodes, constants);
    model.graph.as_mut().unwrap().input = vec![value("x", FLOAT, &[Some(batch), Some(4), Some(3)])];
    parse(&model).unwrap()
}

#[test]
fn a_model_exported_with_one_row_runs_any_number_row_by_row() {
    let (graph, feeds) = (exported_with(1), vec![Feed::Rows(vec![4, 3])]);
    let signature = graph.signature(&feeds).unwrap();
    assert_eq!((signature.mixed_by, &signature.outputs[0].shape), (None, &vec![4]));
    let input: Vec<u32> = noise(5 * 12).iter().map(|value| value.to_bits()).collect();
    let alone = graph.plan(1, &feeds).unwrap();
    let apart: Vec<u32> = input.chunks(12).flat_map(|row| alone.run(&[row]).remove(0)).collect();

    let plan = graph.plan(5, &feeds).unwrap();
    assert_eq!(plan.run(&[&input])[0], apart);
    assert!(plan.device_bytes() < 5 * alone.device_bytes(), "rows should use the same memory one after another");
    let too_many = graph.plan(1_000_000, &feeds).expect_err("no plan holds so many");
    assert!(matches!(too_many, ModelError::TooLong { .. }), "{too_many}");

    let mut devices = vec![Device::Cpu(Cpu::open(std::time::Duration::from_secs(1), None))];
    devices.extend(gpu());
    for mut device in devices {
        let mut session = Session::new(exported_with(1), feeds.clone()).unwrap();
        let found = pollster::block_on(session.run(&mut device, 5, &[&input], no_pause)).unwrap().remove(0);
        assert_close("row by row", &floats(&found), &floats(&apart), 1e-6, 1e-5);
    }
}

#[test]
fn a_model_exported_with_several_rows_runs_any_number_in_micro_batches_and_fills_the_last() {
    let feeds = vec![Feed::Rows(vec![4, 3])];
    let input: Vec<u32> = noise(7 * 12).iter().map(|value| value.to_bits()).collect();
    let alone = exported_with(1).plan(1, &feeds).unwrap();
    let apart: Vec<u32> = input.chunks(12).flat_map(|row| alone.run(&[row]).remove(0)).collect();

    for batch in [2, 3, 8] {
        let signature = exported_with(batch).signature(&feeds).unwrap();
        assert_eq!((signature.mixed_by, &signature.outputs[0].shape), (None, &vec![4]));
        assert_eq!(i64::try_from(signature.micro_batch), Ok(batch));
        for rows in 1..=7 {
            let found = exported_with(batch).plan(rows, &feeds).unwrap().run(&[&input[..rows * 12]]).remove(0);
            assert_close("in micro-batches", &floats(&found), &floats(&apart[..rows * 4]), 1e-6, 1e-5);
        }
        let mut devices = vec![Device::Cpu(Cpu::open(std::time::Duration::from_micros(1), None))];
        devices.extend(gpu());
        for mut device in devices {
            let mut session = Session::new(exported_with(batch), feeds.clone()).unwrap();
            let found = pollster::block_on(session.run(&mut device, 7, &[&input], no_pause)).unwrap().remove(0);
            assert_close("in micro-batches", &floats(&found), &floats(&apart), 1e-6, 1e-5);
        }
    }
}

#[test]
fn a_model_exported_with_several_rows_that_it_mixes_is_refused_with_what_to_do() {
    let nodes = vec![
        node("Reshape", &["x", "flat"], "f", vec![]),
        node("ReduceSum", &["f", "axes"], "all", vec![int("keepdims", 1)]),
        node("Add", &["x", "all"], "y", vec![]),
    ];
    let mut model = model(nodes, vec![longs("flat", &[2, 3]), longs("axes", &[0])]);
    model.graph.as_mut().unwrap().input = vec![value("x", FLOAT, &[Some(2), Some(3)])];

    let error = parse(&model).unwrap().signature(&[Feed::Rows(vec![3])]).expect_err("it mixes its two rows");

    let text = error.to_string();
    assert!(text.contains("fixes its batch at 2") && text.contains("a batch of 1, or a free one"), "{text}");
    assert!(text.contains("'ReduceSum_of_all' mixes the rows"), "{text}");
}

/// `y[row, i] = x[row or another, last − i]`, by indices that are counted out of the shape, as masks are.
fn indexed(rows_from: &str) -> Graph {
    let counted = |output: &str, by: [&str; 3], axis: &str| {
        let (range, beside) = (format!("{output}_range"), format!("{output}_beside"));
        vec![
            node("Range", &by, &range, vec![]),
            node("Unsqueeze", &[&range, axis], &beside, vec![]),
            node("Expand", &[&beside, "shape"], &format!("{output}_wide"), vec![]),
            node("Unsqueeze", &[&format!("{output}_wide"), "last"], output, vec![]),
        ]
    };
    let mut nodes = vec![
        node("Shape", &["x"], "shape", vec![]),
        node("Gather", &["shape", "zero"], "rows", vec![]),
        node("Sub", &["rows", "one"], "end", vec![]),
    ];
    let by = if rows_from == "own" { ["zero", "rows", "one"] } else { ["end", "minus", "minus"] };
    nodes.extend(counted("a", by, "first_axis"));
    nodes.extend(counted("b", ["three", "minus", "minus"], "zero_axis"));
    nodes.push(node("Concat", &["a", "b"], "at", vec![int("axis", -1)]));
    nodes.push(node("GatherND", &["x", "at"], "y", vec![]));
    let one = |name: &str, value: i64| proto::Tensor { dims: vec![], ..longs(name, &[value]) };
    let constants = vec![
        one("zero", 0),
        one("one", 1),
        one("three", 3),
        one("minus", -1),
        longs("first_axis", &[1]),
        longs("zero_axis", &[0]),
        longs("last", &[-1]),
    ];
    parse(&model(nodes, constants)).unwrap()
}

#[test]
fn indices_that_count_the_rows_keep_them_apart() {
    let feeds = [Feed::Rows(vec![4])];
    let own = indexed("own");
    assert_eq!(own.signature(&feeds).unwrap().mixed_by, None);
    let input: Vec<u32> = noise(12).iter().map(|value| value.to_bits()).collect();
    let turned: Vec<u32> = input.chunks(4).flat_map(|row| row.iter().rev().copied()).collect();
    assert_eq!(own.plan(3, &feeds).unwrap().run(&[&input]), [turned]);

    // The same from the last row on is another row's.
    assert!(indexed("other").signature(&feeds).is_ok_and(|signature| signature.mixed_by.is_some()));
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

#[test]
fn rows_that_meet_where_the_batch_is_not_the_first_axis_are_said_to() {
    let swap = |from: &str, to: &str| node("Transpose", &[from], to, vec![ints("perm", &[1, 0])]);
    let within = |nodes: Vec<Node>, constants: Vec<Tensor>| {
        let nodes = [vec![swap("x", "a")], nodes, vec![swap("b", "y")]].concat();
        parse(&model(nodes, constants)).unwrap().signature(&[Feed::Rows(vec![4])]).unwrap().mixed_by
    };
    let softmax = |axis| vec![node("Softmax", &["a"], "b", vec![int("axis", axis)])];
    assert_eq!(within(softmax(0), vec![]), None);
    assert_eq!(within(softmax(1), vec![]).as_deref(), Some("Softmax_of_b"));

    let sum = |axis| (vec![node("CumSum", &["a", "axis"], "b", vec![])], vec![longs("axis", &[axis])]);
    let (down, along) = (sum(0), sum(1));
    assert_eq!(within(down.0, down.1), None);
    assert_eq!(within(along.0, along.1).as_deref(), Some("CumSum_of_b"));

    let back = |axis| {
        let places = vec![longs("from", &[-1]), longs("to", &[i64::MIN]), longs("axes", &[axis]), longs("by", &[-1])];
        (vec![node("Slice", &["a", "from", "to", "axes", "by"], "r", vec![]), node("Neg", &["r"], "b", vec![])], places)
    };
    let (down, along) = (back(0), back(1));
    assert_eq!(within(down.0, down.1), None);
    assert!(within(along.0, along.1).is_some(), "the last row first");
}

/// ONNX counts the places of the largest values over the whole tensor, other rows included.
#[test]
fn places_in_the_whole_tensor_belong_to_all_rows() {
    let window = vec![ints("kernel_shape", &[2])];
    let pool = Node { output: vec!["largest".into(), "y".into()], ..node("MaxPool", &["x"], "y", window.clone()) };
    let mixed_by = |pool| {
        let graph = parse(&model(vec![pool], vec![])).unwrap();
        graph.signature(&[Feed::Rows(vec![2, 4])]).unwrap().mixed_by
    };

    assert_eq!(mixed_by(pool), Some("MaxPool_of_y".to_owned()));
    assert_eq!(mixed_by(node("MaxPool", &["x"], "y", window)), None);
}

/// Among others a row is an axis of its own, which nothing squeezes; so it is alone.
#[test]
fn a_row_alone_is_squeezed_as_it_is_among_others() {
    let nodes = vec![
        node("Squeeze", &["x"], "s", vec![]),
        node("ArgMax", &["s"], "a", vec![int("axis", 1), int("keepdims", 0)]),
        node("Reshape", &["a", "flat"], "y", vec![]),
    ];
    let squeezing = model(nodes, vec![longs("flat", &[-1, 2])]);
    let (graph, feeds) = (parse(&squeezing).unwrap(), [Feed::Rows(vec![1, 3, 2])]);
    let input: Vec<u32> = noise(12).iter().map(|value| value.to_bits()).collect();

    let together = graph.plan(2, &feeds).unwrap().run(&[&input]).remove(0);
    let alone = graph.plan(1, &feeds).unwrap();
    let apart: Vec<u32> = input.chunks(6).flat_map(|row| alone.run(&[row]).remove(0)).collect();

    assert_eq!((together.len(), together), (4, apart));
}

/// A model that was exported with one row squeezes that row's axis as it did then.
#[test]
fn a_model_that_fixes_one_row_squeezes_it() {
    let nodes = vec![
        node("Squeeze", &["x"], "s", vec![]),
        node("Transpose", &["s"], "t", vec![ints("perm", &[1, 0])]),
        node("Reshape", &["t", "back"], "y", vec![]),
    ];
    let mut fixed = model(nodes, vec![longs("back", &[1, 6])]);
    fixed.graph.as_mut().unwrap().input = vec![value("x", FLOAT, &[Some(1), Some(1), Some(3), Some(2)])];
    let (graph, feeds) = (parse(&fixed).unwrap(), [Feed::Rows(vec![1, 3, 2])]);
    let input: Vec<u32> = (0..12).collect();

    let turned = [0, 2, 4, 1, 3, 5];
    assert_eq!(graph.plan(1, &feeds).unwrap().run(&[&input[..6]])[0], turned);
    let both: Vec<u32> = turned.iter().copied().chain(turned.iter().map(|value| value + 6)).collect();
    assert_eq!(graph.plan(2, &feeds).unwrap().run(&[&input])[0], both);
}

/// Two rows and three show what a model does to rows; a model may look how many there are.
#[test]
fn a_model_that_treats_more_rows_otherwise_is_refused_when_they_are_planned() {
    let cut = model(
        vec![node("Slice", &["x", "from", "to", "axes"], "y", vec![])],
        vec![longs("from", &[-3]), longs("to", &[4]), longs("axes", &[0])],
    );
    let body = |op: &str| proto::Graph {
        node: vec![node(op, &["x", "sum"], "out", vec![])],
        output: vec![value("out", FLOAT, &[])],
        ..Default::default()
    };
    let branch = |name: &str, op| Attribute { name: name.to_owned(), g: Some(body(op)), ..Default::default() };
    let nodes = vec![
        node("Shape", &["x"], "shape", vec![]),
        node("Gather", &["shape", "first"], "rows", vec![]),
        node("Greater", &["rows", "three"], "many", vec![]),
        node("ReduceSum", &["x", "axes"], "sum", vec![]),
        node("If", &["many"], "y", vec![branch("then_branch", "Add"), branch("else_branch", "Identity")]),
    ];
    let one = |name: &str, value: i64| proto::Tensor { dims: vec![], ..longs(name, &[value]) };
    let counting = model(nodes, vec![one("first", 0), one("three", 3), longs("axes", &[0])]);

    for (name, model) in [("a cut", cut), ("a count", counting)] {
        let (graph, feeds) = (parse(&model).unwrap(), [Feed::Rows(vec![2])]);
        assert_eq!(graph.signature(&feeds).unwrap().mixed_by, None, "{name}");
        assert!(graph.plan(3, &feeds).is_ok(), "{name}");
        let found = graph.plan(5, &feeds).map(|plan| plan.run(&[&[1; 10]]));
        assert!(matches!(found, Err(ModelError::MixesRows { .. })), "{name}: {found:?}");
    }
}

/// Of two classes a label, and of three rows the second's is as good as the other: their sums differ in the last bits.
#[test]
fn a_nudged_run_tips_over_what_lies_near_a_tie_and_nothing_else() {
    let nodes = vec![
        node("MatMul", &["x", "w"], "scores", vec![]),
        node("ArgMax", &["scores"], "y", vec![int("axis", 1), int("keepdims", 0)]),
    ];
    let graph = parse(&model(nodes, vec![crate::build::floats("w", &[2, 2], vec![1.0, 0.0, 0.0, 1.0])])).unwrap();
    let plan = graph.plan(3, &[Feed::Rows(vec![2])]).unwrap();
    let x = crate::bits(&[0.7, 0.6999, 0.7, 0.700_000_1, 0.1, 0.9]);
    let labels = plan.run(&[&x]).remove(0);

    let nudged: Vec<Vec<u32>> = (0..12).map(|seed| plan.run_nudged(&[&x], seed).remove(0)).collect();

    assert_eq!(labels, [0, 1, 1]);
    let mut session = Session::new(graph, vec![Feed::Rows(vec![2])]).unwrap();
    let by_session = pollster::block_on(session.run_nudged(3, 3, &[&x], async |_| ControlFlow::Continue(())));
    assert_eq!(by_session.unwrap(), [nudged[3].clone()], "the same by a session");
    let seen = |row: usize| nudged.iter().map(|labels| labels[row]).collect::<std::collections::BTreeSet<u32>>();
    assert_eq!([seen(0), seen(1), seen(2)].map(Vec::from_iter), [vec![0], vec![0, 1], vec![1]]);
}

#[test]
fn a_nudged_run_moves_what_a_sum_of_large_terms_leaves_and_no_number_that_counts() {
    let nodes = vec![node("MatMul", &["x", "w"], "sum", vec![]), node("Floor", &["x"], "count", vec![])];
    let mut model = model(nodes, vec![crate::build::floats("w", &[2, 1], vec![1.0, -1.0])]);
    model.graph.as_mut().unwrap().output = vec![value("sum", proto::FLOAT, &[]), value("count", proto::FLOAT, &[])];
    let plan = parse(&model).unwrap().plan(1, &[Feed::Rows(vec![2])]).unwrap();

    let runs = (0..8).map(|seed| plan.run_nudged(&[&crate::bits(&[1000.5, 1000.25])], seed).remove(0)[0]);
    let sums: Vec<f32> = runs.map(f32::from_bits).collect();
    let spread = sums.iter().fold(0.0f32, |most, sum| most.max((sum - 0.25).abs()));
    assert!((0.005..0.1).contains(&spread), "{sums:?}: of 0.25 alone it would be a hundred-thousandth");

    for seed in 0..8 {
        let count = plan.run_nudged(&[&crate::bits(&[5.0, 7.0])], seed).remove(1);
        assert_eq!(count, crate::bits(&[5.0, 7.0]));
    }
}
