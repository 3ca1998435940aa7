//! Kernels through the gate: a refusal with a place in the text, or a kernel that naga reads, that spends fuel in every
//! loop, and that is the same kernel once more written.

use anyhow::{Context, ensure};
use gate::{AdmittedKernel, Contract};
use naga::back::wgsl::WriterFlags;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Block, Module, Statement};

use crate::draw::Draw;
use crate::{mutate, panics, random_kernel};

/// Kernels that are in use, or that were once answered wrongly.
const SEEDS: [&str; 7] = [
    include_str!("../../../../edge-api/client/examples/map/hash_search.wgsl"),
    include_str!("../../../../edge-api/client/examples/map/option_price.wgsl"),
    include_str!("../../../../edge-api/client/examples/map/sharpen.wgsl"),
    include_str!("../../../../gpu-kernels/gate/tests/kernels/computed_as_it_runs.wgsl"),
    include_str!("../../../../gpu-kernels/gate/tests/kernels/constants.wgsl"),
    include_str!("../../../../gpu-kernels/gate/tests/kernels/layout_of_parameters.wgsl"),
    include_str!("../../../../gpu-kernels/gate/tests/kernels/pointers_to_parts.wgsl"),
];

/// What WGSL has, and what it has not.
const WORDS: [&str; 155] = [
    "loop",
    "for",
    "while",
    "if",
    "else",
    "switch",
    "case",
    "default",
    "break",
    "continue",
    "continuing",
    "return",
    "discard",
    "fn",
    "let",
    "var",
    "const",
    "override",
    "struct",
    "alias",
    "enable",
    "requires",
    "diagnostic",
    "const_assert",
    "true",
    "false",
    "bool",
    "i32",
    "u32",
    "f32",
    "f16",
    "i64",
    "vec2u",
    "vec3f",
    "vec4i",
    "vec2h",
    "mat2x2f",
    "mat3x3f",
    "mat4x2f",
    "array",
    "ptr",
    "atomic",
    "function",
    "private",
    "workgroup",
    "storage",
    "uniform",
    "read",
    "read_write",
    "write",
    "main",
    "id",
    "source",
    "result",
    "x",
    "arrayLength",
    "workgroupBarrier",
    "storageBarrier",
    "workgroupUniformLoad",
    "atomicAdd",
    "textureLoad",
    "texture_2d",
    "sampler",
    "select",
    "bitcast",
    "pack4x8snorm",
    "unpack2x16float",
    "dot4I8Packed",
    "extractBits",
    "insertBits",
    "countOneBits",
    "firstLeadingBit",
    "modf",
    "frexp",
    "ldexp",
    "transpose",
    "determinant",
    "inverse",
    "sin",
    "pow",
    "fma",
    "clamp",
    "smoothstep",
    "quantizeToF16",
    "subgroupAdd",
    "dpdx",
    "any",
    "all",
    "normalize",
    "cross",
    "refract",
    "saturate",
    "degrees",
    "@compute",
    "@workgroup_size",
    "@group",
    "@binding",
    "@builtin",
    "@align",
    "@size",
    "@location",
    "@id",
    "@const",
    "@must_use",
    "@diagnostic",
    "global_invocation_id",
    "local_invocation_index",
    "num_workgroups",
    "subgroup_size",
    "position",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    ",",
    ";",
    ":",
    ".",
    "&",
    "*",
    "->",
    "=",
    "+=",
    "++",
    "--",
    "<<",
    ">>",
    "<<=",
    "&&",
    "||",
    "!",
    "~",
    "-",
    "%",
    "/",
    "0",
    "1u",
    "4294967295u",
    "2147483648",
    "-2147483648i",
    "3.402823466e+38f",
    "1e-45",
    "0x1p-149f",
    "1e39",
    "0x7fffffff",
    "99999999999999999999",
    "_",
    "__x",
    "tessera_fuel",
    "/*",
    "//",
];

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    let (source, contract) = (source(draw), contract(draw));
    draw.show("a kernel", &format!("// {contract:?}\n{source}"));
    let admitted = gate::admit(&source, contract);
    forget_panics_of_naga();
    match admitted {
        Ok(admitted) => {
            draw.is_taken = true;
            check(&source, contract, &admitted)
        }
        Err(error) => {
            let lines = u32::try_from(source.lines().count())?;
            ensure!((1..=lines + 1).contains(&error.line) && error.column >= 1, "{error} is outside of the text");
            ensure!(error.message.len() < 2010, "a refusal of {} bytes", error.message.len());
            Ok(())
        }
    }
}

