//! What a newcomer is told, and what is no reason to refuse.

use gate::{Contract, admit};

use crate::run;

const WORDS: Contract = Contract { record_bytes: 4, out_bytes: 4, fuel: None };

/// A kernel of words whose body is line 5, with what stands before `main` in line 3.
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

#[track_caller]
fn check(source: &str, place: (u32, u32), says: &str, code: &str) {
    let error = admit(source, WORDS).expect_err("the kernel should be refused");

    assert!(error.message.contains(says), "{error}");
    assert!(!error.message.contains(['[', '\u{feff}']), "{error}");
    assert_eq!((error.line, error.column), place, "{error}");
    assert_eq!(error.reason().code, code, "{error}");
}

#[test]
fn what_has_no_value_is_refused_where_it_stands() {
    let refused = |body: &str, column: u32, says: &str| check(&kernel("", body), (5, column), says, "no_value");

    refused("result[id.x] = 10u / 0u;", 16, "has no value: Division by zero; use a `var`");
    refused("result[id.x] = source[id.x] / 0u;", 16, "Division by zero");
    refused("result[id.x] = source[id.x] << 32u;", 16, "Shift amount exceeds the bit width;");
    refused("let x = sqrt(-1.0);", 9, "sqrt built-in function argument is out of valid range");
    refused("let x = bitcast<f32>(0x7f800000u);", 9, "infinity or NaN");
    refused("let x = bitcast<f32>(-8388608);", 9, "infinity or NaN");
    refused("let x = bitcast<vec2f>(vec2u(1u, 0x7fc00000u));", 9, "infinity or NaN");
    refused("result[id.x] = extractBits(source[id.x], 30u, 10u);", 16, "more than 32 bits");
    refused("result[id.x] = insertBits(source[id.x], 5u, 30u, 10u);", 16, "more than 32 bits");
    refused("result[id.x] = pack2x16float(vec2f(1e9, 1.0));", 16, "65504");
    refused("let x = unpack2x16float(0x7c00u);", 9, "infinity or NaN");
    refused("let x = unpack2x16float(0xfc010000u);", 9, "infinity or NaN");
    refused("let x = ldexp(1.0, 200);", 9, "above 128");
    admit(&kernel("", "result[id.x] = u32(bitcast<f32>(0x3f800000u)) + extractBits(source[id.x], 30u, 2u) + u32(unpack2x16float(0x3c00bbffu).y);"), WORDS)
        .expect("these have values");
}

#[test]
fn what_is_written_well_and_means_nothing_is_told_in_plain_words() {
    let cases = [
        (
            "",
            "var a = array<u32, 4>(); result[id.x] = a[4];",
            (5, 41),
            "index 4 lies outside; there are 4",
            "index_outside",
        ),
        ("", "let v = vec3u(); result[id.x] = v[3];", (5, 34), "lies outside", "index_outside"),
        ("", "let i = -1; var a = array<u32, 4>(); result[id.x] = a[i];", (5, 53), "below zero", "negative_index"),
        ("", "source[id.x] = 1u;", (5, 1), "'source' can only be read; write to binding 1", "read_only"),
        ("", "let x: f64 = 1.0;", (5, 14), "`f64` is no type", "wide_number"),
        ("", "let x: u64 = 1;", (5, 14), "`u64` is no type", "wide_number"),
        ("", "discard;", (5, 1), "`discard` has no place", "not_independent"),
        ("", "let x = dpdx(1.0);", (5, 9), "a derivative such as dpdx", "not_independent"),
        ("fn f(x: u32) -> u32 { if x > 1u { return 1u; } }", "", (3, 1), "'f' must return a value", "missing_return"),
        ("fn f(x: u32) { discard; }", "f(1u);", (3, 16), "`discard` has no place", "not_independent"),
        (
            "@group(0) @binding(2) var<uniform> p: bool;",
            "",
            (3, 23),
            "'p' holds a bool, which no binding can; use u32",
            "bool_in_binding",
        ),
        (
            "struct P { a: array<f32, 4> } @group(0) @binding(2) var<uniform> p: P;",
            "",
            (3, 53),
            "take multiples of 16 bytes",
            "uniform_layout",
        ),
        ("@group(0) @binding(2) var<storage> p: array<u32>;", "", (3, 23), "must be `var<uniform>`", "binding_kind"),
        ("@group(0) @binding(3) var t: texture_2d<f32>;", "", (3, 23), "'t' is a texture", "texture"),
        (
            "var<workgroup> s: array<u32, 4>; fn f(p: ptr<workgroup, array<u32, 4>>) { (*p)[0] = 1u; }",
            "f(&s);",
            (3, 34),
            "pointers to `function` and `private` variables only",
            "pointer_space",
        ),
        (
            "fn f(p: ptr<function, array<u32, 5>>) -> u32 { return (*p)[0]; }",
            "var a: array<u32, 4>; result[id.x] = f(&a);",
            (5, 38),
            "wrong type passed as argument #1 to `f`",
            "argument_type",
        ),
    ];
    for (globals, body, place, says, code) in cases {
        check(&kernel(globals, body), place, says, code);
    }
}

