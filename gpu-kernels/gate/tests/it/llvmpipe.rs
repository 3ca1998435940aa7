//! Kernels that Mesa's Vulkan on processors would get wrong without a word.

use std::ops::ControlFlow;

use gate::{Contract, Driver, FUEL_MAX, admit, admit_on};
use gpu_kernels::customer_kernel::session::{MapError, MapSession, Records};
use gpu_kernels::device::Device;

use crate::gpu;

const WORDS: Contract = Contract { record_bytes: 4, out_bytes: 4, fuel: Some(FUEL_MAX) };

fn kernel(globals: &str, body: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<u32>;
        @group(0) @binding(1) var<storage, read_write> result: array<u32>;
        {globals}
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3u) {{ let given = source[id.x]; var x = 0u; {body} result[id.x] = x; }}"
    )
}

/// The words of records that say 0, 1, 2 and so on, on the device under test as its driver takes the kernel.
fn run(source: &str, count: u32) -> Option<Result<Vec<u32>, MapError>> {
    let Some(Device::Gpu(device)) = gpu() else { return None };
    let admitted = admit_on(source, WORDS, device.driver()).unwrap_or_else(|error| panic!("{error}"));
    let input: Vec<u32> = (0..count).collect();
    let records = Records { records: u64::from(count), tile: u64::from(count), record_bytes: 4, out_bytes: 4 };
    let ran = pollster::block_on(async {
        let limit = gpu_kernels::device::budget::NATIVE;
        let mut session = MapSession::new(&device, admitted.kernel, &[], limit).await?;
        session.run(&device, records, bytemuck::cast_slice(&input), async |_| ControlFlow::Continue(())).await
    });
    Some(ran.map(|output| bytemuck::pod_collect_to_vec(&output.records)))
}

#[test]
fn loops_are_right_or_the_device_says_that_it_cannot() {
    let nested = "for (var i = 0u; i < 300u; i++) { for (var j = 0u; j < 300u; j++) { x += 1u; } }";
    let of_records =
        "for (var i = 0u; i < 40u; i++) { for (var j = 0u; j < 900u * ((given + i) % 8u); j++) { x += 1u; } }";
    let broken =
        "loop { if x == 50000u { break; } x++; } for (var i = 0u; i < 40000u; i++) { if i == 39000u { break; } x++; }";
    let until = "var i = 0u; loop { x++; i++; continuing { break if i == 30000u; } }
        i = 0u; loop { x++; i++; continuing { break if i == 40000u; } }";
    let called = kernel(
        "fn count(most: u32) -> u32 { var n = 0u; for (var i = 0u; i < most; i++) { n++; } return n; }",
        "x = count(60000u) + count(30000u);",
    );
    let returned = kernel(
        "fn first(most: u32) -> u32 { for (var i = 0u; i < 60000u; i++) { if i == most { return i; } } return 7u; }",
        "x = first(50000u + given) + first(20000u);",
    );
    // As the Game of Life counts neighbours: all short turns written out, and what is skipped in a branch.
    let neighbours = "for (var at = 0u; at < 9000u; at++) { var near = 0u;
        for (var dy = -1; dy <= 1; dy++) { for (var dx = -1; dx <= 1; dx++) {
            if dx == 0 && dy == 0 { continue; }
            near += u32(dx + 2 * dy + 4); } }
        x += near / 4u; }";
    let skipped = "for (var i = 0u; i < 300u; i++) { for (var j = 0u; j < 300u; j++) {
        if j % 2u == 0u { if j % 3u == 0u { x += 1u; } continue; } if j == 299u { x += 5u; continue; } x += 2u; } }";
    let kernels = [
        (kernel("", neighbours), [72_000; 3]),
        (kernel("", skipped), [300 * (50 + 2 * 149 + 5); 3]),
        (kernel("", nested), [90_000; 3]),
        (kernel("", broken), [89_000; 3]),
        (kernel("", until), [70_000; 3]),
        (called, [90_000; 3]),
        (returned, [70_000, 70_001, 70_002]),
        (kernel("", of_records), [126_000; 3]),
    ];
    for (source, expected) in kernels {
        let Some(found) = run(&source, 100) else { return };

        match found {
            Ok(words) => assert_eq!(words[..3], expected, "{source}"),
            // Written several times in a row, the others turn seldom enough.
            Err(error) => assert!(error == MapError::Cut && source.contains("break if"), "{error}: {source}"),
        }
    }
}

