//! The gate of customers' kernels: what it refuses and where, and what it lets through, on a GPU.

use std::ops::ControlFlow;

use gate::{AdmittedKernel, Contract, GateError, admit};
use gpu_kernels::customer_kernel::session::{MapError, MapSession, Records};
use gpu_kernels::customer_kernel::{Fault, MapOutput};
use gpu_kernels::device::Device;
use gpu_kernels::dtype::DType;
use gpu_kernels::records::Column;
use proptest::prelude::*;

use crate::gpu;

const FUEL: u32 = 10_000;
const WORDS: Contract = Contract { record_bytes: 4, out_bytes: 4, fuel: Some(FUEL) };

const BINDINGS: &str = "
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
";

/// A kernel of words whose body is `body`, with what else it needs before it.
fn kernel(globals: &str, body: &str) -> String {
    format!(
        "{BINDINGS}{globals}\n@compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3u) {{\n{body}\n}}"
    )
}

#[track_caller]
fn refusal(source: &str) -> GateError {
    admit(source, WORDS).expect_err("the kernel should be refused")
}

#[track_caller]
fn check_refusal(source: &str, line: u32, says: &str) {
    let error = refusal(source);

    assert!(error.message.contains(says), "{error}");
    assert_eq!(error.line, line, "{error}");
    assert!(error.column >= 1);
}

#[test]
fn a_compilers_error_is_told_with_its_line_and_column() {
    let error = refusal(&kernel("", "let x = ;"));

    assert_eq!((error.line, error.column), (7, 9), "{error}");
    check_refusal(&kernel("", "result[id.x] = 1.5;"), 7, "automatic conversions");
    check_refusal(&kernel("", "result[id.x] = missing;"), 7, "no definition in scope for identifier: `missing`");
    check_refusal("", 1, "entry point");
    check_refusal("fn main() {}", 1, "entry point");
}

#[test]
fn an_extension_is_refused_by_its_name_where_it_is_asked_for() {
    let body = kernel("", "result[id.x] = source[id.x];");
    for (directive, line, says) in [
        ("enable f16;", 1, "`enable f16` asks for what not every device has; leave it out, and use f32"),
        ("// halves\n/* of /* everything */ ; */ enable f16;", 2, "`enable f16` asks"),
        ("diagnostic(off, derivative_uniformity);\nenable subgroups;", 2, "`enable subgroups` asks"),
        ("requires unrestricted_pointer_parameters;", 1, "functions take pointers to `function` and `private`"),
    ] {
        check_refusal(&format!("{directive}{body}"), line, says);
    }
    admit(&format!("// enable f16;\n/* enable f16; */{body}"), WORDS).expect("a comment asks for nothing");
}

#[test]
fn what_stands_too_deep_is_said_to() {
    let deep = |depth| kernel("", &format!("result[id.x] = {}source[id.x]{};", "(".repeat(depth), ")".repeat(depth)));

    admit(&deep(20), WORDS).expect("twenty brackets");
    let error = refusal(&deep(2000));
    assert!(error.message.contains("too deep"), "{error}");
}

#[test]
fn a_refusal_is_short_whatever_it_names() {
    let long = "x".repeat(60_000);
    for source in
        [kernel("", &format!("result[id.x] = {long};")), kernel(&format!("var<private> {long}: atomic<u32>;"), "")]
    {
        let error = refusal(&source);

        assert!(error.message.chars().count() <= 501 && error.message.ends_with('…'), "{error}");
    }
}

