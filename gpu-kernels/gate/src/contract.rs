//! What a kernel may be made of.

use naga::valid::ModuleInfo;
use naga::{
    AddressSpace, ArraySize, Block, BuiltIn, Expression, Function, GlobalVariable, Handle, Module, ScalarKind,
    ShaderStage, Span, Statement, StorageAccess, Type, TypeInner, VectorSize,
};

use gpu_kernels::dtype::DType;
use gpu_kernels::number::to;
use gpu_kernels::records::Column;

use crate::error::GateError;

/// Invocations a workgroup that the smallest device class takes.
const WORKGROUP_MAX: u32 = 256;
/// Bytes that a workgroup shares, likewise.
const WORKGROUP_BYTES_MAX: u32 = 16_384;
/// Bytes of a function's variables, and of all private ones together.
pub(super) const LOCAL_BYTES_MAX: u32 = 8192;
const PARAMS_BYTES_MAX: u32 = 16_384;
const RECORD_BYTES_MAX: u32 = 16 << 20;

/// Most fuel of a record: a lane of the smallest device spends it within a dispatch's budget.
pub const FUEL_MAX: u32 = 10_000_000;

/// What a job says of its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Size of an input record, in bytes: a multiple of four.
    pub record_bytes: u32,
    /// Size of an output record, in bytes: a multiple of four.
    pub out_bytes: u32,
    /// Operations that the loops of one record may take together; what they need at most where nobody says, or
    /// [`FUEL_UNSTATED`](crate::FUEL_UNSTATED) where that cannot be told.
    pub fuel: Option<u32>,
}

/// What the host needs to know.
pub(super) struct Facts {
    pub workgroup_size: u32,
    pub params_bytes: Option<u32>,
    pub words: Vec<Column>,
    pub floats: bool,
}

pub(super) fn check(source: &str, module: &Module, info: &ModuleInfo, contract: Contract) -> Result<Facts, GateError> {
    let refuse = |span: Span, message: String| Err(GateError::at(source, span, message));
    let [entry] = &module.entry_points[..] else {
        let message = format!("there are {} entry points; expected one, `@compute fn main`", module.entry_points.len());
        return refuse(Span::UNDEFINED, message);
    };
    let at_main = entry_span(source, &entry.name);
    if entry.stage != ShaderStage::Compute || entry.name != "main" {
        return refuse(at_main, format!("the entry point is '{}'; expected `@compute fn main`", entry.name));
    }
    let [x, y, z] = entry.workgroup_size;
    if y != 1 || z != 1 || x == 0 || x > WORKGROUP_MAX {
        let message = format!(
            "the workgroup is {x} by {y} by {z}; records lie along x: @workgroup_size(n) with n from 1 to {WORKGROUP_MAX}"
        );
        return refuse(at_main, message);
    }
    if let Some((handle, constant)) = module.overrides.iter().next() {
        let name = constant.name.as_deref().unwrap_or_default();
        let span = module.overrides.get_span(handle);
        return refuse(span, format!("'{name}' is an override; use a const, or a parameter at binding 2"));
    }
    for bytes in [contract.record_bytes, contract.out_bytes] {
        if bytes == 0 || !bytes.is_multiple_of(4) || bytes > RECORD_BYTES_MAX {
            let message = format!("a record of {bytes} bytes; expected a multiple of 4, at most {RECORD_BYTES_MAX}");
            return refuse(Span::UNDEFINED, message);
        }
    }
    let globals = Globals::check(source, module, contract)?;
    let functions = module.functions.iter().map(|(_, function)| function).chain([&entry.function]);
    let mut floats = false;
    for function in functions {
        check_function(source, module, function)?;
    }
    for (handle, function) in module.functions.iter() {
        floats |= uses_floats(module, function, &info[handle]);
    }
    floats |= uses_floats(module, &entry.function, info.get_entry_point(0));
    Ok(Facts { workgroup_size: x, params_bytes: globals.params_bytes, words: globals.words, floats })
}

/// The span of a function's name in the text; naga keeps none for entry points.
pub(super) fn entry_span(source: &str, name: &str) -> Span {
    let place = source.find(&format!("fn {name}")).and_then(|at| u32::try_from(at).ok());
    place.map_or(Span::UNDEFINED, |at| Span::new(at, at + 3 + to::<u32, _>(name.len())))
}

struct Globals {
    params_bytes: Option<u32>,
    words: Vec<Column>,
}

