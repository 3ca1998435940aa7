//! Each kernel on the device against its reference, at the sizes where shaders go wrong: one, a
//! workgroup less one, a workgroup, one more, and more than one dimension of a dispatch can hold.

use gpu_kernels::kernels::{GROUP, matmul};
use onnx::Feed;
use onnx::forward::Session;
use onnx::proto::{Attribute, FLOAT, Model, Tensor};

use crate::build::{floats as stored, int, ints, model, node, noise, parse, value};
use crate::{assert_close, bits, floats, gpu, no_pause};

const SIZES: [u32; 6] = [1, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP + 7, 66_000];

/// llvmpipe, the CPU's Vulkan driver, leaves any loop after 65,535 turns without a word.
const LOOP_MAX: u32 = 65_535;

#[track_caller]
fn check(label: &str, model: &Model, rows: usize, row: &[usize], input: &[f32]) {
    let Some(mut gpu) = gpu() else { return };
    let graph = parse(model).unwrap();
    let feeds = vec![Feed::Rows(row.to_vec())];
    let input = bits(input);
    let expected = graph.plan(rows, &feeds).unwrap().run(&[&input]);
    let mut session = Session::new(graph, feeds).unwrap();

    let output = pollster::block_on(session.run(&mut gpu, rows, &[&input], no_pause)).unwrap();

    assert_close(label, &floats(&output[0]), &floats(&expected[0]), 2e-6, 1e-5);
}

fn at(size: u32) -> usize {
    usize::try_from(size).unwrap()
}

fn check_sizes(op: &str, inputs: &[&str], attributes: &[Attribute], constants: &[Tensor]) {
    for size in SIZES {
        let model = model(vec![node(op, inputs, "y", attributes.to_vec())], constants.to_vec());
        check(&format!("{op} of {size}"), &model, 2, &[at(size)], &noise(2 * at(size)));
    }
}

#[test]
fn unary_kernels_conform() {
    for op in ["Relu", "LeakyRelu", "Sigmoid", "Tanh"] {
        check_sizes(op, &["x"], &[], &[]);
    }
    let bounds = [stored("low", &[], vec![-0.25]), stored("high", &[], vec![0.5])];
    check_sizes("Clip", &["x", "low", "high"], &[], &bounds);
}

#[test]
fn binary_kernels_conform() {
    for op in ["Add", "Sub", "Mul", "Div"] {
        check_sizes(op, &["x", "c"], &[], &[stored("c", &[1], vec![1.5])]);
        check_sizes(op, &["x", "x"], &[], &[]);
    }
}

#[test]
fn softmax_conforms() {
    check_sizes("Softmax", &["x"], &[int("axis", -1)], &[]);
}

#[test]
fn concat_conforms() {
    check_sizes("Concat", &["x", "x"], &[int("axis", 1)], &[]);
}

#[test]
fn transpose_conforms() {
    for size in SIZES {
        let model = model(vec![node("Transpose", &["x"], "y", vec![ints("perm", &[0, 2, 1])])], vec![]);
        check(&format!("transpose of {size}"), &model, 2, &[at(size), 3], &noise(6 * at(size)));
    }
}

#[test]
fn batch_norm_conforms() {
    for size in SIZES {
        let stats = ["s", "b", "m", "v"].map(|name| stored(name, &[3], vec![0.5, 1.25, 2.0]));
        let model = model(vec![node("BatchNormalization", &["x", "s", "b", "m", "v"], "y", vec![])], stats.to_vec());
        check(&format!("batch_norm of {size}"), &model, 2, &[3, at(size)], &noise(6 * at(size)));
    }
}

#[test]
fn matmul_conforms_around_its_tile() {
    let edge = [1, matmul::TILE - 1, matmul::TILE, matmul::TILE + 1];
    let depth = [1, matmul::DEPTH - 1, matmul::DEPTH, matmul::DEPTH + 1, 100];
    for (m, n) in edge.into_iter().flat_map(|m| edge.map(|n| (m, n))) {
        for k in depth {
            let weights = stored("w", &[i64::from(k), i64::from(n)], noise(at(k * n)));
            let model = model(vec![node("MatMul", &["x", "w"], "y", vec![])], vec![weights]);
            check(&format!("matmul {m} {n} {k}"), &model, at(m), &[at(k)], &noise(at(m * k)));
        }
    }
}