#[test]
fn what_is_outside_the_contract_is_named() {
    check_refusal(&kernel("@group(0) @binding(4) var<storage> more: array<u32>;", ""), 4, "'more' is none of");
    check_refusal(&kernel("@group(1) @binding(0) var<uniform> more: u32;", ""), 4, "'more' is none of");
    check_refusal(&kernel("@group(0) @binding(5) var picture: texture_2d<f32>;", ""), 4, "'picture' is a texture");
    check_refusal(&kernel("override size: u32 = 3;", ""), 4, "'size' is an override");
    check_refusal(&kernel("var<workgroup> count: atomic<u32>;", ""), 4, "'count' is atomic");
    check_refusal(&kernel("var<workgroup> many: array<u32, 5000>;", ""), 4, "workgroup variables take 20000 bytes");
    check_refusal(&kernel("\nvar<private> many: array<u32, 5000>;", ""), 5, "private variables take 20000 bytes");
    check_refusal(
        &kernel("", "var many: array<u32, 3000>; result[id.x] = many[id.x];"),
        7,
        "variables of 'main' take 12000",
    );
    check_refusal(&kernel("enable f16;", ""), 4, "");
    check_refusal(&kernel("", "").replace("workgroup_size(64)", "workgroup_size(8, 8)"), 6, "8 by 8 by 1");
    check_refusal(&kernel("", "").replace("fn main", "fn other"), 6, "entry point is 'other'");
    check_refusal(
        &kernel("", "").replace("read_write> result", "read> result"),
        3,
        "must be `var<storage, read_write>`",
    );
    check_refusal(&kernel("", "").replace("result: array<u32>", "result: u32"), 3, "'result' must be an array");
    check_refusal(&kernel("", "").replace("result: array<u32>", "result: array<vec3u>"), 3, "elements of 16 bytes");
    check_refusal(&"//\n".repeat(30_000), 1, "at most 65536");
    let odd = admit(&kernel("", ""), Contract { record_bytes: 6, ..WORDS }).expect_err("six bytes are no words");
    assert!(odd.message.contains("multiple of 4"), "{odd}");
    let thirsty =
        admit(&kernel("", ""), Contract { fuel: Some(u32::MAX), ..WORDS }).expect_err("that much fuel is refused");
    assert!(thirsty.message.contains("at most 10000000"), "{thirsty}");
}

#[test]
fn the_gate_knows_what_the_words_are_and_what_a_record_costs() {
    let source = kernel("", "")
        .replace("result: array<u32>", "result: array<Answer>")
        .replace("@compute", "struct Answer { count: i32, mean: f32, axis: vec2f }\n@compute");
    let admitted = admit(&source, Contract { out_bytes: 32, ..WORDS }).unwrap();

    assert_eq!(admitted.words, [(DType::I32, 1), (DType::F32, 3)].map(|(dtype, len)| Column { dtype, len }));
    assert!(admitted.kernel.ops < 20, "{}", admitted.kernel.ops);
    let looping = admit(&kernel("", "for (var i = 0u; i < 9u; i++) { result[id.x] += i; }"), WORDS).unwrap();
    assert!((10_000..10_100).contains(&looping.kernel.ops), "{}", looping.kernel.ops);
    assert_eq!(looping.kernel.loop_lines, [7]);
    assert!(!looping.floats);
}

/// Runs a kernel of words over `input` in tiles of `tile` records; none without a GPU.
fn run(admitted: &AdmittedKernel, params: &[u32], input: &[u32], tile: u64) -> Option<Result<MapOutput, MapError>> {
    let Some(Device::Gpu(device)) = gpu() else { return None };
    let records = Records { records: input.len() as u64, tile, record_bytes: 4, out_bytes: 4 };
    Some(pollster::block_on(async {
        let limit = gpu_kernels::device::budget::NATIVE;
        let mut session =
            MapSession::new(&device, admitted.kernel.clone(), bytemuck::cast_slice(params), limit).await?;
        session.run(&device, records, bytemuck::cast_slice(input), async |_busy| ControlFlow::Continue(())).await
    }))
}

#[track_caller]
fn outcome(source: &str, input: &[u32], tile: u64) -> Option<Result<Vec<u32>, MapError>> {
    let admitted = admit(source, WORDS).unwrap_or_else(|error| panic!("{error}"));
    let ran = run(&admitted, &[], input, tile)?;
    Some(ran.map(|output| bytemuck::pod_collect_to_vec(&output.records)))
}

