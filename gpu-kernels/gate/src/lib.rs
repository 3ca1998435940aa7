#![doc = include_str!("../README.md")]
//!
//! ```
//! use gate::{Contract, admit};
//!
//! let source = "
//!     @group(0) @binding(0) var<storage, read> records: array<u32>;
//!     @group(0) @binding(1) var<storage, read_write> results: array<u32>;
//!     @compute @workgroup_size(64)
//!     fn main(@builtin(global_invocation_id) id: vec3u) { results[id.x] = 2u * records[id.x]; }
//! ";
//! let contract = Contract { record_bytes: 4, out_bytes: 4, fuel: None };
//!
//! let admitted = admit(source, contract)?;
//! assert_eq!(admitted.kernel.workgroup_size, 64);
//!
//! let error = admit("fn main() {}", contract).unwrap_err();
//! assert!(error.message.contains("entry point"));
//! # Ok::<(), gate::GateError>(())
//! ```
//!
//! The gate works on naga's tree and writes WGSL again, which a browser's or a driver's compiler then checks once
//! more in its own way.

mod aliases;
mod backends;
mod barriers;
mod contract;
mod cost;
mod declared;
mod depth;
mod directives;
mod error;
mod fuel;
mod instrument;
mod layout;
mod lets;
mod llvmpipe;
mod operands;
mod pointers;
mod reason;
mod skipped;
mod words;
mod written;

pub use gpu_kernels::customer_kernel::Driver;
use gpu_kernels::customer_kernel::GatedKernel;
use gpu_kernels::records::Column;
use naga::valid::{Capabilities, ModuleInfo, ValidationError, ValidationFlags, Validator};
use naga::{Module, Span, WithSpan};

pub use self::contract::{Contract, FUEL_MAX};
pub use self::error::GateError;
use self::instrument::Writing;
use self::pointers::WrittenArguments;
pub use self::reason::Reason;

/// Longest kernel, in bytes.
pub const SOURCE_BYTES_MAX: usize = 64 << 10;
/// Fuel of a record whose loops turn nobody knows how often, where nobody says how much it is to have.
pub const FUEL_UNSTATED: u32 = 1_000_000;
/// Most operations of a record outside its loops.
pub const STRAIGHT_OPS_MAX: u64 = 1_000_000;
/// What kernels may use of what WGSL leaves to the device: `pack2x16float` and its like, which every device has.
const CAPABILITIES: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
/// Most expressions of a kernel with what the gate writes into it: naga takes time by the square of their number.
const EXPRESSIONS_MAX: usize = 50_000;
/// Stack for a parser and a validator that recurse into nested blocks.
const STACK_BYTES: usize = 64 << 20;

/// A kernel that the gate lets in, with what it knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedKernel {
    pub kernel: GatedKernel,
    /// The words of an output record by type, over and over to its end; padding is `uint32`.
    pub words: Vec<Column>,
    /// It computes with floats: devices may differ in the last bits.
    pub floats: bool,
    /// Of each record, in operations.
    pub fuel: u32,
    /// The most that a record's loops can need, where the text tells.
    pub fuel_needed: Option<u64>,
}

/// Checks a kernel and writes fuel and bounds into it, or says where it is outside the contract.
pub fn admit(source: &str, contract: Contract) -> Result<AdmittedKernel, GateError> {
    admit_on(source, contract, Driver::Any)
}

/// The same for a device of this driver: what it would not compute rightly is refused here, or told when it runs.
pub fn admit_on(source: &str, contract: Contract, driver: Driver) -> Result<AdmittedKernel, GateError> {
    let refuse = |message: String| Err(GateError { line: 1, column: 1, message });
    if source.len() > SOURCE_BYTES_MAX {
        return refuse(format!("the kernel has {} bytes; at most {SOURCE_BYTES_MAX} are taken", source.len()));
    }
    if let Some(fuel) = contract.fuel.filter(|fuel| *fuel > FUEL_MAX) {
        return refuse(format!("{fuel} operations of fuel a record are too many; at most {FUEL_MAX}"));
    }
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || inspect(source, contract, driver));
        let joined = worker.map_err(|error| error.to_string()).and_then(|worker| {
            // A compiler's panic over a stranger's text is a refusal, not our end.
            worker.join().map_err(|_panic| "the compiler gave up on this kernel".to_owned())
        });
        joined.unwrap_or_else(refuse)
    })
}

fn inspect(source: &str, contract: Contract, driver: Driver) -> Result<AdmittedKernel, GateError> {
    let text = directives::take(source)?;
    let module = parse(&text)?;
    let try_parse = |text: &str| parse(text).ok().filter(|module| !keeps_pointers(module));
    let (text, module) = lets::settle(text, module, try_parse);
    let suspect = lets::suspect(&module);
    let wanted = (contract, driver);
    gate(&text, module, wanted, suspect).or_else(|error| {
        // Not by right of its own text, but by what naga computes of it: once more with less to compute.
        let Some((text, module)) = lets::settle_all(&text, try_parse) else { return Err(error) };
        gate(&text, module, wanted, suspect).map_err(|next| {
            // What it says then goes on from there, unless it is of loops that count by what is no constant any more.
            let goes_on = error.reason().code == "no_value" && !next.reason().code.starts_with("barrier");
            if goes_on { next } else { error }
        })
    })
}

