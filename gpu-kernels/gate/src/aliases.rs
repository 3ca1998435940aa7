//! One type for what WGSL calls by several names: an `alias` names a type that is there already, while naga keeps
//! another one under the alias' name, and takes the two for different ones wherever it compares pointers.

use std::collections::HashMap;

use naga::{Arena, Expression, Function, Handle, Module, Type, TypeInner, UniqueArena};

/// Makes types that differ by the name of an alias alone into one. Structures are what their names say, and stay apart.
pub(super) fn unite(module: &mut Module) {
    let mut types = UniqueArena::new();
    let mut places = HashMap::new();
    for (handle, ty) in module.types.iter() {
        let mut ty = ty.clone();
        map_inner(&mut ty.inner, &places);
        if !matches!(ty.inner, TypeInner::Struct { .. }) {
            ty.name = None;
        }
        places.insert(handle, types.insert(ty, module.types.get_span(handle)));
    }
    module.types = types;
    let place = |ty: &mut Handle<Type>| *ty = places[ty];
    let special = &mut module.special_types;
    let rare = [
        &mut special.ray_desc,
        &mut special.ray_intersection,
        &mut special.ray_vertex_return,
        &mut special.external_texture_params,
        &mut special.external_texture_transfer_function,
    ];
    rare.into_iter().flatten().chain(special.predeclared_types.values_mut()).for_each(place);
    module.constants.iter_mut().for_each(|(_, constant)| place(&mut constant.ty));
    module.overrides.iter_mut().for_each(|(_, constant)| place(&mut constant.ty));
    module.global_variables.iter_mut().for_each(|(_, variable)| place(&mut variable.ty));
    map_expressions(&mut module.global_expressions, place);
    module.functions.iter_mut().for_each(|(_, function)| map_function(function, place));
    module.entry_points.iter_mut().for_each(|entry| map_function(&mut entry.function, place));
    module.doc_comments = None;
}

fn map_inner(inner: &mut TypeInner, places: &HashMap<Handle<Type>, Handle<Type>>) {
    match inner {
        TypeInner::Pointer { base, .. } | TypeInner::Array { base, .. } | TypeInner::BindingArray { base, .. } => {
            *base = places[base];
        }
        TypeInner::Struct { members, .. } => members.iter_mut().for_each(|member| member.ty = places[&member.ty]),
        _ => {}
    }
}

fn map_function(function: &mut Function, place: impl Fn(&mut Handle<Type>)) {
    function.arguments.iter_mut().for_each(|argument| place(&mut argument.ty));
    function.result.iter_mut().for_each(|result| place(&mut result.ty));
    function.local_variables.iter_mut().for_each(|(_, variable)| place(&mut variable.ty));
    map_expressions(&mut function.expressions, place);
}

fn map_expressions(expressions: &mut Arena<Expression>, place: impl Fn(&mut Handle<Type>)) {
    for (_, expression) in expressions.iter_mut() {
        match expression {
            Expression::ZeroValue(ty)
            | Expression::Compose { ty, .. }
            | Expression::AtomicResult { ty, .. }
            | Expression::WorkGroupUniformLoadResult { ty }
            | Expression::SubgroupOperationResult { ty } => place(ty),
            _ => {}
        }
    }
}