#[test]
fn a_kernel_gives_each_record_its_answer_however_the_tiles_are_cut() {
    let input: Vec<u32> = (0..1000).collect();
    let source = kernel("", "result[id.x] = source[id.x] * 3 + arrayLength(&source);");

    for tile in [1, 7, 64, 1000] {
        let Some(found) = outcome(&source, &input, tile) else { return };

        let length = |index: u32| u32::try_from(tile.min(1000 - u64::from(index) / tile * tile)).unwrap();
        let expected: Vec<u32> = input.iter().map(|&value| value * 3 + length(value)).collect();
        assert_eq!(found.unwrap(), expected, "tiles of {tile}");
    }
}

#[test]
fn an_endless_loop_ends_as_out_of_fuel_with_its_line() {
    let endless = [
        kernel("", "loop { result[id.x] += 1u; }"),
        kernel("", "while true { result[id.x] += 1u; }"),
        kernel("", "for (;;) { result[id.x] += 1u; continue; }"),
        kernel(
            "fn spin(x: u32) -> u32 { loop { if x == 77777u { return x; } } return 0u; }",
            "\n\nresult[id.x] = spin(id.x);",
        ),
        kernel("", "loop { loop { loop { result[id.x] += 1u; } } }"),
        kernel("", "loop { result[id.x] += 1u; }\n for (var i = 0u; i < 3u; i++) { result[id.x] += 1u; }"),
        kernel(
            "fn few(x: u32) -> u32 { var y = x; for (var i = 0u; i < 3u; i++) { y += i; } return y; }",
            "loop { result[id.x] += 1u; }\n result[id.x] = few(id.x);",
        ),
        kernel("", "var i = 0u; loop { continuing { i++; break if i == 0u; } } result[id.x] = i;"),
    ];
    for source in endless {
        let line = if source.contains("spin") { 4 } else { 7 };
        let Some(found) = outcome(&source, &[1, 2, 3], 2) else { return };

        assert_eq!(found, Err(MapError::OutOfFuel { tile: 0, fault: Fault { line, turns: false } }), "{source}");
    }
}

#[test]
fn the_loop_that_never_ends_is_blamed_whatever_fuel_is_left_for_the_next() {
    let source = kernel("", "loop { result[id.x] += 1u; }\n for (var i = 0u; i < 3u; i++) { result[id.x] += 1u; }");
    for fuel in 1000..1016 {
        let admitted = admit(&source, Contract { fuel: Some(fuel), ..WORDS }).unwrap();
        let Some(found) = run(&admitted, &[], &[1], 1) else { return };

        assert_eq!(found, Err(MapError::OutOfFuel { tile: 0, fault: Fault { line: 7, turns: false } }), "{fuel}");
    }
}

#[test]
fn a_loop_of_too_many_turns_is_stopped_though_it_has_fuel() {
    let source = kernel("", "var i = 0u; loop { i++; if i == 100000u { break; } } result[id.x] = i;");
    let admitted = admit(&source, Contract { fuel: Some(5_000_000), ..WORDS }).unwrap();
    let Some(found) = run(&admitted, &[], &[1], 1) else { return };

    assert_eq!(found, Err(MapError::OutOfFuel { tile: 0, fault: Fault { line: 7, turns: true } }));
}

#[test]
fn the_fuel_that_a_record_used_is_told() {
    let source = kernel("", "for (var i = 0u; i < source[id.x]; i++) { result[id.x] += i; }");
    let admitted = admit(&source, WORDS).unwrap();
    let Some(few) = run(&admitted, &[], &[3, 1], 2) else { return };
    let many = run(&admitted, &[], &[3, 100], 2).unwrap().unwrap();

    assert!(many.fuel_used > 10 * few.unwrap().fuel_used, "{}", many.fuel_used);
}

