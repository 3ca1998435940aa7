//! What the gate writes means what the customer wrote: layouts, numbers, deep expressions.

use gate::{Contract, admit};
use naga::{Expression, Literal, TypeInner};
use proptest::prelude::*;

use crate::run;

/// A type of WGSL that memory may hold, by the rules of the language alone.
#[derive(Clone, Debug)]
enum Shape {
    Scalar(&'static str),
    Vector(&'static str, u32),
    /// Columns and rows.
    Matrix(u32, u32),
    Array(Box<Self>, u32),
    Struct(Vec<Member>),
}

#[derive(Clone, Debug)]
struct Member {
    shape: Shape,
    /// `@align`, as a power of two above the type's own.
    align: Option<u32>,
    /// `@size`, in bytes above the type's own.
    extra: Option<u32>,
}

fn up(bytes: u32, to: u32) -> u32 {
    bytes.div_ceil(to) * to
}

fn align_of_column(rows: u32) -> u32 {
    if rows == 2 { 8 } else { 16 }
}

/// <https://www.w3.org/TR/WGSL/#alignment-and-size>
impl Shape {
    fn align(&self) -> u32 {
        match self {
            Self::Scalar(_) => 4,
            Self::Vector(_, size) | Self::Matrix(_, size) => {
                if *size == 2 {
                    8
                } else {
                    16
                }
            }
            Self::Array(element, _) => element.align(),
            Self::Struct(members) => members.iter().map(Member::align).max().unwrap_or(1),
        }
    }

    fn size(&self) -> u32 {
        match self {
            Self::Scalar(_) => 4,
            Self::Vector(_, size) => 4 * size,
            Self::Matrix(columns, rows) => columns * up(4 * rows, align_of_column(*rows)),
            Self::Array(element, len) => len * up(element.size(), element.align()),
            Self::Struct(members) => {
                let end = offsets(members).last().zip(members.last()).map_or(0, |(at, last)| at + last.size());
                up(end, self.align())
            }
        }
    }

    /// Its alignment as its members' types alone have it.
    fn natural_align(&self) -> u32 {
        match self {
            Self::Array(element, _) => element.natural_align(),
            Self::Struct(members) => members.iter().map(|member| member.shape.natural_align()).max().unwrap_or(1),
            Self::Scalar(_) | Self::Vector(..) | Self::Matrix(..) => self.align(),
        }
    }

    /// Whether a structure lies in another, and asks for more room than its types do.
    fn holds_raised(&self) -> bool {
        match self {
            Self::Array(element, _) => element.holds_raised(),
            Self::Struct(members) => members
                .iter()
                .any(|member| member.shape.holds_raised() || member.shape.align() > member.shape.natural_align()),
            Self::Scalar(_) | Self::Vector(..) | Self::Matrix(..) => false,
        }
    }

    /// The words that hold something: where each lies, and how it is read as a `u32`.
    fn leaves(&self, at: u32, path: &str, into: &mut Vec<(u32, String)>) {
        let word = |kind: &str, path: String| if kind == "u32" { path } else { format!("bitcast<u32>({path})") };
        match self {
            Self::Scalar(kind) => into.push((at, word(kind, path.to_owned()))),
            Self::Vector(kind, size) => {
                into.extend((0..*size).map(|lane| (at + 4 * lane, word(kind, format!("{path}[{lane}]")))));
            }
            Self::Matrix(columns, rows) => {
                let stride = up(4 * rows, align_of_column(*rows));
                let cells = (0..*columns).flat_map(|column| (0..*rows).map(move |row| (column, row)));
                into.extend(cells.map(|(c, r)| (at + c * stride + 4 * r, format!("bitcast<u32>({path}[{c}][{r}])"))));
            }
            Self::Array(element, len) => {
                let stride = up(element.size(), element.align());
                (0..*len).for_each(|index| element.leaves(at + index * stride, &format!("{path}[{index}]"), into));
            }
            Self::Struct(members) => {
                for (index, (member, offset)) in members.iter().zip(offsets(members)).enumerate() {
                    member.shape.leaves(at + offset, &format!("{path}.m{index}"), into);
                }
            }
        }
    }

    /// The type as WGSL names it; structures are declared in `declared`, those that others hold first.
    fn name(&self, declared: &mut Vec<(String, Vec<u32>)>) -> String {
        match self {
            Self::Scalar(kind) => (*kind).to_owned(),
            Self::Vector(kind, size) => format!("vec{size}<{kind}>"),
            Self::Matrix(columns, rows) => format!("mat{columns}x{rows}<f32>"),
            Self::Array(element, len) => format!("array<{}, {len}>", element.name(declared)),
            Self::Struct(members) => {
                let mut text = String::new();
                for (index, member) in members.iter().enumerate() {
                    let align = member.align.map_or(String::new(), |_| format!("@align({}) ", member.align()));
                    let size = member.extra.map_or(String::new(), |_| format!("@size({}) ", member.size()));
                    text.extend([align, size, format!("m{index}: {}, ", member.shape.name(declared))]);
                }
                let name = format!("S{}_", declared.len());
                declared.push((format!("struct {name} {{ {text}}}\n"), offsets(members)));
                name
            }
        }
    }
}

impl Member {
    fn align(&self) -> u32 {
        self.shape.align() << self.align.unwrap_or(0)
    }

    fn size(&self) -> u32 {
        self.shape.size() + self.extra.unwrap_or(0)
    }
}

fn offsets(members: &[Member]) -> Vec<u32> {
    let mut end = 0;
    let place = |member: &Member| {
        let at = up(end, member.align());
        end = at + member.size();
        at
    };
    members.iter().map(place).collect()
}

fn shapes() -> impl Strategy<Value = Shape> {
    let kinds = || prop::sample::select(vec!["u32", "i32", "f32"]);
    let leaf = prop_oneof![
        kinds().prop_map(Shape::Scalar),
        (kinds(), 2..5u32).prop_map(|(kind, size)| Shape::Vector(kind, size)),
        (2..5u32, 2..5u32).prop_map(|(columns, rows)| Shape::Matrix(columns, rows)),
    ];
    let nested = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 1..4u32).prop_map(|(element, len)| Shape::Array(Box::new(element), len)),
            members(inner).prop_map(Shape::Struct),
        ]
    });
    members(nested).prop_map(Shape::Struct)
}

