//! What naga says of a kernel, in the words of those who write kernels.

use naga::front::Typifier;
use naga::front::wgsl::ParseError;
use naga::proc::ResolveContext;
use naga::valid::{
    CallError, EntryPointError, ExpressionError, FunctionError, GlobalVariableError, ValidationError, VaryingError,
};
use naga::{
    AddressSpace, ArraySize, Expression, Function, Handle, Module, ScalarKind, Span, StorageAccess, Type, TypeInner,
    WithSpan,
};

use crate::contract;
use crate::error::GateError;
use crate::lets::no_value;

/// What naga means where it says no more than that it failed.
const TOO_DEEP: &str =
    "brackets, types or blocks stand too deep inside one another; give what stands inside a name of its own";
/// Of what has no value when it is computed.
const NO_VALUE: [&str; 8] = [
    "Division by zero",
    "Shift amount exceeds",
    "RHS of shift",
    "operation overflowed",
    "out of valid range",
    "greater than `high`",
    "overflow",
    "Float literal is",
];

/// What is written wrongly.
pub(super) fn describe_parse(source: &str, error: &ParseError) -> GateError {
    let span = error.labels().next().map_or(Span::UNDEFINED, |(span, _)| span);
    let outside = error.message().strip_prefix("Index ").and_then(|rest| rest.split_once(" is out of bounds"));
    if let Some((index, _)) = outside {
        return GateError::at(source, only_index(source, index), format!("index {index} lies outside"));
    }
    let mut message = match error.message() {
        "internal WGSL front end error" => TOO_DEEP.to_owned(),
        message => message.to_owned(),
    };
    let mut is_computed = false;
    for (_, label) in error.labels().filter(|(_, label)| !label.is_empty()) {
        // What its evaluator says of everything.
        if label == "see msg" {
            is_computed = true;
        } else {
            message = format!("{message}: {label}");
        }
    }
    is_computed |= message.starts_with("Float literal is");
    if is_computed && NO_VALUE.iter().any(|words| message.contains(words)) {
        message = no_value(&message);
    }
    GateError::at(source, span, message)
}

/// Where a text has this index, if at one place only: naga tells none.
fn only_index(source: &str, index: &str) -> Span {
    let found = |end: &str| source.match_indices(&format!("[{index}{end}]")).map(|(at, _)| at).collect::<Vec<_>>();
    let places = ["", "u", "i"].map(found).concat();
    match places[..] {
        [at] => u32::try_from(at).map_or(Span::UNDEFINED, |at| Span::new(at, at + 1)),
        _ => Span::UNDEFINED,
    }
}

/// What is written well and means nothing that can run.
pub(super) fn describe(source: &str, module: &Module, error: &WithSpan<ValidationError>) -> GateError {
    let span = error.spans().next().map_or(Span::UNDEFINED, |(span, _)| *span);
    let entry = module.entry_points.first().map(|entry| &entry.function);
    let told = match error.as_inner() {
        ValidationError::Function { handle, source, .. } => of_function(module, &module.functions[*handle], source),
        ValidationError::EntryPoint { source: EntryPointError::Function(source), .. } => {
            entry.and_then(|function| of_function(module, function, source))
        }
        ValidationError::EntryPoint { source: EntryPointError::ForbiddenStageOperations, .. } => {
            let functions = module.functions.iter().map(|(_, function)| function).chain(entry);
            let mut checked = functions.map(|function| contract::check_operations(source, function));
            if let Some(Err(refused)) = checked.find(Result::is_err) {
                return refused;
            }
            None
        }
        ValidationError::EntryPoint {
            source: EntryPointError::Argument(_, VaryingError::UnsupportedCapability(_)),
            ..
        } => return of_builtin(source).unwrap_or_else(|| plain(source, span, error.as_inner())),
        ValidationError::GlobalVariable { handle, name, source } => {
            of_variable(module, module.global_variables[*handle].ty, name, source)
        }
        _ => None,
    };
    match told.or_else(|| wide_numbers(error.as_inner())) {
        Some(message) => GateError::at(source, span, message),
        None => plain(source, span, error.as_inner()),
    }
}

/// A refusal for depth, with what helps.
pub(super) fn deeper(mut error: GateError) -> GateError {
    if error.message.starts_with("blocks lie") {
        error.message += "; each `else if` lies one deeper than the one before: use a `switch`, or a function";
    }
    error
}

fn plain(source: &str, span: Span, error: &ValidationError) -> GateError {
    GateError::at(source, span, causes(error).join(": "))
}

fn causes(error: &ValidationError) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes
}

/// 64-bit numbers, wherever they stand.
fn wide_numbers(error: &ValidationError) -> Option<String> {
    let causes = causes(error);
    let name = causes.last()?.strip_prefix("Using `")?.split_once("` values requires the `naga::")?.0;
    Some(format!("`{name}` is no type of a kernel; numbers have 32 bits: f32, i32, u32"))
}