#[test]
fn the_fuel_that_a_tiles_records_left_is_told_tile_by_tile() {
    let looped = "for (var i = 0u; i < source[id.x]; i++) { x += i; }";
    let kernels = [
        kernel("", &format!("var x = 0u; {looped} result[id.x] = x;")),
        // What runs past the last record, so that all come to the barrier, is counted for nobody.
        kernel("", &format!("var x = 0u; {looped} workgroupBarrier(); result[id.x] = x;")),
    ];
    for source in kernels {
        let admitted = admit(&source, WORDS).unwrap();
        let Some(one) = run(&admitted, &[], &[3], 1) else { return };
        let of_one = FUEL - one.unwrap().fuel_left[0];
        let of_many = run(&admitted, &[], &[3, 3, 3, 0, 3], 3).unwrap().unwrap().fuel_left;
        let none = FUEL - run(&admitted, &[], &[0], 1).unwrap().unwrap().fuel_left[0];

        assert!(of_one > none, "{of_one} {none}");
        assert_eq!(of_many, [3 * (FUEL - of_one), 2 * FUEL - of_one - none], "{source}");
    }
    let admitted = admit(&kernel("", "result[id.x] = source[id.x];"), WORDS).unwrap();
    let Some(without_loops) = run(&admitted, &[], &[1, 2, 3], 2) else { return };
    assert_eq!(without_loops.unwrap().fuel_left, [0, 0], "without loops there is none");
}

