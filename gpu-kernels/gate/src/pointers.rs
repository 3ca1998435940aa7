//! Pointers that a kernel hands to its functions.
//!
//! WGSL lets no two of a call's arguments reach the same memory where one is written, nor an argument reach a
//! variable that the function touches by itself; naga does not look. With that held to, a part of a variable
//! can be handed over as a copy that is copied back, which is how `instrument` writes it: naga takes `&a[i]`
//! as an argument, and then its writers panic.

use std::collections::{HashMap, HashSet};

use naga::valid::FunctionInfo;
use naga::{
    AddressSpace, Arena, Block, Expression, Function, GlobalVariable, Handle, LocalVariable, Module, Span, Statement,
    Type, TypeInner,
};

use crate::error::GateError;

/// What a function does to its caller's memory and to the module's.
#[derive(Clone, Debug, Default)]
struct Effects {
    /// Of its arguments, those it writes through.
    written: HashSet<usize>,
    touched_globals: HashSet<Handle<GlobalVariable>>,
    written_globals: HashSet<Handle<GlobalVariable>>,
}

/// What a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Local(Handle<LocalVariable>),
    Global(Handle<GlobalVariable>),
    Argument(usize),
}

/// For each function, which arguments it writes through.
pub(super) struct WrittenArguments(HashMap<Handle<Function>, Effects>);

impl WrittenArguments {
    /// Refuses calls whose arguments are not apart. Functions stand after those that they call.
    pub(super) fn check(source: &str, module: &Module) -> Result<Self, GateError> {
        let mut known = Self(HashMap::new());
        for (handle, function) in module.functions.iter() {
            let effects = known.effects(source, module, function)?;
            known.0.insert(handle, effects);
        }
        for entry in &module.entry_points {
            known.effects(source, module, &entry.function)?;
        }
        Ok(known)
    }

    pub(super) fn writes(&self, function: Handle<Function>, argument: usize) -> bool {
        self.0.get(&function).is_none_or(|effects| effects.written.contains(&argument))
    }

    fn effects(&self, source: &str, module: &Module, function: &Function) -> Result<Effects, GateError> {
        let globals = function.expressions.iter().filter_map(|(_, expression)| match expression {
            Expression::GlobalVariable(global) => Some(*global),
            _ => None,
        });
        let mut effects = Effects { touched_globals: globals.collect(), ..Effects::default() };
        self.add_block(source, module, function, &function.body, &mut effects)?;
        Ok(effects)
    }