/// The gate promises that a panic of the compiler's is a refusal. One of its own is a finding all the same.
fn forget_panics_of_naga() {
    for panic in panics::take() {
        if !panic.contains("/naga-") {
            panics::note(panic);
        }
    }
}

pub(crate) fn source(draw: &mut Draw) -> String {
    let source = match draw.below(4) {
        0 => (draw.pick(&SEEDS)).to_owned(),
        1 => deep(draw),
        _ => {
            let len = draw.size(500);
            random_kernel::kernel(&draw.bytes(len))
        }
    };
    match draw.below(4) {
        0 => source,
        1 => String::from_utf8_lossy(&mutate::bytes(draw, source.into_bytes(), &[])).into_owned(),
        _ => mutate::text(draw, &source, &WORDS),
    }
}

/// Something within itself, as often as a text may say it.
fn deep(draw: &mut Draw) -> String {
    const NESTS: [(&str, &str, &str); 16] = [
        ("(", "x", ")"),
        ("{", "", "}"),
        ("-", "1", ""),
        ("!", "true", ""),
        ("array<", "u32", ", 2>"),
        ("vec2(", "1u", ", 1u).x"),
        ("if id.x > 1u {", "", "}"),
        ("loop {", "break;", "}"),
        ("switch id.x { default: {", "", "} }"),
        ("x + ", "1u", ""),
        ("min(x, ", "1u", ")"),
        ("while x < 9u {", "x++;", "}"),
        ("&", "x", ""),
        ("*&", "x", ""),
        ("if true {} else ", "{}", ""),
        ("source[", "0", "]"),
    ];
    let (open, middle, close) = draw.pick(&NESTS);
    let times = draw.size_or_more(200, 3, 8000);
    let text = format!("{}{middle}{}", open.repeat(times), close.repeat(times));
    let before = draw.pick(&["let y = ", "x = ", "var z: ", ""]);
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {{
var x = source[id.x];
{before}{text};
result[id.x] = x;
}}"
    )
}

pub(crate) fn contract(draw: &mut Draw) -> Contract {
    let bytes = |draw: &mut Draw| {
        let usual = draw.pick(&[4, 8, 16, 32, 64]);
        if draw.one_in(8) { u32::try_from(draw.number() >> 32).unwrap_or(0) } else { usual }
    };
    let fuel = match (draw.one_in(2), draw.one_in(8)) {
        (true, _) => None,
        (false, true) => Some(u32::try_from(draw.number() >> 32).unwrap_or(0)),
        (false, false) => Some(1000),
    };
    Contract { record_bytes: bytes(draw), out_bytes: bytes(draw), fuel }
}

fn check(source: &str, contract: Contract, admitted: &AdmittedKernel) -> anyhow::Result<()> {
    let kernel = &admitted.kernel;
    let module = read(&kernel.wgsl).context("what the gate emits")?;
    let [entry] = &module.entry_points[..] else { anyhow::bail!("the gate emits {} mains", module.entry_points.len()) };
    ensure!(entry.workgroup_size == [kernel.workgroup_size, 1, 1], "{:?} is emitted", entry.workgroup_size);
    let mut loops = 0;
    for function in module.functions.iter().map(|(_, function)| function).chain([&entry.function]) {
        count_loops(&function.body, &mut loops)?;
    }
    ensure!(loops == kernel.loop_lines.len(), "{loops} loops are emitted, and {:?} told", kernel.loop_lines);
    let lines = u32::try_from(source.lines().count())?;
    let within = |line: &u32| (1..=lines.max(1)).contains(line);
    ensure!(kernel.loop_lines.iter().all(within), "loops lie at {:?} of {lines} lines", kernel.loop_lines);
    let element: usize = admitted.words.iter().map(|run| run.len).sum();
    let record = usize::try_from(contract.out_bytes / 4)?;
    ensure!(element > 0 && record.is_multiple_of(element), "a record of {record} words is elements of {element}");
    let again = gate::admit(source, contract);
    ensure!(again.as_ref().ok() == Some(admitted), "the same kernel is admitted as {again:?}, after {admitted:?}");
    is_the_same_written_again(module)
}