#[test]
fn a_float_beyond_an_integers_range_becomes_the_nearest_in_it_and_nan_is_0() {
    let floats = [0.0, -0.75, 1.9, -7.2, 1e20, -1e20, 3e9, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
    let input: Vec<u32> = floats.map(f32::to_bits).to_vec();
    let casts = [
        ("bitcast<u32>(i32(x))", [0, 0, 1, -7, 2_147_483_520, i32::MIN, 2_147_483_520, 2_147_483_520, i32::MIN, 0, 0]),
        (
            "bitcast<u32>(vec3i(vec3f(1.0, x, x)).y)",
            [0, 0, 1, -7, 2_147_483_520, i32::MIN, 2_147_483_520, 2_147_483_520, i32::MIN, 0, 0],
        ),
        ("u32(x)", [0, 0, 1, 0, -256, 0, (3_000_000_000_u32).cast_signed(), -256, 0, 0, 0]),
    ];
    for (cast, expected) in casts {
        let source = kernel("", &format!("let x = bitcast<f32>(source[id.x]); result[id.x] = {cast};"));
        let Some(found) = outcome(&source, &input, 11) else { return };

        assert_eq!(found.unwrap(), expected.map(i32::cast_unsigned), "{cast}");
    }
}

#[test]
fn an_index_outside_is_brought_inside_wherever_it_goes() {
    let wild = [
        ("result[id.x] = source[id.x + 4000000000u];", [30, 30, 30]),
        ("let i = i32(id.x) - 100; result[id.x] = source[i];", [30, 30, 30]),
        ("var local = array<u32, 4>(1, 2, 3, 4); result[id.x] = local[id.x + 2u];", [3, 4, 4]),
        (
            "var local = array<u32, 4>(1, 2, 3, 4); local[id.x * 1000u] = 9u; result[id.x] = local[3] + local[0];",
            [13, 10, 10],
        ),
        ("let v = vec3u(5, 6, 7); result[id.x] = v[id.x + 1u];", [6, 7, 7]),
        ("var m = array<vec2u, 2>(vec2u(1, 2), vec2u(3, 4)); result[id.x] = m[id.x][id.x];", [1, 4, 4]),
    ];
    for (body, expected) in wild {
        let Some(found) = outcome(&kernel("", body), &[10, 20, 30], 3) else { return };

        assert_eq!(found.unwrap(), expected, "{body}");
    }
    // A stray write lands nowhere.
    let Some(found) = outcome(&kernel("", "result[id.x] = 1u; if id.x == 0u { result[4000000u] = 7u; }"), &[0; 6], 3)
    else {
        return;
    };
    let found = found.unwrap();
    assert_eq!(found, [1; 6]);
}

#[test]
fn workgroup_memory_begins_at_zero_and_barriers_hold() {
    let globals = "var<workgroup> shared_words: array<u32, 64>;";
    let body = "let before = shared_words[id.x % 64u];
        workgroupBarrier();
        shared_words[id.x % 64u] = source[id.x];
        workgroupBarrier();
        result[id.x] = before + shared_words[(id.x + 1u) % 64u];";
    let input: Vec<u32> = (1..=128).collect();
    let Some(found) = outcome(&kernel(globals, body), &input, 128) else { return };

    let expected: Vec<u32> = (0..128).map(|i| i / 64 * 64 + (i + 1) % 64 + 1).collect();
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn parameters_reach_every_record_and_must_have_their_size() {
    let globals = "struct Params { factor: u32, add: u32 }\n@group(0) @binding(2) var<uniform> params: Params;";
    let admitted = admit(&kernel(globals, "result[id.x] = source[id.x] * params.factor + params.add;"), WORDS).unwrap();
    assert_eq!(admitted.kernel.params_bytes, Some(8));
    let Some(found) = run(&admitted, &[3, 4], &[1, 2], 2) else { return };
    let short = run(&admitted, &[3], &[1, 2], 2).unwrap();

    assert_eq!(bytemuck::pod_collect_to_vec::<u8, u32>(&found.unwrap().records), [7, 10]);
    assert!(matches!(short, Err(MapError::Input { what: "the parameters", expected: 8, found: 4 })), "{short:?}");
}

#[test]
fn a_main_that_takes_its_builtins_as_a_structure_is_wrapped_too() {
    let source = format!(
        "{BINDINGS}
        struct Ids {{ @builtin(local_invocation_index) local: u32, @builtin(global_invocation_id) all: vec3u }}
        @compute @workgroup_size(32) fn main(ids: Ids) {{ result[ids.all.x] = source[ids.all.x] + ids.local; }}"
    );
    let none = format!("{BINDINGS} @compute @workgroup_size(1) fn main() {{ result[0] = 5u; }}");
    let Some(found) = outcome(&source, &[10; 40], 40) else { return };

    let expected: Vec<u32> = (0..40).map(|i| 10 + i % 32).collect();
    assert_eq!(found.unwrap(), expected);
    assert_eq!(outcome(&none, &[1], 1).unwrap().unwrap(), [5]);
}

/// Pieces of kernels, good and bad, from which the property test builds.
const PIECES: [&str; 40] = [
    "loop {",
    "}",
    "{",
    "if id.x > 3u {",
    "else {",
    "break;",
    "continue;",
    "return;",
    "var i = 0u;",
    "i = i + 1u;",
    "result[id.x] = source[id.x];",
    "result[i] = source[result[i]];",
    "while i < 10u {",
    "for (var j = 0u; j < i; j++) {",
    "switch i { case 0u: {",
    "default: {",
    "workgroupBarrier();",
    "let v = vec4f(1.0);",
    "result[0] = u32(v.x);",
    "result[1] = u32(sin(f32(id.x)));",
    "fn other() -> u32 {",
    "return 3u;",
    "i = other();",
    "var a: array<u32, 8>;",
    "a[i] = a[i + 1u];",
    "let p = &a;",
    "(*p)[i] = 3u;",
    "i /= 0u;",
    "i = 1u << 40u;",
    "const c = array(1, 2, 3);",
    "i = u32(c[i]);",
    "(((((((",
    ")))))))",
    "@group(0)",
    "struct S { a: u32 }",
    "discard;",
    "/*",
    "*/",
    "\u{0}",
    "😀",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the text, the gate answers; and what it lets through reads back as WGSL.
    #[test]
    fn no_text_makes_the_gate_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24), inside: bool) {
        let text = pieces.join("\n");
        let source = if inside { kernel("", &text) } else { format!("{BINDINGS}{text}") };
        match admit(&source, WORDS) {
            Ok(admitted) => prop_assert!(naga::front::wgsl::parse_str(&admitted.kernel.wgsl).is_ok()),
            Err(error) => {
                prop_assert!(!error.message.contains("gave up"), "{error}\n{source}");
                prop_assert!(error.line >= 1 && error.column >= 1);
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused_and_not_a_crash() {
    for deep in
        ["(".repeat(20_000), "{".repeat(20_000), "-".repeat(20_000), "array<".repeat(8000), "vec2<".repeat(9000)]
    {
        let found = admit(&kernel("", &format!("var x = {deep}")), WORDS);

        assert!(found.is_err(), "{}", &deep[..8]);
    }
    let nested = format!("{}{}", "if id.x > 1u { ".repeat(100), "}".repeat(100));
    drop(admit(&kernel("", &nested), WORDS));
}
