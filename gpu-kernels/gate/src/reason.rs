//! What refusals are, apart from their English words: naga has only these, so they are told apart by them.

use crate::error::GateError;

/// A kind of refusal, and what one of that kind names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: &'static str,
    pub arguments: Vec<(&'static str, String)>,
}

/// Codes with the messages that they stand for; names in braces stand for whatever is there, and an underscore for what
/// nobody needs. The first that fits is taken.
const MESSAGES: &[(&str, &str)] = &[
    // Ours.
    ("kernel_too_long", "the kernel has {bytes} bytes; at most {most} are taken"),
    ("too_much_fuel", "{fuel} operations of fuel a record are too many; at most {most}"),
    ("compiler_gave_up", "the compiler gave up on this kernel"),
    ("too_many_straight_operations", "a record takes {operations} operations outside loops; at most {most}"),
    ("cannot_be_made_safe", "the kernel cannot be made safe: {_}"),
    ("members_elsewhere", "the members of a structure would lie elsewhere; leave out @size and @align"),
    ("entry_points", "there are {found} entry points; expected one, `@compute fn main`"),
    ("entry_point_name", "the entry point is '{name}'; expected `@compute fn main`"),
    (
        "workgroup_shape",
        "the workgroup is {x} by {y} by {z}; records lie along x: @workgroup_size(n) with n from 1 to {most}",
    ),
    ("override", "'{name}' is an override; use a const, or a parameter at binding 2"),
    ("record_size", "a record of {bytes} bytes; expected a multiple of 4, at most {most}"),
    ("params_too_large", "the parameters take {bytes} bytes; at most {most}"),
    ("foreign_variable", "'{name}' is none of what a kernel may have: {_}"),
    ("atomic", "'{name}' is atomic; records are independent, and an order of devices is no result"),
    ("workgroup_too_large", "the workgroup variables take {bytes} bytes; at most {most}"),
    ("private_too_large", "the private variables take {bytes} bytes; at most {most}"),
    ("no_output", "there is no `@group(0) @binding(1) var<storage, read_write>` for the output records"),
    ("binding_kind", "'{name}' at binding {binding} must be `{kind}`"),
    ("texture", "'{name}' is a texture or a sampler; {_}"),
    ("texture", "`{name}` is for textures, which a kernel has none of; leave it out"),
    ("read_only", "'{name}' can only be read; {_}"),
    ("not_writable", "nothing can be written here; {_}"),
    ("bool_in_binding", "'{name}' holds a bool, which no binding can; {_}"),
    ("uniform_layout", "'{name}' is laid out as no uniform may be: {_}"),
    ("wide_number", "`{name}` is no type of a kernel; {_}"),
    ("missing_return", "'{name}' must return a value, whichever way it is left: {_}"),
    ("index_outside", "index {index} lies outside; there are {length}, counted from 0"),
    ("index_outside", "index {index} lies outside"),
    ("negative_index", "an index below zero lies outside"),
    ("no_value", "this is computed when the kernel is compiled, and has no value: {detail}; {_}"),
    ("fixed_length", "'{name}' must be an array without a length: array<T>"),
    (
        "vec3_elements",
        "{_} has {bytes} bytes, which is not a whole number of elements of {stride} bytes: a vec3 takes {_}",
    ),
    ("input_elements", "an input record has {bytes} bytes, which is not a whole number of elements of {stride} bytes"),
    (
        "output_elements",
        "an output record has {bytes} bytes, which is not a whole number of elements of {stride} bytes",
    ),
    ("locals_too_large", "the variables of '{name}' take {bytes} bytes; at most {most}"),
    ("builtin_not_readable", "{name} is not a builtin that a kernel may read"),
    ("barrier_after_return", "a barrier after a return that some invocations may take; {_}"),
    ("barrier_in_function", "a barrier in a function; {_}"),
    ("barrier_in_branch", "a barrier in a branch or a loop where not all may come; {_}"),
    ("barrier_in_loop", "a barrier in a loop that turns nobody knows how often; {_}"),
    ("fuel_below_barriers", "loops with barriers take {operations} operations a record, and its fuel is {fuel}; {_}"),
    ("uniform_load", "workgroupUniformLoad of an element that is not the same for all of a workgroup"),
    ("barriers_too_often", "loops with barriers take {operations} operations a record; at most {most}"),
    ("not_independent", "{_} has no place in a kernel of independent records"),
    ("types_too_deep", "types lie more than {most} deep"),
    ("blocks_too_deep", "blocks lie more than {most} deep{_}"),
    ("calls_too_deep", "functions call one another more than {most} deep"),
    ("private_part_passed", "a part of the private '{name}' is passed to '{function}'; {_}"),
    ("argument_changed", "'{name}' is passed twice to '{function}', which changes it; {_}"),
    ("argument_used_twice", "'{name}' is passed to '{function}', which also uses it by name; {_}"),
    ("pointer_space", "'{_}' is a pointer that no function takes; {_}"),
    ("pointer_space", "`requires {_}`: functions take pointers to {_}"),
    ("pointer_space", "`enable {_}`: functions take pointers to {_}"),
    ("skipped_let", "a `continue` skips this `let`, which the loop's `continuing` reads; {_}"),
    ("too_much_written", "made safe, the kernel has {expressions} expressions; at most {most}"),
    ("part_too_large", "with a copy of this part the function's variables take {bytes} bytes; at most {most}: {_}"),
    ("conditions_too_deep", "conditions lie {depth} deep for this device's driver, llvmpipe, {_}"),
    (
        "slow_array",
        "an array of {words} words takes this device's driver, llvmpipe, minutes to compile; at most {most}",
    ),
    ("extension", "`{name}` asks for what not every device has; leave it out{_}"),
    ("too_deep", "brackets, types or blocks stand too deep inside one another; {_}"),
    // naga's: what is written wrongly.
    ("expected_found", "expected {expected}, found {found}: expected {_}"),
    ("expected_found", "expected {expected}, found {found}"),
    ("unknown_identifier", "no definition in scope for identifier: `{name}`{_}"),
    ("unknown_type", "unknown type: `{name}`{_}"),
    ("unknown_type", "unknown scalar type: `{name}`{_}"),
    ("unknown_attribute", "unknown attribute: `{name}`{_}"),
    ("repeated_attribute", "repeated attribute: `{name}`{_}"),
    ("unknown_builtin", "unknown builtin: `{name}`{_}"),
    ("unknown_access", "unknown access: `{name}`{_}"),
    ("unknown_address_space", "unknown address space: `{name}`{_}"),
    ("local_address_space", "invalid address space for local variable: `{name}`{_}"),
    ("unknown_extension", "unknown enable-extension `{name}`{_}"),
    ("unknown_extension", "unknown language extension `{name}`{_}"),
    ("extension_not_enabled", "the `{name}` enable extension is not enabled{_}"),
    ("extension_not_supported", "the `{name}` enable-extension is not yet supported{_}"),
    ("extension_not_supported", "the `{name}` extension is not supported in the current environment{_}"),
    ("invalid_field", "invalid field accessor `{name}`{_}"),
    ("not_constructible", "type `{name}` is not constructible{_}"),
    ("wrong_type", "the type of `{name}` is expected to be `{expected}`, but got `{found}`{_}"),
    ("missing_type", "declaration of `{name}` needs a type specifier or initializer{_}"),
    ("missing_type", "type can't be inferred{_}"),
    ("missing_attribute", "variable `{name}` needs a '{attribute}' attribute{_}"),
    ("reserved_word", "name `{name}` is a reserved keyword{_}"),
    ("reserved_word", "Identifier starts with a reserved prefix: `{name}`{_}"),
    ("redefinition", "redefinition of `{name}`{_}"),
    ("recursive", "declaration of `{name}` is recursive{_}"),
    ("recursive", "declaration of `{name}` is cyclic{_}"),
    ("too_many_arguments", "too many arguments passed to `{function}`{_}"),
    ("argument_count", "wrong number of arguments: expected {expected}, found {found}{_}"),
    ("argument_type", "wrong type passed as argument #{number} to `{function}`{_}"),
    ("no_conversion", "automatic conversions cannot convert elements of `{found}` to `{expected}`{_}"),
    ("no_conversion", "automatic conversions cannot convert `{found}` to `{expected}`{_}"),
    ("inconsistent_types", "type of {_} is inconsistent with {_}"),
    ("cannot_assign", "invalid left-hand side of assignment{_}"),
    ("not_constant", "this operation is not supported in a const context{_}"),
    ("not_constant", "must be a const-expression{_}"),
    ("must_be_positive", "array element count must be positive (> 0){_}"),
    ("must_be_positive", "must be non-negative (>= 0){_}"),
    ("no_workgroup_size", "workgroup size is missing on compute shader entry point{_}"),
    ("nothing_returned", "function does not return any value{_}"),
    ("unused_result", "unused return value from function annotated with @must_use{_}"),
    ("switch_selector", "invalid `switch` {_}"),
    ("component_address", "cannot take the address of a vector component{_}"),
    ("not_a_pointer", "the operand of the `*` operator must be a pointer{_}"),
    ("not_a_reference", "{what} must be a reference{_}"),
    ("nested_too_deep", "brace nesting limit reached{_}"),
    ("comment_not_ended", "unterminated block comment{_}"),
    ("const_assert", "`const_assert` failure{_}"),
    ("number_out_of_range", "numeric literal not representable by target type{_}"),
    ("invalid_number", "invalid numeric literal format{_}"),
    ("number_out_of_range", "the concrete type `{_}` cannot represent the abstract value `{_}` accurately{_}"),
    ("number_out_of_range", "cannot subtract with overflow{_}"),
    // naga's: what is written well and means nothing that can run.
    ("invalid_function", "Function [{_}] '{name}' is invalid: {detail}"),
    ("invalid_entry_point", "Entry point {name} at {_} is invalid: {detail}"),
    ("invalid_variable", "Global variable [{_}] '{name}' is invalid: {detail}"),
    ("invalid_type", "Type [{_}] '{name}' is invalid: {detail}"),
    ("invalid_constant", "Constant [{_}] '{name}' is invalid: {detail}"),
    ("capability", "{_}Capability Capabilities({name}) is {_}"),
];