fn gate(
    source: &str,
    mut module: Module,
    (contract, driver): (Contract, Driver),
    suspect: Span,
) -> Result<AdmittedKernel, GateError> {
    let info = validate(&module).map_err(|error| words::describe(source, &module, &error))?;
    lets::check(source, &module)?;
    lets::name_computed(&mut module);
    skipped::check(source, &module)?;
    depth::check(source, &module).map_err(words::deeper)?;
    layout::check(source, &module)?;
    let may_repeat = driver == Driver::Llvmpipe && llvmpipe::check(source, &module)?;
    let facts = contract::check(source, &module, &info, contract)?;
    let written = WrittenArguments::check(source, &module)?;
    let costs = cost::count(&module, &info);
    let straight = costs.entry.straight;
    if straight > STRAIGHT_OPS_MAX {
        let message = format!("a record takes {straight} operations outside loops; at most {STRAIGHT_OPS_MAX}");
        return Err(GateError::at(source, contract::entry_span(source, "main"), message));
    }
    let loops = cost::has_loops(&module);
    let told = fuel::tell(&module, &info, &costs);
    let barriers = barriers::check(source, &module, &told.loops)?;
    let fuel = contract.fuel.unwrap_or_else(|| fuel_of(told.needed, barriers.operations));
    if u64::from(fuel) < barriers.operations {
        let message = format!(
            "loops with barriers take {} operations a record, and its fuel is {fuel}; state as much, or leave it out",
            barriers.operations
        );
        return Err(GateError::at(source, contract::entry_span(source, "main"), message));
    }
    let writing = Writing { fuel, barriers: barriers.any, driver, may_repeat };
    let (module, loop_spans) = instrument::instrument(source, module, &info, &told, &written, writing)?;
    let expressions = expressions(&module);
    if expressions > EXPRESSIONS_MAX {
        let message = format!("made safe, the kernel has {expressions} expressions; at most {EXPRESSIONS_MAX}");
        return Err(GateError::at(source, contract::entry_span(source, "main"), message));
    }
    let loop_lines = loop_spans.iter().map(|span| span.location(source).line_number).collect();
    let wgsl = emit(source, &module, suspect)?;
    let kernel = GatedKernel {
        wgsl,
        workgroup_size: facts.workgroup_size,
        params_bytes: facts.params_bytes,
        loop_lines,
        // Loops with barriers go on without fuel.
        ops: straight + if loops { u64::from(fuel) + barriers.operations } else { 0 },
    };
    Ok(AdmittedKernel { kernel, words: facts.words, floats: facts.floats, fuel, fuel_needed: told.needed })
}

/// Whether some variable is to hold a pointer, which none can.
fn keeps_pointers(module: &Module) -> bool {
    let functions = module.functions.iter().map(|(_, function)| function);
    let mut functions = functions.chain(module.entry_points.iter().map(|entry| &entry.function));
    let is_pointer =
        |ty| matches!(module.types[ty].inner, naga::TypeInner::Pointer { .. } | naga::TypeInner::ValuePointer { .. });
    functions.any(|function| function.local_variables.iter().any(|(_, variable)| is_pointer(variable.ty)))
}

fn expressions(module: &Module) -> usize {
    let functions = module.functions.iter().map(|(_, function)| function);
    functions
        .chain(module.entry_points.iter().map(|entry| &entry.function))
        .map(|function| function.expressions.len())
        .sum()
}

/// What a record gets where nobody says; `at_least` for the loops that take it anyway.
fn fuel_of(needed: Option<u64>, at_least: u64) -> u32 {
    let fuel = needed.unwrap_or_else(|| at_least.saturating_add(FUEL_UNSTATED.into()));
    u32::try_from(fuel).unwrap_or(FUEL_MAX).min(FUEL_MAX)
}

fn parse(source: &str) -> Result<Module, GateError> {
    let mut module = naga::front::wgsl::parse_str(source).map_err(|error| words::describe_parse(source, &error))?;
    aliases::unite(&mut module);
    Ok(module)
}

fn validate(module: &Module) -> Result<ModuleInfo, Box<WithSpan<ValidationError>>> {
    Validator::new(ValidationFlags::all(), CAPABILITIES).validate(module).map_err(Box::new)
}

/// WGSL of an instrumented module. It is read back once: what devices get has been parsed and validated, lies in
/// memory as the customer wrote it, and is something that every backend can compile.
///
/// What it is refused for there is something that naga computes only then; `suspect` is where that may stand.
fn emit(source: &str, module: &Module, suspect: Span) -> Result<String, GateError> {
    let nowhere = |message: String| GateError::at(source, Span::UNDEFINED, message);
    let unsafe_of = |error: Box<WithSpan<ValidationError>>| {
        nowhere(format!("the kernel cannot be made safe: {:?}", error.as_inner()))
    };
    let info = validate(module).map_err(unsafe_of)?;
    let text = written::write(module, &info).map_err(nowhere)?;
    let computed = |error: &str| GateError::at(source, suspect, lets::no_value(error));
    let again = naga::front::wgsl::parse_str(&text).map_err(|error| computed(error.message()))?;
    let info = validate(&again).map_err(|error| computed(&error.as_inner().to_string()))?;
    if written::layout(module) != written::layout(&again) {
        let message = "the members of a structure would lie elsewhere; leave out @size and @align";
        return Err(nowhere(message.to_owned()));
    }
    backends::try_all(&again, &info).map_err(nowhere)?;
    Ok(text)
}