impl Globals {
    fn check(source: &str, module: &Module, contract: Contract) -> Result<Self, GateError> {
        let (mut params_bytes, mut output) = (None, None);
        // Bytes of all variables of a kind, and the span of the last one.
        let (mut shared, mut private) = ((0u32, Span::UNDEFINED), (0u32, Span::UNDEFINED));
        for (handle, global) in module.global_variables.iter() {
            let span = module.global_variables.get_span(handle);
            let refuse = |message: String| Err(GateError::at(source, span, message));
            let size = module.types[global.ty].inner.size(module.to_ctx());
            let name = global.name.as_deref().unwrap_or_default();
            match (global.space, global.binding.map(|binding| (binding.group, binding.binding))) {
                (AddressSpace::Storage { access }, Some((0, 0))) if access == StorageAccess::LOAD => {
                    check_records(source, module, global, span, contract.record_bytes, "an input record")?;
                }
                (AddressSpace::Storage { access }, Some((0, 1)))
                    if access == StorageAccess::LOAD | StorageAccess::STORE =>
                {
                    output = Some(check_records(source, module, global, span, contract.out_bytes, "an output record")?);
                }
                (AddressSpace::Uniform, Some((0, 2))) => {
                    if size > PARAMS_BYTES_MAX {
                        return refuse(format!("the parameters take {size} bytes; at most {PARAMS_BYTES_MAX}"));
                    }
                    params_bytes = Some(size);
                }
                (AddressSpace::WorkGroup, None) => shared = (shared.0.saturating_add(size), span),
                (AddressSpace::Private, None) => private = (private.0.saturating_add(size), span),
                _ if matches!(module.types[global.ty].inner, TypeInner::Image { .. } | TypeInner::Sampler { .. }) => {
                    return refuse(format!(
                        "'{name}' is a texture or a sampler; a kernel has records and parameters: put what it reads into \
                         the records"
                    ));
                }
                (_, Some((0, binding @ 0..=2))) => {
                    let kind = ["<storage, read>", "<storage, read_write>", "<uniform>"][binding as usize];
                    return refuse(format!("'{name}' at binding {binding} must be `var{kind}`"));
                }
                _ => {
                    return refuse(format!(
                        "'{name}' is none of what a kernel may have: binding 0 `var<storage, read>`, binding 1 `var<storage, read_write>`, binding 2 `var<uniform>`, all in group 0, and `private` and `workgroup` variables"
                    ));
                }
            }
            if contains_atomic(module, global.ty) {
                return refuse(format!(
                    "'{name}' is atomic; records are independent, and an order of devices is no result"
                ));
            }
        }
        for ((bytes, span), most, what) in
            [(shared, WORKGROUP_BYTES_MAX, "workgroup variables"), (private, LOCAL_BYTES_MAX, "private variables")]
        {
            if bytes > most {
                return Err(GateError::at(source, span, format!("the {what} take {bytes} bytes; at most {most}")));
            }
        }
        let Some((element, words)) = output else {
            let message = "there is no `@group(0) @binding(1) var<storage, read_write>` for the output records";
            return Err(GateError::at(source, Span::UNDEFINED, message));
        };
        let mut of_element = vec![DType::U32; words];
        mark_words(module, element, 0, &mut of_element);
        // A record may be several elements: the pattern repeats.
        let runs = of_element.chunk_by(|a, b| a == b);
        let words = runs.map(|run| Column { dtype: run[0], len: run.len() }).collect();
        Ok(Self { params_bytes, words })
    }
}

/// An array whose elements make whole records: its element's type and words.
fn check_records(
    source: &str,
    module: &Module,
    global: &GlobalVariable,
    span: Span,
    bytes: u32,
    what: &str,
) -> Result<(Handle<Type>, usize), GateError> {
    let TypeInner::Array { base, size: ArraySize::Dynamic, stride } = module.types[global.ty].inner else {
        let name = global.name.as_deref().unwrap_or_default();
        return Err(GateError::at(source, span, format!("'{name}' must be an array without a length: array<T>")));
    };
    if !bytes.is_multiple_of(stride) {
        let room = match module.types[base].inner {
            TypeInner::Vector { size: VectorSize::Tri, .. } => {
                ": a vec3 takes 16 bytes in an array; say 16 bytes a record, or take the numbers one by one"
            }
            _ => "",
        };
        let message =
            format!("{what} has {bytes} bytes, which is not a whole number of elements of {stride} bytes{room}");
        return Err(GateError::at(source, span, message));
    }
    Ok((base, to(stride / 4)))
}

fn contains_atomic(module: &Module, ty: Handle<Type>) -> bool {
    match &module.types[ty].inner {
        TypeInner::Atomic(_) => true,
        TypeInner::Array { base, .. } => contains_atomic(module, *base),
        TypeInner::Struct { members, .. } => members.iter().any(|member| contains_atomic(module, member.ty)),
        _ => false,
    }
}

/// Marks the words of a type, laid at word `at`, that are no unsigned integers.
fn mark_words(module: &Module, ty: Handle<Type>, at: usize, words: &mut [DType]) {
    let step = |bytes: u32| to::<usize, _>(bytes / 4);
    let mut mark = |at: usize, kind: ScalarKind| {
        if let Some(word) = words.get_mut(at) {
            *word = match kind {
                ScalarKind::Float | ScalarKind::AbstractFloat => DType::F32,
                ScalarKind::Sint | ScalarKind::AbstractInt => DType::I32,
                ScalarKind::Uint | ScalarKind::Bool => DType::U32,
            };
        }
    };
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar) => mark(at, scalar.kind),
        TypeInner::Vector { size, scalar } => {
            (0..*size as usize).for_each(|lane| mark(at + lane, scalar.kind));
        }
        TypeInner::Matrix { columns, rows, .. } => {
            // A column of three takes the room of four.
            let stride = if *rows as usize == 2 { 2 } else { 4 };
            for column in 0..*columns as usize {
                (0..*rows as usize).for_each(|row| mark(at + column * stride + row, ScalarKind::Float));
            }
        }
        TypeInner::Array { base, size: ArraySize::Constant(len), stride } => {
            for index in 0..len.get() as usize {
                mark_words(module, *base, at + index * step(*stride), words);
            }
        }
        TypeInner::Struct { members, .. } => {
            for member in members {
                mark_words(module, member.ty, at + step(member.offset), words);
            }
        }
        _ => {}
    }
}