fn members(shape: impl Strategy<Value = Shape>) -> impl Strategy<Value = Vec<Member>> {
    let align = prop::option::weighted(0.3, 0..4u32);
    let extra = prop::option::weighted(0.3, (0..8u32).prop_map(|words| 4 * words));
    let member = (shape, align, extra).prop_map(|(shape, align, extra)| Member { shape, align, extra });
    prop::collection::vec(member, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Every member lies where the language's own rules put it, in the written text and on a device.
    #[test]
    fn structures_keep_their_layout(shape in shapes()) {
        let (mut declared, mut leaves) = (Vec::new(), Vec::new());
        let name = shape.name(&mut declared);
        shape.leaves(0, "source[id.x]", &mut leaves);
        leaves.truncate(512);
        let (record_bytes, out_bytes) = (up(shape.size(), shape.align()), 4 * u32::try_from(leaves.len()).unwrap());
        let texts: String = declared.iter().map(|(text, _)| text.as_str()).collect();
        let reads: Vec<String> = leaves.iter().enumerate()
            .map(|(at, (_, read))| format!("result[id.x * {}u + {at}u] = {read};\n", leaves.len())).collect();
        let source = format!("{texts}@group(0) @binding(0) var<storage, read> source: array<{name}>;
            @group(0) @binding(1) var<storage, read_write> result: array<u32>;
            @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{ {} }}", reads.concat());
        let admitted = admit(&source, Contract { record_bytes, out_bytes, fuel: Some(1000) });
        if shape.holds_raised() {
            prop_assert!(admitted.unwrap_err().message.contains("raised by @align"), "{}", source);
            return Ok(());
        }
        let admitted = admitted
            .map_err(|error| TestCaseError::fail(format!("{error}\n{source}")))?;

        let module = naga::front::wgsl::parse_str(&admitted.kernel.wgsl).unwrap();
        let written = module.types.iter().filter_map(|(_, ty)| match &ty.inner {
            TypeInner::Struct { members, .. } => Some(members.iter().map(|member| member.offset).collect::<Vec<_>>()),
            _ => None,
        });
        prop_assert_eq!(written.collect::<Vec<_>>(), declared.iter().map(|(_, at)| at.clone()).collect::<Vec<_>>());
        // Finite floats, none of them subnormal: they are copied.
        let input: Vec<u32> = (0..3 * record_bytes / 4).map(|at| 0x3f80_0000 + at).collect();
        let Some(found) = run(&admitted, &[], &input, (record_bytes, out_bytes)) else { return Ok(()) };
        let expected = (0..3).flat_map(|record| leaves.iter().map(move |(at, _)| input_word(record, record_bytes, *at)));
        prop_assert_eq!(found, expected.collect::<Vec<_>>(), "{}", source);
    }

    /// A float32 is written as a number that a browser takes, and that reads back as the same one.
    #[test]
    fn constants_keep_their_value(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        check_constant(value, if value.is_subnormal() { 0.0 } else { value });
    }
}

fn input_word(record: u32, record_bytes: u32, at: u32) -> u32 {
    0x3f80_0000 + (record * record_bytes + at) / 4
}

/// The constant stands in what the gate writes as `written`.
#[track_caller]
fn check_constant(value: f32, written: f32) {
    let literal = format!("{:e}f", f64::from(value));
    let source = format!(
        "@group(0) @binding(0) var<storage, read> source: array<f32>;
        @group(0) @binding(1) var<storage, read_write> result: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
            result[id.x] = max(source[id.x], {literal});
        }}"
    );
    let wgsl = admit(&source, Contract { record_bytes: 4, out_bytes: 4, fuel: Some(1) });
    let wgsl = wgsl.expect("a kernel").kernel.wgsl;

    let module = naga::front::wgsl::parse_str(&wgsl).expect("WGSL");
    let functions = module.functions.iter().flat_map(|(_, function)| function.expressions.iter());
    let is_it = |expression: &Expression| matches!(expression, Expression::Literal(Literal::F32(found)) if found.to_bits() == written.to_bits());
    assert!(functions.map(|(_, expression)| expression).any(is_it), "{value:e} in {wgsl}");
    // A browser reads a float64 first, and refuses what lies beyond the largest float32.
    let numbers = wgsl.split(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
    let floats = numbers.filter_map(|word| word.strip_suffix('f')?.parse::<f64>().ok());
    assert!(floats.into_iter().all(|found| found.abs() <= f64::from(f32::MAX)), "{wgsl}");
}

#[test]
fn the_extremes_of_float32_are_written_so_that_a_browser_takes_them() {
    for value in [f32::MAX, f32::MIN, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 0.0, -0.0, 0.1, 1e10] {
        check_constant(value, value);
    }
}

#[test]
fn floats_that_devices_may_take_for_zero_are_written_as_zero() {
    for bits in [1, 2, 0x1234, 0x7f_ffff] {
        check_constant(f32::from_bits(bits), 0.0);
        check_constant(-f32::from_bits(bits), 0.0);
    }
}