#[test]
fn bindings_builtins_and_records_of_another_kind_are_told_apart() {
    let plain = kernel("", "result[id.x] = 1u;");
    let writable = plain.replace("read> source", "read_write> source");
    check(&writable, (1, 23), "'source' at binding 0 must be `var<storage, read>`", "binding_kind");
    let subgroup = plain.replace("id: vec3u", "id: vec3u, @builtin(subgroup_size) size: u32");
    check(&subgroup, (4, 89), "subgroup_size is not a builtin", "builtin_not_readable");
    let textures = format!("requires readonly_and_readwrite_storage_textures;\n{plain}");
    check(&textures, (1, 1), "is for textures", "texture");
    let pointers = format!("requires unrestricted_pointer_parameters;\n{plain}");
    check(&pointers, (1, 1), "functions take pointers to", "pointer_space");
    let branches = (0..100).map(|i| format!("if source[id.x] == {i}u {{ result[id.x] = {i}u; }}"));
    let branches = kernel("", &branches.collect::<Vec<_>>().join(" else "));
    let error = admit(&branches, WORDS).unwrap_err();
    assert!(error.message.contains("use a `switch`"), "{error}");
    assert_eq!(error.reason().code, "blocks_too_deep");

    let triples = plain.replace("source: array<u32>", "source: array<vec3u>");
    let error = admit(&triples, Contract { record_bytes: 12, ..WORDS }).unwrap_err();
    assert!(error.message.contains("a vec3 takes 16 bytes in an array"), "{error}");
    assert_eq!(error.reason().code, "vec3_elements");
}

#[test]
fn a_byte_order_mark_and_directives_for_what_all_devices_have_are_skipped() {
    let plain = kernel("", "result[id.x] = dot4U8Packed(source[id.x], 0x01010101u);");
    for before in [
        "\u{feff}",
        "requires packed_4x8_integer_dot_product;",
        "\u{feff}// dots\nrequires packed_4x8_integer_dot_product, pointer_composite_access,\n;",
    ] {
        admit(&format!("{before}{plain}"), WORDS).unwrap_or_else(|error| panic!("{error}: {before}"));
    }
    let error = admit(&format!("\u{feff}requires pointer_composite_access; {plain} x"), WORDS).unwrap_err();
    assert_eq!((error.line, error.column), (6, 3), "{error}");
}

/// What a kernel answers to a word.
type Answer = fn(u32) -> u32;

#[test]
fn what_is_computed_as_the_kernel_runs_may_have_no_value_to_a_compiler() {
    let cases: [(&str, Answer); 8] = [
        ("let n = 40u; result[id.x] = source[id.x] << n;", |x| x << 8),
        ("let n = 0u; let m = n; result[id.x] = source[id.x] / m + source[id.x] % n;", |x| x),
        ("let a = 4294967295u; result[id.x] = source[id.x] + (a + 2u);", |x| x + 1),
        ("let a = 65536u; result[id.x] = source[id.x] + a * 65536u;", |x| x),
        ("let m = i32(-2147483648); result[id.x] = source[id.x] + u32(m / -1) * 0u;", |x| x),
        ("let x = -1.0; result[id.x] = source[id.x] + u32(sqrt(x)) * 0u;", |x| x),
        // A pointer of the same name stays one.
        (
            "let x = -1.0; var v = 2u; if id.x < 9u { let x = &v; *x = 3u; } result[id.x] = v + u32(acos(x)) * 0u;",
            |_| 3,
        ),
        ("let n = 8u; let d = 0u; for (var i = 0u; i < n; i++) { result[id.x] += 1u / d; }", |_| 8),
    ];
    let input = [1, 2, 3, 4];
    for (body, answer) in cases {
        let admitted = admit(&kernel("", body), WORDS).unwrap_or_else(|error| panic!("{error}: {body}"));
        let Some(found) = run(&admitted, &[], &input, (4, 4)) else { return };

        assert_eq!(found, input.map(answer), "{body}");
    }
}

#[test]
fn one_functions_names_are_none_of_anothers() {
    let helper = "fn far() -> f32 { let n = 200; let p = 200; return ldexp(1.0, n) + ldexp(1.0, p); }";
    let cases: [(&str, Answer); 3] = [
        ("var v = 2u; let q = &v; let p = q; *p += 1u; result[id.x] = v + u32(far() * 0.0);", |_| 3),
        ("var v = 2u; let p = (&v); *p += 1u; result[id.x] = v + u32(far() * 0.0);", |_| 3),
        (
            "let n = 64u; for (var i = 0u; i < n; i++) { result[id.x] += 1u; } if id.x > 9u { result[0] = u32(far()); }",
            |_| 64,
        ),
    ];
    for (body, answer) in cases {
        let admitted = admit(&kernel(helper, body), WORDS).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(admitted.fuel_needed.is_some_and(|needed| needed > 0), body.contains("for"), "{body}");
        if let Some(found) = run(&admitted, &[], &[1, 2], (4, 4)).filter(|_| body.contains("for")) {
            assert_eq!(found, [1, 2].map(answer), "{body}");
        }
    }
}