fn of_function(module: &Module, function: &Function, error: &FunctionError) -> Option<String> {
    let name = function.name.as_deref().unwrap_or_default();
    Some(match error {
        FunctionError::Expression { source, .. } => return of_expression(module, function, source),
        FunctionError::InvalidStorePointer(pointer) => match read_only(module, function, *pointer) {
            Some(name) => format!("'{name}' can only be read; write to binding 1, or to a variable of your own"),
            None => "nothing can be written here; only variables can".to_owned(),
        },
        FunctionError::InvalidReturnType { expression: None, expected_ty: Some(_) } => {
            format!("'{name}' must return a value, whichever way it is left: write a `return` at its end")
        }
        FunctionError::InvalidArgumentPointerSpace { name, .. } => format!(
            "'{name}' is a pointer that no function takes; functions take pointers to `function` and `private` variables \
             only: use other variables by their names"
        ),
        FunctionError::InvalidCall { function, error: CallError::ArgumentType { index, .. } } => {
            let called = module.functions[*function].name.as_deref().unwrap_or_default();
            format!("wrong type passed as argument #{} to `{called}`", index + 1)
        }
        _ => return None,
    })
}

fn of_expression(module: &Module, function: &Function, error: &ExpressionError) -> Option<String> {
    Some(match error {
        ExpressionError::IndexOutOfBounds(base, index) => match length(module, function, *base) {
            Some(length) => format!("index {index} lies outside; there are {length}, counted from 0"),
            None => format!("index {index} lies outside"),
        },
        ExpressionError::NegativeIndex(_) => "an index below zero lies outside".to_owned(),
        error => {
            let detail = error.to_string();
            let is_computed = NO_VALUE.iter().any(|words| detail.starts_with(words));
            let detail = detail.split_once(" of Scalar").map_or(detail.as_str(), |(detail, _)| detail);
            return is_computed.then(|| no_value(detail));
        }
    })
}

/// How many elements there are in what is indexed.
fn length(module: &Module, function: &Function, base: Handle<Expression>) -> Option<u32> {
    let mut typifier = Typifier::new();
    let context = ResolveContext::with_locals(module, &function.local_variables, &function.arguments);
    typifier.grow(base, &function.expressions, &context).ok()?;
    let mut inner = typifier.get(base, &module.types);
    if let TypeInner::Pointer { base, .. } = *inner {
        inner = &module.types[base].inner;
    }
    Some(match *inner {
        TypeInner::Array { size: ArraySize::Constant(length), .. } => length.get(),
        TypeInner::Vector { size, .. } | TypeInner::ValuePointer { size: Some(size), .. } => size as u32,
        TypeInner::Matrix { columns, .. } => columns as u32,
        _ => return None,
    })
}

/// The variable that a pointer goes into, where nothing may be written there.
fn read_only<'a>(module: &'a Module, function: &Function, mut pointer: Handle<Expression>) -> Option<&'a str> {
    loop {
        match function.expressions[pointer] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => pointer = base,
            Expression::GlobalVariable(variable) => {
                let variable = &module.global_variables[variable];
                let is_read_only = match variable.space {
                    AddressSpace::Storage { access } => !access.contains(StorageAccess::STORE),
                    space => space == AddressSpace::Uniform,
                };
                return variable.name.as_deref().filter(|_| is_read_only);
            }
            _ => return None,
        }
    }
}

fn of_variable(module: &Module, ty: Handle<Type>, name: &str, error: &GlobalVariableError) -> Option<String> {
    match error {
        GlobalVariableError::MissingTypeFlags { .. } if holds_bool(module, ty) => {
            Some(format!("'{name}' holds a bool, which no binding can; use u32, and compare it with 0"))
        }
        GlobalVariableError::Alignment(AddressSpace::Uniform, ..) => Some(format!(
            "'{name}' is laid out as no uniform may be: in one, elements of arrays and structures inside take multiples \
             of 16 bytes, as array<vec4f, n> does"
        )),
        _ => None,
    }
}

fn holds_bool(module: &Module, ty: Handle<Type>) -> bool {
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => scalar.kind == ScalarKind::Bool,
        TypeInner::Array { base, .. } => holds_bool(module, *base),
        TypeInner::Struct { members, .. } => members.iter().any(|member| holds_bool(module, member.ty)),
        _ => false,
    }
}

/// What `main` reads of subgroups, by its place in the text, as naga keeps none.
fn of_builtin(source: &str) -> Option<GateError> {
    let at = source.find("subgroup_")?;
    let name = source[at..].split(|c: char| c != '_' && !c.is_alphanumeric()).next()?;
    let place = u32::try_from(at).ok()?;
    let end = u32::try_from(at + name.len()).ok()?;
    let message = format!("{name} is not a builtin that a kernel may read");
    Some(GateError::at(source, Span::new(place, end), message))
}