#[test]
fn convolution_and_pooling_conform_at_every_size() {
    for size in SIZES {
        let weights = stored("w", &[2, 1, 3], noise(6));
        let conv = model(vec![node("Conv", &["x", "w"], "y", vec![ints("pads", &[1, 1])])], vec![weights]);
        check(&format!("conv of {size}"), &conv, 2, &[1, at(size)], &noise(2 * at(size)));
        for op in ["MaxPool", "AveragePool"] {
            let window = vec![ints("kernel_shape", &[3]), ints("pads", &[1, 1])];
            let pool = model(vec![node(op, &["x"], "y", window)], vec![]);
            check(&format!("{op} of {size}"), &pool, 2, &[1, at(size)], &noise(2 * at(size)));
        }
        let global = model(vec![node("GlobalAveragePool", &["x"], "y", vec![])], vec![]);
        if size > LOOP_MAX {
            continue;
        }
        // All of one sign: a mean near zero would show the order of its sum, not the kernel.
        let positive: Vec<f32> = noise(2 * at(size)).into_iter().map(|v| v + 1.5).collect();
        check(&format!("global of {size}"), &global, 2, &[1, at(size)], &positive);
    }
}

#[test]
fn more_groups_than_one_dimension_of_a_dispatch_holds_conform() {
    let rows = at(GROUP * 65_536 + 65);
    let relu = model(vec![node("Relu", &["x"], "y", vec![])], vec![]);
    check("relu at the limit", &relu, 1, &[rows], &noise(rows));
}

#[test]
fn nan_and_infinity_in_data_stay_what_they_are() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1.0, f32::MAX, -2.5, 1e-40];
    for op in ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softmax"] {
        let model = model(vec![node(op, &["x"], "y", vec![])], vec![]);
        check(op, &model, 1, &[odd.len()], &odd);
    }
    let window = vec![ints("kernel_shape", &[2])];
    check("MaxPool", &model(vec![node("MaxPool", &["x"], "y", window)], vec![]), 1, &[1, odd.len()], &odd);
}

#[test]
fn a_chain_of_nodes_runs_in_fewer_steps_and_gives_what_each_gives_apart() {
    let window = vec![ints("pads", &[1, 1])];
    let stats = ["s", "b", "m", "v"].map(|name| stored(name, &[8], noise(8).iter().map(|v| v.abs() + 0.5).collect()));
    let mut constants = vec![stored("w", &[8, 3, 3], noise(72)), stored("k", &[8, 1], noise(8))];
    constants.extend([stored("low", &[], vec![-0.5]), stored("high", &[], vec![1.5])]);
    constants.extend(stats);
    let nodes = [
        node("Conv", &["x", "w"], "c", window),
        node("BatchNormalization", &["c", "s", "b", "m", "v"], "n", vec![]),
        node("Clip", &["n", "low", "high"], "l", vec![]),
        node("Mul", &["l", "k"], "u", vec![]),
        node("Sigmoid", &["u"], "g", vec![]),
        node("Add", &["g", "g"], "y", vec![]),
    ];
    let (rows, row, input) = (2, [3, 50], noise(300));
    let whole = model(nodes.to_vec(), constants.clone());

    let plan = parse(&whole).unwrap().plan(rows, &[Feed::Rows(row.to_vec())]).unwrap();
    let labels: Vec<&str> = plan.steps.iter().map(|step| step.call.kernel().label()).collect();
    assert_eq!(labels, ["conv", "elementwise"]);

    let mut apart = (row.to_vec(), bits(&input));
    for mut node in nodes {
        let output = std::mem::replace(&mut node.output[0], "y".to_owned());
        let made = |name: &String| constants.iter().all(|tensor| tensor.name != *name);
        node.input.iter_mut().filter(|name| made(name)).for_each(|name| "x".clone_into(name));
        let one = parse(&model(vec![node], constants.clone())).unwrap();
        let plan = one.plan(rows, &[Feed::Rows(apart.0)]).unwrap();
        assert_eq!(plan.steps.len(), 1, "{output}");
        apart = (plan.values[plan.outputs[0]].shape[1..].to_vec(), plan.run(&[&apart.1]).remove(0));
    }
    assert_close("apart", &floats(&plan.run(&[&bits(&input)])[0]), &floats(&apart.1), 1e-6, 1e-5);
    check("the chain", &whole, rows, &row, &input);
}