#[test]
fn what_is_computed_from_constants_alone_is_no_constant_to_another_compiler() {
    let cases: [(&str, Answer); 3] = [
        ("result[id.x] = source[id.x] + 10u / bitcast<u32>(0f);", |x| x + 10),
        ("result[id.x] = source[id.x] << extractBits(255u, 0u, 8u);", |x| x << 31),
        ("result[id.x] = source[id.x] + u32(sqrt(mix(-1f, -1f, 0.5f))) * 0u;", |x| x),
    ];
    for (body, answer) in cases {
        let admitted = admit(&kernel("", body), WORDS).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(admitted.kernel.wgsl.contains("let computed"), "{}", admitted.kernel.wgsl);
        let Some(found) = run(&admitted, &[], &[1, 2], (4, 4)) else { return };

        assert_eq!(found, [1, 2].map(answer), "{body}");
    }
}

#[test]
fn long_texts_full_of_lets_are_answered() {
    let chain = (1..1000).map(|n| format!("let a{n} = a{}; ", n - 1)).collect::<Vec<_>>().concat();
    for part in ["let", "let\u{e9}", "/*let"] {
        let comment = format!("/*{}{}", part.repeat(5000), "*/".repeat(part.matches("/*").count() * 5000 + 1));
        let body = format!("{comment} let a0 = 200; {chain} result[id.x] = u32(ldexp(1.0, a0));");

        assert!(admit(&kernel("", &body), WORDS).is_ok(), "{part}");
    }
}

#[test]
fn what_is_wrong_besides_is_told_behind_what_is_computed_as_the_kernel_runs() {
    let source = kernel("", "let n = 40u; result[id.x] = source[id.x] << n;");
    let error = admit(&source, Contract { out_bytes: 6, ..WORDS }).unwrap_err();

    assert_eq!(error.reason().code, "record_size", "{error}");
}

#[test]
fn constants_that_have_values_still_tell_how_often_loops_turn() {
    let body = "let n = 8u; let d = 2u; for (var i = 0u; i < n; i++) { result[id.x] += i / d; }";

    assert!(admit(&kernel("", body), WORDS).unwrap().fuel_needed.is_some());
}

#[test]
fn an_alias_is_the_type_that_it_names() {
    let row = "alias Row = array<u32, 4>; alias Rows = array<Row, 2>; struct S { a: Row } struct T { a: array<u32, 4> }
        fn one(row: ptr<function, Row>) -> u32 { return (*row)[1]; }
        fn two(rows: ptr<function, array<array<u32, 4>, 2>>) -> u32 { return (*rows)[1][1]; }";
    for body in [
        "var a: array<u32, 4>; a[1] = source[id.x]; result[id.x] = one(&a);",
        "var a: Rows; a[1][1] = source[id.x]; result[id.x] = two(&a);",
        "var a: S; a.a[1] = source[id.x]; var b: array<u32, 4> = a.a; result[id.x] = one(&b);",
    ] {
        let admitted = admit(&kernel(&row.replace('\n', " "), body), WORDS).unwrap_or_else(|error| panic!("{error}"));
        let Some(found) = run(&admitted, &[], &[7, 8], (4, 4)) else { return };

        assert_eq!(found, [7, 8], "{body}");
    }
    let apart = kernel(&row.replace('\n', " "), "var a: S; var b: T; b = a;");
    assert!(admit(&apart, WORDS).is_err(), "structures are what their names say");
}

#[test]
fn a_continue_skips_no_let_that_continuing_reads() {
    let body = |skip: &str| {
        format!(
            "var i = 0u; var x = 0u; loop {{ if i > 20u {{ break; }} {skip}
let a = source[i]; continuing {{ x += a; i += 1u; }} }} result[id.x] = x;"
        )
    };
    check(&kernel("", &body("if i == 3u { continue; }")), (6, 9), "a `continue` skips this `let`", "skipped_let");
    admit(&kernel("", &body("if i == 3u { x += 1u; }")), WORDS).expect("nothing skips it");
}

#[test]
fn what_would_take_long_to_read_again_is_refused() {
    let sines = vec!["sin(f)"; 8000].join("+");
    let long = kernel("", &format!("var f = 1.0; f = {sines}; result[id.x] = u32(f);"));
    let loops = kernel("", &"loop{}".repeat(9000));
    for source in [long, loops] {
        let error = admit(&source, WORDS).expect_err("it should be too much");
        assert_eq!(error.reason().code, "too_much_written", "{error}");
    }
}

#[test]
fn a_let_that_points_stays_one_whatever_else_has_its_name() {
    let body = "{ const c = 200; let m = c; let y = ldexp(1.0, m); }
        { var v = 1u; let c = &v; let n = c; *n = 2u; result[id.x] = v; }";
    let error = admit(&kernel("", body), WORDS).err();
    assert!(error.as_ref().is_none_or(|error| error.reason().code == "no_value"), "{error:?}");
}
