//! Kernels of customers that devices have stumbled over.

use gate::{Contract, GateError, admit};

use crate::kernels::customers;
use crate::run;

const WORDS: Contract = Contract { record_bytes: 4, out_bytes: 4, fuel: Some(10_000) };

/// A kernel of words: what stands before `main`, and its body.
fn kernel(globals: &str, body: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
{globals}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
{body}
}}"
    )
}

#[test]
fn kernels_that_devices_stumbled_over_give_right_answers() {
    for customer in customers() {
        let admitted = admit(customer.kernel, customer.contract).unwrap_or_else(|error| panic!("{error}"));
        let input: Vec<u32> = bytemuck::pod_collect_to_vec(&customer.input);
        let params: Vec<u32> = bytemuck::pod_collect_to_vec(&customer.params);
        let sizes = (customer.contract.record_bytes, customer.contract.out_bytes);
        let Some(found) = run(&admitted, &params, &input, sizes) else { return };

        customer.check(bytemuck::cast_slice(&found));
    }
}

/// What a kernel answers to a word.
type Answer = fn(u32) -> u32;

const PARTS: &str = "
struct Inner { words: array<u32, 4>, pair: vec2u }
struct Outer { first: u32, inner: array<Inner, 2> }
var<private> kept: Outer;
fn bump(x: ptr<function, u32>, by: u32) -> u32 { let before = *x; *x += by; return before; }
fn bump_kept(x: ptr<private, u32>, by: u32) { *x += by; }
fn only_reads(x: ptr<function, array<u32, 4>>, at: u32) -> u32 { return (*x)[at]; }
fn deeper(inner: ptr<function, Inner>, at: u32) { bump(&(*inner).words[at], 7u); (*inner).pair.y += 1u; }
fn both(a: ptr<function, u32>, b: ptr<function, u32>) { let c = *a; *a = *b; *b = c; }
fn twice(a: ptr<function, u32>, b: ptr<function, u32>) -> u32 { return *a * *b; }
fn next(at: ptr<function, u32>) -> u32 { *at += 1u; return *at; }
";

#[test]
fn a_part_of_a_variable_can_be_handed_to_a_function() {
    let cases: [(&str, Answer); 8] = [
        ("var o: Outer; o.first = x; bump(&o.first, 5u); result[id.x] = o.first;", |x| x + 5),
        ("var o: Outer; o.first = x; let before = bump(&o.first, 5u); result[id.x] = before * 100u + o.first;", |x| {
            x * 100 + x + 5
        }),
        (
            "var o: Outer; deeper(&o.inner[1], x % 4u); let w = o.inner[1].words;
          result[id.x] = w[x % 4u] * 10u + o.inner[1].pair.y + o.inner[0].pair.y;",
            |_| 71,
        ),
        ("var o: Outer; o.inner[0].words[2] = x; result[id.x] = only_reads(&o.inner[0].words, 2u);", |x| x),
        ("var a = array(x, 2u); var b = array(3u, 4u); both(&a[1], &b[0]); result[id.x] = a[1] * 10u + b[0];", |_| 32),
        ("var a = array(x, 2u); result[id.x] = twice(&a[0], &a[1]);", |x| 2 * x),
        // The place is settled before the call, and asked for once.
        (
            "var at = 0u; var a = array(1u, x, 3u, 4u); bump(&a[next(&at)], 100u); result[id.x] = a[1] * 10u + at;",
            |x| (x + 100) * 10 + 1,
        ),
        (
            "var a = array(0u, 0u); for (var i = 0u; i < 10u; i++) { let p = &a[i % 2u]; bump(p, i); }
          result[id.x] = a[0] * 100u + a[1];",
            |_| 2025,
        ),
    ];
    let input: Vec<u32> = (0..70).collect();
    for (body, answer) in cases {
        let source = kernel(PARTS, &format!("let x = source[id.x]; {body}"));
        let admitted = admit(&source, WORDS).unwrap_or_else(|error| panic!("{error}: {body}"));
        let Some(found) = run(&admitted, &[], &input, (4, 4)) else { return };

        assert_eq!(found, input.iter().map(|&x| answer(x)).collect::<Vec<_>>(), "{body}");
    }
}

#[track_caller]
fn check_refusal(source: &str, line: u32, says: &str) {
    let error: GateError = admit(source, WORDS).expect_err("the kernel should be refused");

    assert!(error.message.contains(says), "{error}");
    assert_eq!(error.line, line, "{error}");
}

#[test]
fn arguments_that_reach_the_same_memory_are_refused() {
    let globals = PARTS.replace('\n', " ");
    let says = |how: &str, callee: &str| format!("{how} to '{callee}'");
    let twice = says("'a' is passed twice", "both");
    check_refusal(&kernel(&globals, "var a = array(1u, 2u); both(&a[0], &a[1]);"), 5, &twice);
    check_refusal(&kernel(&globals, "\nvar a = 1u; both(&a, &a);"), 6, &twice);
    let own = "var<private> count: u32; fn own(x: ptr<private, u32>) { *x += count; }";
    check_refusal(&kernel(own, "own(&count);"), 5, "also uses it by name");
    let through = format!("{own} fn outer(x: ptr<private, u32>) {{ own(x); }}");
    check_refusal(&kernel(&through, "outer(&count);"), 5, "also uses it by name");
    check_refusal(&kernel(&globals, "bump_kept(&kept.first, 1u);"), 5, "a part of the private 'kept' is passed");
}

#[test]
fn a_part_too_large_to_copy_is_refused() {
    let globals = "struct Big { head: u32, words: array<u32, 1500> } fn look(w: ptr<function, array<u32, 1500>>) -> u32 { return (*w)[3]; }";

    check_refusal(&kernel(globals, "var b: Big; result[id.x] = look(&b.words);"), 5, "with a copy of this part");
}

#[test]
fn what_nests_too_deep_for_some_device_is_refused() {
    let types: Vec<String> = (1..20).map(|i| format!("struct T{i} {{ a: T{} }}", i - 1)).collect();
    let types = format!("struct T0 {{ a: u32 }} {}", types.join(" "));
    check_refusal(&kernel(&types, "var t: T19; result[id.x] = 1u;"), 3, "types lie more than 15 deep");
    let calls: Vec<String> = (1..100).map(|i| format!("fn f{i}() {{ f{}(); }}", i - 1)).collect();
    let calls = calls.join(" ");
    check_refusal(
        &kernel(&format!("fn f0() {{}} {calls}"), "f99();"),
        3,
        "functions call one another more than 64 deep",
    );
    let blocks = format!("{}{}", "if id.x > 1u { ".repeat(70), "}".repeat(70));
    check_refusal(&kernel("", &blocks), 5, "blocks lie more than 60 deep");
    let loops = format!("{}{}", "loop { ".repeat(40), "}".repeat(40));
    check_refusal(&kernel("", &loops), 5, "blocks lie more than 60 deep");
}

#[test]
fn long_chains_are_written_in_steps() {
    let source = kernel("", &format!("let x = source[id.x]; result[id.x] = x{};", " + x".repeat(3000)));
    let admitted = admit(&source, WORDS).unwrap();
    let deepest = admitted.kernel.wgsl.chars().scan(0i32, |depth, c| {
        *depth += i32::from(c == '(') - i32::from(c == ')');
        Some(*depth)
    });
    assert!(deepest.max().unwrap_or(0) < 40, "{}", admitted.kernel.wgsl);
    let Some(found) = run(&admitted, &[], &[1, 2, 3], (4, 4)) else { return };

    assert_eq!(found, [3001, 6002, 9003]);
}