    fn add_block(
        &self,
        source: &str,
        module: &Module,
        function: &Function,
        block: &Block,
        effects: &mut Effects,
    ) -> Result<(), GateError> {
        for (statement, span) in block.span_iter() {
            match statement {
                Statement::Store { pointer, .. } => effects.write(root(&function.expressions, *pointer)),
                Statement::Call { function: callee, arguments, .. } => {
                    let call = Call { module, function, callee: *callee, arguments, span: *span };
                    self.add_call(source, &call, effects)?;
                }
                Statement::Block(inner) => self.add_block(source, module, function, inner, effects)?,
                Statement::If { accept, reject, .. } => {
                    self.add_block(source, module, function, accept, effects)?;
                    self.add_block(source, module, function, reject, effects)?;
                }
                Statement::Switch { cases, .. } => {
                    for case in cases {
                        self.add_block(source, module, function, &case.body, effects)?;
                    }
                }
                Statement::Loop { body, continuing, .. } => {
                    self.add_block(source, module, function, body, effects)?;
                    self.add_block(source, module, function, continuing, effects)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_call(&self, source: &str, call: &Call<'_>, effects: &mut Effects) -> Result<(), GateError> {
        let own = Effects::default();
        let callee = self.0.get(&call.callee).unwrap_or(&own);
        let mut earlier: Vec<(Root, bool)> = Vec::new();
        for (index, argument) in call.arguments.iter().enumerate() {
            let Some(root) = call.pointer(index, *argument) else { continue };
            let written = callee.written.contains(&index);
            if earlier.iter().any(|(other, other_written)| *other == root && (written || *other_written)) {
                return Err(call.refuse(source, root, "passed twice", "changes it"));
            }
            if call.is_private_part(*argument, root) {
                return Err(call.refuse_private_part(source, root));
            }
            if let Root::Global(global) = root
                && callee.touched_globals.contains(&global)
                && (written || callee.written_globals.contains(&global))
            {
                return Err(call.refuse(source, root, "passed", "also uses it by name"));
            }
            if written {
                effects.write(Some(root));
            }
            earlier.push((root, written));
        }
        effects.touched_globals.extend(&callee.touched_globals);
        effects.written_globals.extend(&callee.written_globals);
        Ok(())
    }
}

impl Effects {
    fn write(&mut self, root: Option<Root>) {
        match root {
            Some(Root::Argument(index)) => drop(self.written.insert(index)),
            Some(Root::Global(global)) => drop(self.written_globals.insert(global)),
            Some(Root::Local(_)) | None => {}
        }
    }
}

struct Call<'a> {
    module: &'a Module,
    function: &'a Function,
    callee: Handle<Function>,
    arguments: &'a [Handle<Expression>],
    span: Span,
}

impl Call<'_> {
    /// What an argument points into, where the function takes a pointer.
    fn pointer(&self, index: usize, argument: Handle<Expression>) -> Option<Root> {
        let ty = self.module.functions[self.callee].arguments.get(index)?.ty;
        matches!(self.module.types[ty].inner, TypeInner::Pointer { .. })
            .then(|| root(&self.function.expressions, argument))
            .flatten()
    }

    /// A copy lies in the function, and this pointer must not point there.
    fn is_private_part(&self, argument: Handle<Expression>, root: Root) -> bool {
        let is_part =
            matches!(self.function.expressions[argument], Expression::Access { .. } | Expression::AccessIndex { .. });
        let is_private = |ty: Handle<Type>| {
            matches!(self.module.types[ty].inner, TypeInner::Pointer { space: AddressSpace::Private, .. })
        };
        is_part
            && match root {
                Root::Local(_) => false,
                Root::Global(_) => true,
                Root::Argument(index) => is_private(self.function.arguments[index].ty),
            }
    }

    fn refuse_private_part(&self, source: &str, root: Root) -> GateError {
        let (name, callee) = (self.name(root), self.callee());
        let message = format!(
            "a part of the private '{name}' is passed to '{callee}'; pass a variable of the function instead, as \
             ptr<function>, and copy the part into it and back"
        );
        GateError::at(source, self.span, message)
    }

    fn callee(&self) -> &str {
        self.module.functions[self.callee].name.as_deref().unwrap_or_default()
    }

    fn name(&self, root: Root) -> &str {
        let name = match root {
            Root::Local(local) => self.function.local_variables[local].name.as_deref(),
            Root::Global(global) => self.module.global_variables[global].name.as_deref(),
            Root::Argument(index) => self.function.arguments[index].name.as_deref(),
        };
        name.unwrap_or_default()
    }

    fn refuse(&self, source: &str, root: Root, how: &str, why: &str) -> GateError {
        let (name, callee) = (self.name(root), self.callee());
        let message =
            format!("'{name}' is {how} to '{callee}', which {why}; copy it, or a part of it, into a variable first");
        GateError::at(source, self.span, message)
    }
}

fn root(expressions: &Arena<Expression>, mut pointer: Handle<Expression>) -> Option<Root> {
    loop {
        match expressions[pointer] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => pointer = base,
            Expression::LocalVariable(local) => return Some(Root::Local(local)),
            Expression::GlobalVariable(global) => return Some(Root::Global(global)),
            Expression::FunctionArgument(index) => return usize::try_from(index).ok().map(Root::Argument),
            _ => return None,
        }
    }
}

/// The type of the part of a variable that a pointer points to; none for a whole variable and for a value.
pub(super) fn part(
    module: &Module,
    expressions: &Arena<Expression>,
    info: &FunctionInfo,
    pointer: Handle<Expression>,
) -> Option<Handle<Type>> {
    if !matches!(expressions[pointer], Expression::Access { .. } | Expression::AccessIndex { .. }) {
        return None;
    }
    match info[pointer].ty.inner_with(&module.types) {
        TypeInner::Pointer { base, .. } => Some(*base),
        _ => None,
    }
}
