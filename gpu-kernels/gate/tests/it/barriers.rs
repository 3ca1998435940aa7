//! Where barriers may stand. `kernels/workgroup_loops.wgsl` has what people write with them.

use gate::{Contract, FUEL_MAX, admit};
use gpu_kernels::customer_kernel::Fault;
use gpu_kernels::customer_kernel::session::{MapError, MapSession, Records};
use gpu_kernels::device::Device;

use crate::{gpu, run};

const WORDS: Contract = Contract { record_bytes: 4, out_bytes: 4, fuel: None };

fn kernel(body: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@group(0) @binding(2) var<uniform> params: vec4u;
var<workgroup> board: array<u32, 64>;
fn bump(place: ptr<function, u32>) {{ *place += 1u; }}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {{
{body}
}}"
    )
}

#[test]
fn a_barrier_stands_where_all_of_a_workgroup_come() {
    for body in [
        "for (var i = 0u; i < 8u; i++) { workgroupBarrier(); }",
        "var i = 0u; while i < 8u { storageBarrier(); i += 2u; }",
        "if params.x == 1u { workgroupBarrier(); } else { storageBarrier(); }",
        "for (var i = 0u; i < min(params.x, 9u); i++) { if i == params.y { break; } workgroupBarrier(); }",
        "for (var i = 0u; i < 8u; i++) { if i == params.y { continue; } workgroupBarrier(); }",
        "for (var i = 0u; i < 8u; i++) { while board[lane] > 3u { if lane == 2u { break; } } workgroupBarrier(); }",
        "for (var i = 0u; i < 8u; i++) { switch lane { case 1: { break; } default: { board[lane] = i; } } workgroupBarrier(); }",
        "for (var i = 64u; i > 0u; i /= 2u) { for (var j = i; j > 0u; j /= 2u) { workgroupBarrier(); } }",
        "let many = workgroupUniformLoad(&board[0]); for (var i = 0u; i < min(many, 5u); i++) { workgroupBarrier(); }",
    ] {
        admit(&kernel(body), WORDS).unwrap_or_else(|error| panic!("{error}: {body}"));
    }
}

#[test]
fn a_barrier_where_not_all_come_is_refused_by_its_place() {
    let not_all = "where not all may come";
    for (body, says) in [
        ("loop {\nworkgroupBarrier(); }", "a barrier in a loop that turns nobody knows how often"),
        ("for (var i = 0u; i < params.x; i++) {\nworkgroupBarrier(); }", "a barrier in a loop that turns nobody knows"),
        ("if id.x > 3 { return; }\nworkgroupBarrier();", "a barrier after a return"),
        ("if lane < 3u {\nworkgroupBarrier(); }", not_all),
        ("for (var i = 0u; i < min(source[id.x], 9u); i++) {\nworkgroupBarrier(); }", not_all),
        ("for (var i = lane % 4u; i < 9u; i++) {\nworkgroupBarrier(); }", not_all),
        ("for (var i = 0u; i < 9u; i++) { if i == lane { break; }\nworkgroupBarrier(); }", not_all),
        ("for (var i = 0u; i < 9u; i++) { if i == lane { continue; }\nworkgroupBarrier(); }", not_all),
        ("for (var i = 0u; i < 9u; i++) {\nworkgroupBarrier(); if i == lane { return; } }", not_all),
        (
            "for (var i = 0u; i < 9u; i++) { switch lane { case 1: { continue; } default: {} }\nworkgroupBarrier(); }",
            not_all,
        ),
        ("switch params.x { case 1: {\nworkgroupBarrier(); } default: {} }", not_all),
        // A variable that is not the same for all, by what is stored in it or where.
        (
            "var most = 3u; if lane == 1u { most = 4u; } for (var i = 0u; i < min(most, 9u); i++) {\nworkgroupBarrier(); }",
            not_all,
        ),
        ("var most = 3u; bump(&most); for (var i = 0u; i < min(most, 9u); i++) {\nworkgroupBarrier(); }", not_all),
        (
            "var a = 1u; var b = 1u; for (var i = 0u; i < min(a, 9u); i++) { a = b; b = lane;\nworkgroupBarrier(); }",
            not_all,
        ),
        ("var most = array<u32, 2>(3u, 4u); most[lane] = 9u; if most[0] == 3u {\nworkgroupBarrier(); }", not_all),
        // A loop that runs out of fuel stops one invocation before others.
        ("var n = 0u; for (var i = 0u; i < 9u; i++) { n += 1u; } if n == 9u {\nworkgroupBarrier(); }", not_all),
    ] {
        let error = admit(&kernel(body), WORDS).expect_err(body);

        assert!(error.message.starts_with("a barrier") && error.message.contains(says), "{error}: {body}");
        assert_eq!((error.line, error.column), (9, 1), "{error}: {body}");
    }
    let called = kernel("bump_all();").replace("@compute", "fn bump_all() {\nworkgroupBarrier(); }\n@compute");
    let error = admit(&called, WORDS).expect_err("a barrier in a function");
    assert!(error.message.contains("a barrier in a function"), "{error}");
}