impl GateError {
    /// What is refused, apart from its words. `wgsl` where naga says something that is seldom heard.
    pub fn reason(&self) -> Reason {
        let told = MESSAGES
            .iter()
            .find_map(|(code, pattern)| holes(pattern, &self.message).map(|arguments| Reason { code, arguments }));
        told.unwrap_or(Reason { code: "wgsl", arguments: Vec::new() })
    }
}

/// What stands for the names in a pattern, where a message has its words.
fn holes(pattern: &'static str, message: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parts = pattern.split('{');
    let mut rest = message.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    for part in parts {
        let (name, words) = part.split_once('}')?;
        // What is last in the pattern is last in the message.
        let is_last = pattern.ends_with(part);
        let end = match words {
            "" => rest.len(),
            words if is_last => rest.strip_suffix(words)?.len(),
            words => rest.find(words)?,
        };
        if name != "_" {
            found.push((name, rest[..end].to_owned()));
        }
        rest = &rest[end + words.len()..];
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(message: &str) -> (&'static str, Vec<(&'static str, String)>) {
        let Reason { code, arguments } = GateError { line: 1, column: 1, message: message.to_owned() }.reason();
        (code, arguments)
    }

    #[test]
    fn a_message_is_told_by_its_words_and_gives_what_it_names() {
        let named = |name: &'static str, value: &str| (name, value.to_owned());

        assert_eq!(
            reason("no definition in scope for identifier: `foo`: unknown identifier"),
            ("unknown_identifier", vec![named("name", "foo")])
        );
        assert_eq!(
            reason("'x' is passed twice to 'f', which changes it; copy it, or a part of it, into a variable first"),
            ("argument_changed", vec![named("name", "x"), named("function", "f")])
        );
        assert_eq!(reason("redefinition of `a`"), ("redefinition", vec![named("name", "a")]));
        assert_eq!(reason("something else"), ("wgsl", vec![]));
        assert_eq!(reason(""), ("wgsl", vec![]));
    }

    #[test]
    fn a_kernel_as_people_get_it_wrong_is_refused_for_a_reason_that_has_a_code() {
        let head = "@group(0) @binding(0) var<storage, read> input: array<f32>;\n\
            @group(0) @binding(1) var<storage, read_write> output: array<f32>;\n";
        let main = |body: &str| {
            format!(
                "{head}@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ {body} }}"
            )
        };
        let kernels = [
            (main("let x = y;"), "unknown_identifier"),
            (main("let x = 1"), "expected_found"),
            (main("let x: flaot = 1;"), "unknown_identifier"),
            (main("var x: i32 = 1.5;"), "wrong_type"),
            (main("let a = 1; let a = 2;"), "redefinition"),
            (main("let x = input[id.x].q;"), "invalid_field"),
            (main("workgroupBarrier();").replace("64", "64, 2"), "workgroup_shape"),
            (main("if (id.x > 1u) { workgroupBarrier(); }"), "barrier_in_branch"),
            (main("").replace("fn main", "fn start"), "entry_point_name"),
            (head.to_owned(), "entry_points"),
            (format!("override n: u32;\n{}", main("")), "override"),
            (format!("enable f16;\n{}", main("let x: f16 = 1h;")), "extension"),
            (format!("/* {}", main("")), "comment_not_ended"),
        ];
        for (source, code) in kernels {
            let contract = crate::Contract { record_bytes: 4, out_bytes: 4, fuel: Some(100) };
            let refused = crate::admit(&source, contract).unwrap_err();

            assert_eq!(refused.reason().code, code, "{refused}");
        }
    }
}