#[test]
fn what_turns_seldom_enough_is_computed_with_every_kind_of_loop() {
    let source = kernel(
        "fn first(most: u32) -> u32 { for (var i = 0u; i < 600u; i++) { if i == most { return i; } } return 7u; }",
        "for (var i = 0u; i < 9u; i++) { if i == given { continue; } switch i { case 3u { break; } default { x += 1u; } }
            loop { x += 2u; if x % 5u == 0u { break; } continuing { break if x % 3u == 0u; } }
            while x % 7u != 0u { x += 1u; } }
        x += first(given);",
    );
    let Some(found) = run(&source, 12) else { return };

    let expected = (0..12u32).map(|given| {
        let mut x = 0;
        for i in (0..9).filter(|i| *i != given) {
            x += u32::from(i != 3);
            loop {
                x += 2;
                if x % 5 == 0 || x % 3 == 0 {
                    break;
                }
            }
            x = x.next_multiple_of(7);
        }
        x + given
    });
    assert_eq!(found.unwrap(), expected.collect::<Vec<_>>());
}

#[test]
fn conditions_that_the_driver_would_forget_are_refused_there_alone() {
    let cases = |count: u32| {
        let cases: Vec<String> = (0..count).map(|i| format!("case {i}u {{ x = {}u; }}\n", i * 7 + 1)).collect();
        let cases = cases.concat();
        kernel("", &format!("switch given {{ {cases} default {{ x = 5u; }} }}"))
    };
    let returns = |count: u32| {
        let lines: Vec<String> = (0..count).map(|i| format!("if x == {i}u {{ return {}u; }}\n", i + 100)).collect();
        let lines = lines.concat();
        kernel(&format!("fn code(x: u32) -> u32 {{ {lines} return 3u; }}"), "x = code(given);")
    };
    for (source, deep) in [(cases(60), false), (cases(128), true), (returns(50), false), (returns(100), true)] {
        admit(&source, WORDS).unwrap_or_else(|error| panic!("{error}"));
        let on_llvmpipe = admit_on(&source, WORDS, Driver::Llvmpipe);

        let says = on_llvmpipe.err().map(|error| error.message);
        assert_eq!(says.is_some(), deep, "{says:?}");
        assert!(says.is_none_or(|says| says.starts_with("conditions lie 1")), "it should be told how deep");
    }
    let Some(found) = run(&cases(60), 100) else { return };
    assert_eq!(found.unwrap(), (0..100).map(|i| if i < 60 { i * 7 + 1 } else { 5 }).collect::<Vec<u32>>());
    let found = run(&returns(50), 100).expect("a device").unwrap();
    assert_eq!(found, (0..100).map(|i| if i < 50 { i + 100 } else { 3 }).collect::<Vec<u32>>());
}

#[test]
fn arrays_that_it_would_compile_for_minutes_are_refused_there_alone() {
    let private = kernel("var<private> many: array<u32, 2000>;", "many[given] = 1u; x = many[given + 1u];");
    let table =
        kernel(&format!("const TABLE = array<u32, 1100>({});", vec!["3u"; 1100].join(", ")), "x = TABLE[given];");
    let local = kernel("", "var many: array<vec4u, 300>; many[given].y = 1u; x = many[given + 1u].x;");
    for source in [private, table, local] {
        admit(&source, WORDS).unwrap_or_else(|error| panic!("{error}"));
        let error = admit_on(&source, WORDS, Driver::Llvmpipe).expect_err("it would take minutes");

        assert!(error.message.contains("words takes this device's driver, llvmpipe, minutes"), "{error}");
    }
}

#[test]
fn a_loop_that_nobody_comes_to_takes_no_fuel_of_others() {
    let dead = kernel(
        "fn heavy(x: u32) -> u32 { return (x * 3u + 1u) ^ (x >> 3u) ^ (x << 5u) ^ (x * 77u) ^ (x % 9u) ^ (x / 7u); }",
        "for (var i = 0u; i < given; i++) { x += 1u; continue; for (var q = 0u; q < 3u; q++) { x += 2u; } }
        for (var j = 0u; j < 40u; j++) { x = heavy(heavy(x)); }",
    );
    let used = |driver| {
        let Some(Device::Gpu(device)) = gpu() else { return None };
        let admitted = admit_on(&dead, WORDS, driver).unwrap_or_else(|error| panic!("{error}"));
        let records = Records { records: 8, tile: 8, record_bytes: 4, out_bytes: 4 };
        let ran = pollster::block_on(async {
            let limit = gpu_kernels::device::budget::NATIVE;
            let mut session = MapSession::new(&device, admitted.kernel, &[], limit).await?;
            session
                .run(&device, records, bytemuck::cast_slice(&[0u32, 1, 2, 3, 4, 5, 6, 7]), async |_| {
                    ControlFlow::Continue(())
                })
                .await
        });
        let output = ran.unwrap_or_else(|error| panic!("{error}"));
        Some((output.fuel_used, output.records))
    };
    assert_eq!(used(Driver::Any), used(Driver::Llvmpipe));
}