#[test]
fn loops_with_barriers_have_few_enough_turns_as_nothing_stops_them() {
    let nested = "for (var i = 0u; i < 4000u; i++) { for (var j = 0u; j < 4000u; j++) { workgroupBarrier(); } }";
    let error = admit(&kernel(nested), WORDS).expect_err("too many turns");

    assert!(error.message.starts_with("loops with barriers take"), "{error}");
    assert!(error.message.ends_with(&format!("operations a record; at most {FUEL_MAX}")), "{error}");
}

#[test]
fn their_operations_are_in_the_fuel_whatever_is_stated() {
    let body = "for (var i = 0u; i < 900u; i++) { for (var j = 0u; j < 100u; j++) { workgroupBarrier(); } }";
    let error = admit(&kernel(body), Contract { fuel: Some(1), ..WORDS }).expect_err("they take it anyway");
    assert!(error.message.contains("operations a record, and its fuel is 1; state as much"), "{error}");

    let known = admit(&kernel(body), WORDS).unwrap();
    let unknown = admit(&kernel(&format!("{body} while board[0] != lane {{}}")), WORDS).unwrap();
    assert!(known.fuel > 1_000_000 && unknown.fuel > known.fuel, "{} {}", known.fuel, unknown.fuel);
    // They go on when a loop before them has spent it all.
    assert!(unknown.kernel.ops > u64::from(unknown.fuel) + 1_000_000, "{}", unknown.kernel.ops);
}

#[test]
fn workgroup_uniform_load_is_of_one_element_for_all() {
    let error = admit(&kernel("if workgroupUniformLoad(&board[lane]) > 3u {\nworkgroupBarrier(); }"), WORDS);
    let error = error.expect_err("each would load its own");
    assert!(error.message.starts_with("workgroupUniformLoad of an element"), "{error}");

    admit(&kernel("if workgroupUniformLoad(&board[params.x]) > 3u { workgroupBarrier(); }"), WORDS).unwrap();
}

#[test]
fn an_invocation_without_fuel_still_comes_to_the_barriers_and_is_told() {
    // Each lane hands its word on, eight times; one of them spends its fuel in between.
    let body = "board[lane] = lane; workgroupBarrier();
        for (var i = 0u; i < 8u; i++) {
            let next = board[(lane + 1u) % 64u];
            workgroupBarrier();
            board[lane] = next;
            for (var j = 0u; j < source[id.x]; j++) { board[lane] += 0u; }
            workgroupBarrier();
        }
        result[id.x] = board[lane];";
    let admitted = admit(&kernel(body), Contract { fuel: Some(2000), ..WORDS }).unwrap();
    let Some(found) = run(&admitted, &[0; 4], &[0; 64], (4, 4)) else { return };
    assert_eq!(found, (0..64).map(|lane| (lane + 8) % 64).collect::<Vec<u32>>());

    let Some(Device::Gpu(device)) = gpu() else { return };
    let mut input = [0u32; 64];
    input[5] = 1000;
    let records = Records { records: 64, tile: 64, record_bytes: 4, out_bytes: 4 };
    let found = pollster::block_on(async {
        let limit = gpu_kernels::device::budget::NATIVE;
        let mut session = MapSession::new(&device, admitted.kernel, &[0; 16], limit).await?;
        session.run(&device, records, bytemuck::cast_slice(&input), async |_| std::ops::ControlFlow::Continue(())).await
    });
    assert_eq!(found.err(), Some(MapError::OutOfFuel { tile: 0, fault: Fault { line: 13, turns: false } }));
}

#[test]
fn what_lies_past_the_last_record_writes_nothing() {
    let body = "board[lane] = 7u; workgroupBarrier(); result[id.x] = select(0u, lane + 1u, id.x < 70u);";
    let Some(found) = run(&admit(&kernel(body), WORDS).unwrap(), &[0; 4], &[0; 70], (4, 4)) else { return };

    assert_eq!(found, (0..70).map(|at| at % 64 + 1).collect::<Vec<u32>>());
}
