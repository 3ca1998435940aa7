//! How much fuel the gate finds that a record needs.

use std::ops::ControlFlow;

use gate::{AdmittedKernel, Contract, FUEL_MAX, FUEL_UNSTATED, admit};
use gpu_kernels::customer_kernel::session::{MapSession, Records};
use gpu_kernels::device::Device;

use crate::gpu;

const WORDS: Contract = Contract { record_bytes: 4, out_bytes: 4, fuel: None };

/// A kernel of words, with a function beside `main` that it may call.
fn kernel(body: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<u32>;
        @group(0) @binding(1) var<storage, read_write> result: array<u32>;
        const WIDTH = 16u;
        fn sum_to(most: u32) -> u32 {{ var sum = 0u; for (var i = 0u; i < 10u; i++) {{ sum += most; }} return sum; }}
        fn bump(place: ptr<function, u32>) {{ *place += 1u; }}
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3u) {{
            let given = source[id.x]; var x = 0u;
            {body}
            result[id.x] = x;
        }}"
    )
}

fn admitted(body: &str) -> AdmittedKernel {
    let source = kernel(body);
    admit(&source, WORDS).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The most fuel that a record of these used.
fn used(admitted: &AdmittedKernel, input: &[u32]) -> Option<u64> {
    let Some(Device::Gpu(device)) = gpu() else { return None };
    let records = Records { records: input.len() as u64, tile: 1000, record_bytes: 4, out_bytes: 4 };
    let ran = pollster::block_on(async {
        let limit = gpu_kernels::device::budget::NATIVE;
        let mut session = MapSession::new(&device, admitted.kernel.clone(), &[], limit).await?;
        session.run(&device, records, bytemuck::cast_slice(input), async |_| ControlFlow::Continue(())).await
    });
    Some(ran.unwrap_or_else(|error| panic!("{error}")).fuel_used.into())
}

#[test]
fn loops_between_constants_get_the_fuel_that_they_need_and_use_all_of_it() {
    for body in [
        "for (var i = 0u; i < 16u; i++) { x += i; }",
        "for (var i = 0u; i < WIDTH * WIDTH; i += 3u) { x += i; }",
        "for (var i = 0u; i <= 16u; i++) { for (var j = 0; j != 4; j += 2) { x += i; } }",
        "for (var i = 15; i >= 0; i--) { x += 1u; }",
        "var i = 0u; while i < 100u { x += i; i++; }",
        "var i = 0u; loop { if i >= 7u { break; } x += i; continuing { i += 1u; } }",
        "for (var s = 128u; s > 0u; s >>= 1u) { x += s; }",
        "for (var s = 1u; s < 1000u; s *= 2u) { x += s; }",
        "let most = min(WIDTH, 8u); for (var i = 0u; most > i; i++) { x += sum_to(i); }",
        "for (var y = -1; y <= 1; y++) { for (var k = -1; k <= 1; k++) { x += u32(y * k + 1); } }",
        "for (var turn = 0u; turn < 3u; turn++) { var i = 0u; loop { if !(i < 5u) { break; } i++; } }",
    ] {
        let admitted = admitted(body);
        let needed = admitted.fuel_needed.unwrap_or_else(|| panic!("it should be known: {body}"));
        let Some(used) = used(&admitted, &[0, 1, u32::MAX]) else { return };

        assert_eq!((used, u64::from(admitted.fuel)), (needed, needed), "{body}");
    }
}

#[test]
fn what_a_record_says_of_its_turns_is_taken_for_the_most_that_it_may_say() {
    for body in [
        "for (var i = 0u; i < given % 9u; i++) { x += i; }",
        "for (var i = 0u; i < min(given, 20u); i++) { x += i; }",
        "for (var i = given & 7u; i < 16u; i++) { x += i; }",
        "for (var i = 0u; i < 10u; i++) { for (var j = i; j < 10u; j++) { x += j; } }",
        "for (var i = 0u; i < 200u && x < given; i++) { x += i; }",
        "var i = 0u; loop { if (x > given || i >= 50u) { break; } x += 3u; i++; }",
        "for (var i = 0u; i < 1000u; i++) { if given == i { break; } x += 1u; }",
        "for (var i = 0; i < i32(given % 5u); i++) { x += 1u; }",
        "for (var i = clamp(given, 3u, 9u); i > 0u; i--) { x += i; }",
        "for (var i = 0u; i < 10u; i++) { x += 1u; continue; }",
        "var i = 0u; loop { if i >= 9u { break; } continuing { i++; for (var j = 0u; j < i; j++) { x += 1u; } } }",
        "for (var i = 0u; i < 20u && (x < given && given > 2u); i++) { x += i; }",
        "if given > 3u { for (var i = 0u; i < 3u; i++) { x += i; } } else { x += sum_to(given); }",
    ] {
        let admitted = admitted(body);
        let needed = admitted.fuel_needed.unwrap_or_else(|| panic!("it should be known: {body}"));
        let Some(used) = used(&admitted, &[0, 1, 2, 6, 8, 27, 1000, u32::MAX]) else { return };

        assert!(used <= needed && u64::from(admitted.fuel) == needed, "{used} of {needed}: {body}");
    }
}

#[test]
fn a_loop_whose_turns_nobody_can_tell_gets_a_generous_amount() {
    for body in [
        "for (var i = 0u; i < given; i++) { x += i; }",
        "loop { x += 1u; if x > given { break; } }",
        "while x < 10u { x += given; }",
        "for (var i = 0u; i < 10u; i++) { if given > 3u { i = 0u; } x += 1u; }",
        "for (var i = 0u; i < 10u; i += given) { x += 1u; }",
        "var i = 0u; while i < 10u { if given > i { i++; continue; } x += 1u; i++; }",
        "var i = 0u; while i < 10u { if given > 100u { continue; } i++; }",
        "var i = 0u; while i < 10u { bump(&i); x += 1u; }",
        "for (var i = 10u; i >= 0u; i--) { x += 1u; if x > 100u { break; } }",
        "for (var i = 0u; i < 4294967290u; i += 4294967290u / 2u) { x += 1u; if x > 100u { break; } }",
        "for (var i = 1u; i != 8u; i += 2u) { x += 1u; if x > 100u { break; } }",
        "for (var i = 0u; i < 10u; i *= 2u) { x += 1u; if x > 100u { break; } }",
        "for (var i = 0u; i < 10u || given > i; i++) { x += 1u; }",
        // What is asked before a turn takes fuel in the last one too.
        "for (var i = 0u; given > 0u && sum_to(i) < 5000u && i < 10u; i++) { x += 1u; }",
        // A value that was read before its variable counted.
        "var n = 100u; let most = n; n = 0u; loop { if n >= 10u { break; } for (var j = 0u; j < most; j++) { x += 1u; } continuing { n++; } }",
        "var i = 0u; let a = i; i = 5u; loop { if a >= 10u { break; } x += 1u; if x > 100u { break; } continuing { i++; } }",
        "var i = 0u; let before = i + 1u; loop { if i >= 10u { break; } x += 1u; if x > 100u { break; } i = before; }",
        "let over = given < 10u; var i = 0u; loop { if over { break; } x += 1u; if x > 100u { break; } i++; }",
        // The second branch decides.
        "for (var i = 0u; ; i++) { var v = false; if given > 0u { v = i < 10u; } else { v = false; } if given > 1u { v = x < given; } else { v = false; } if !v { break; } x += 1u; }",
        "for (var i = 0u; i < 1000000u; i++) { if i >= given { break; } x += 1u; }",
    ] {
        let admitted = admitted(body);

        assert_eq!((admitted.fuel_needed, admitted.fuel), (None, FUEL_UNSTATED), "{body}");
    }
}

#[test]
fn more_than_a_record_may_have_is_told_and_a_stated_amount_is_kept() {
    let deep = admitted("for (var i = 0u; i < 3000u; i++) { for (var j = 0u; j < 3000u; j++) { x += j; } }");
    assert!(deep.fuel_needed.is_some_and(|needed| needed > FUEL_MAX.into()) && deep.fuel == FUEL_MAX, "{deep:?}");

    let source = kernel("for (var i = 0u; i < 16u; i++) { x += i; }");
    let stated = admit(&source, Contract { fuel: Some(7), ..WORDS }).unwrap();
    assert!(stated.fuel == 7 && stated.fuel_needed.is_some_and(|needed| needed > 7), "{stated:?}");

    assert_eq!(admitted("x = given;").fuel_needed, Some(0));
}