fn check_function(source: &str, module: &Module, function: &Function) -> Result<(), GateError> {
    let mut bytes = 0u32;
    for (_, variable) in function.local_variables.iter() {
        bytes = bytes.saturating_add(module.types[variable.ty].inner.size(module.to_ctx()));
    }
    if bytes > LOCAL_BYTES_MAX {
        let span = function
            .local_variables
            .iter()
            .next()
            .map_or(Span::UNDEFINED, |(handle, _)| function.local_variables.get_span(handle));
        let name = function.name.as_deref().unwrap_or_default();
        let message = format!("the variables of '{name}' take {bytes} bytes; at most {LOCAL_BYTES_MAX}");
        return Err(GateError::at(source, span, message));
    }
    for argument in &function.arguments {
        if let Some(naga::Binding::BuiltIn(built_in)) = &argument.binding
            && !is_known(*built_in)
        {
            let message = format!("{built_in:?} is not a builtin that a kernel may read");
            return Err(GateError::at(source, entry_span(source, "main"), message));
        }
    }
    check_operations(source, function)
}

/// Refuses what no kernel of records computes.
pub(super) fn check_operations(source: &str, function: &Function) -> Result<(), GateError> {
    check_block(source, &function.body)?;
    for (handle, expression) in function.expressions.iter() {
        let forbidden = match expression {
            Expression::ImageSample { .. } | Expression::ImageLoad { .. } | Expression::ImageQuery { .. } => {
                "a texture"
            }
            Expression::Derivative { .. } => "a derivative such as dpdx",
            Expression::AtomicResult { .. } => "an atomic",
            Expression::SubgroupBallotResult | Expression::SubgroupOperationResult { .. } => "a subgroup operation",
            Expression::Override(_) => "an override",
            _ => continue,
        };
        let span = function.expressions.get_span(handle);
        return Err(GateError::at(
            source,
            span,
            format!("{forbidden} has no place in a kernel of independent records"),
        ));
    }
    Ok(())
}

fn is_known(built_in: BuiltIn) -> bool {
    matches!(
        built_in,
        BuiltIn::GlobalInvocationId
            | BuiltIn::LocalInvocationId
            | BuiltIn::LocalInvocationIndex
            | BuiltIn::WorkGroupId
            | BuiltIn::NumWorkGroups
    )
}

/// Refuses statements that no kernel of records needs; instrumenting knows all others.
fn check_block(source: &str, block: &Block) -> Result<(), GateError> {
    for (statement, span) in block.span_iter() {
        let forbidden = match statement {
            Statement::Block(inner) => {
                check_block(source, inner)?;
                continue;
            }
            Statement::If { accept, reject, .. } => {
                check_block(source, accept)?;
                check_block(source, reject)?;
                continue;
            }
            Statement::Switch { cases, .. } => {
                cases.iter().try_for_each(|case| check_block(source, &case.body))?;
                continue;
            }
            Statement::Loop { body, continuing, .. } => {
                check_block(source, body)?;
                check_block(source, continuing)?;
                continue;
            }
            Statement::Emit(_)
            | Statement::Break
            | Statement::Continue
            | Statement::Return { .. }
            | Statement::Store { .. }
            | Statement::Call { .. }
            | Statement::ControlBarrier(_)
            | Statement::MemoryBarrier(_)
            | Statement::WorkGroupUniformLoad { .. } => continue,
            Statement::Atomic { .. } | Statement::ImageAtomic { .. } => "an atomic",
            Statement::Kill => "`discard`",
            Statement::ImageStore { .. } => "a texture",
            Statement::SubgroupBallot { .. }
            | Statement::SubgroupGather { .. }
            | Statement::SubgroupCollectiveOperation { .. } => "a subgroup operation",
            Statement::RayQuery { .. } | Statement::RayPipelineFunction(_) => "a ray query",
            Statement::CooperativeStore { .. } => "a cooperative matrix",
        };
        return Err(GateError::at(
            source,
            *span,
            format!("{forbidden} has no place in a kernel of independent records"),
        ));
    }
    Ok(())
}

fn uses_floats(module: &Module, function: &Function, info: &naga::valid::FunctionInfo) -> bool {
    function.expressions.iter().any(|(handle, expression)| {
        let inner = info[handle].ty.inner_with(&module.types);
        !matches!(expression, Expression::Load { .. }) && inner.scalar_kind() == Some(ScalarKind::Float)
    })
}