fn read(wgsl: &str) -> anyhow::Result<Module> {
    let module = naga::front::wgsl::parse_str(wgsl).with_context(|| format!("naga should read\n{wgsl}"))?;
    validate(&module).with_context(|| format!("naga should find valid\n{wgsl}"))?;
    Ok(module)
}

fn validate(module: &Module) -> anyhow::Result<ModuleInfo> {
    Ok(Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32).validate(module)?)
}

/// What the gate emits says the same to whoever reads it, writes it and reads it again.
fn is_the_same_written_again(mut module: Module) -> anyhow::Result<()> {
    let mut texts = Vec::new();
    for _ in 0..3 {
        forget_names(&mut module);
        let info = validate(&module).context("a kernel without names")?;
        let text =
            naga::back::wgsl::write_string(&module, &info, WriterFlags::empty()).context("naga should write it")?;
        module = read(&text)?;
        texts.push(text);
    }
    // At first, what is short-circuited becomes a variable of its own, and what is read gets a name.
    ensure!(texts[1] == texts[2], "it is another kernel each time it is written:\n{}\n{}", texts[1], texts[2]);
    Ok(())
}

/// Each time that a text is written, names that are taken get another end.
fn forget_names(module: &mut Module) {
    module.global_variables.iter_mut().for_each(|(_, global)| global.name = None);
    module.constants.iter_mut().for_each(|(_, constant)| constant.name = None);
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    for function in functions.chain(module.entry_points.iter_mut().map(|entry| &mut entry.function)) {
        function.name = None;
        function.arguments.iter_mut().for_each(|argument| argument.name = None);
        function.local_variables.iter_mut().for_each(|(_, variable)| variable.name = None);
        // What has a name is a statement of its own, without which an expression would be too deep to read.
        function.named_expressions.values_mut().for_each(|name| "step".clone_into(name));
    }
}

/// Every loop begins with a way out: the fuel's.
fn count_loops(block: &Block, loops: &mut usize) -> anyhow::Result<()> {
    for statement in block {
        match statement {
            Statement::Block(inner) => count_loops(inner, loops)?,
            Statement::If { accept, reject, .. } => {
                count_loops(accept, loops)?;
                count_loops(reject, loops)?;
            }
            Statement::Switch { cases, .. } => cases.iter().try_for_each(|case| count_loops(&case.body, loops))?,
            Statement::Loop { body, continuing, .. } => {
                *loops += 1;
                ensure!(has_way_out(body), "a loop does not begin with its fuel but with {:?}", body.first());
                count_loops(body, loops)?;
                count_loops(continuing, loops)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// naga reads `a || b` as a variable that is stored to, one way or the other.
fn has_way_out(body: &Block) -> bool {
    let only_stores =
        |block: &Block| block.iter().all(|inner| matches!(inner, Statement::Emit(_) | Statement::Store { .. }));
    let is_condition = |statement: &&Statement| match statement {
        Statement::Emit(_) | Statement::Store { .. } => true,
        Statement::If { accept, reject, .. } => only_stores(accept) && only_stores(reject),
        _ => false,
    };
    let first = body.iter().find(|statement| !is_condition(statement));
    matches!(first, Some(Statement::If { accept, .. }) if matches!(accept.last(), Some(Statement::Break)))
}