/// Values that a half float holds exactly.
#[test]
fn two_convolutions_taken_together_give_what_each_gives_apart() {
    let noisy =
        |name: &str, dims: &[i64]| stored(name, dims, noise(at(dims.iter().product::<i64>().try_into().unwrap())));
    for (stride, channels) in [(1, 40), (2, 48), (1, 64)] {
        let constants = vec![
            noisy("w", &[channels, 9, 1, 1]),
            noisy("b", &[channels]),
            noisy("d", &[channels, 1, 3, 3]),
            noisy("e", &[channels]),
        ];
        let window = vec![int("group", channels), ints("pads", &[1, 1, 1, 1]), ints("strides", &[stride, stride])];
        let nodes = vec![
            node("Conv", &["x", "w", "b"], "wide", vec![]),
            node("Relu", &["wide"], "between", vec![]),
            node("Conv", &["between", "d", "e"], "deep", window),
            node("Relu", &["deep"], "y", vec![]),
        ];
        let together = model(nodes, constants);
        let mut apart = together.clone();
        // Who wants to see what lies between has each computed by itself.
        apart.graph.as_mut().unwrap().output.push(value("between", FLOAT, &[]));
        let run = |model: &Model| {
            let plan = parse(model).unwrap().plan(3, &[Feed::Rows(vec![9, 64, 61])]).unwrap();
            let taken = plan.steps.windows(2).find_map(|pair| pair[0].call.fused_channels(&pair[1].call));
            assert!(taken.is_some_and(|taken| i64::try_from(taken).unwrap() < channels), "{taken:?} of {channels}");
            plan.run(&[&bits(&noise(3 * 9 * 64 * 61))]).swap_remove(0)
        };

        assert_close("pair", &floats(&run(&together)), &floats(&run(&apart)), 1e-6, 1e-5);
    }
}

fn halves(count: usize) -> Vec<f32> {
    noise(count).into_iter().map(|value| (value * 64.0).round() / 64.0).collect()
}

#[test]
fn weights_that_half_floats_hold_are_kept_as_such_on_a_gpu_and_give_the_same_results() {
    let product = vec![stored("w", &[33, 65], halves(33 * 65))];
    let product = model(vec![node("MatMul", &["x", "w"], "y", vec![])], product);
    check("half weights of a product", &product, 5, &[33], &noise(5 * 33));
    let attributes = vec![ints("pads", &[1, 1, 1, 1])];
    let filters = vec![stored("w", &[16, 9, 3, 3], halves(16 * 81))];
    let filters = model(vec![node("Conv", &["x", "w"], "y", attributes)], filters);
    check("half weights of a convolution", &filters, 3, &[9, 7, 7], &noise(3 * 9 * 49));
    let attributes = vec![ints("pads", &[1, 1, 1, 1]), int("group", 128)];
    let depthwise = vec![stored("w", &[128, 1, 3, 3], halves(128 * 9))];
    let depthwise = model(vec![node("Conv", &["x", "w"], "y", attributes)], depthwise);
    check("half weights of a depthwise convolution", &depthwise, 2, &[128, 5, 5], &noise(2 * 128 * 25));

    let words = |model: &Model, row: &[usize]| {
        let plan = parse(model).unwrap().plan(1, &[Feed::Rows(row.to_vec())]).unwrap();
        plan.gpu_program().1.iter().map(|constant| constant.len()).max().unwrap()
    };
    assert_eq!(words(&product, &[33]), (33 * 65usize).div_ceil(2));
    assert_eq!(words(&filters, &[9, 7, 7]), 16 * 81 / 2);
    assert_eq!(words(&depthwise, &[128, 5, 5]), 128 * 9 / 2);
    let read_twice = vec![stored("w", &[33, 33], halves(33 * 33))];
    let nodes = vec![node("MatMul", &["x", "w"], "a", vec![]), node("MatMul", &["w", "w"], "b", vec![])];
    let nodes = nodes.into_iter().chain([node("MatMul", &["a", "b"], "y", vec![])]).collect();
    assert_eq!(words(&model(nodes, read_twice), &[33]), 33 * 33, "what is read otherwise stays whole");
}
