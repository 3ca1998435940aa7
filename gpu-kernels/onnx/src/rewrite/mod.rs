//! Operators that are rewritten in standard ones before anything else sees them: those of onnxruntime's own
//! domain, and of ONNX's for classical models.

mod classical;
mod microsoft;
mod scores;
mod trees;
mod writer;

use std::collections::HashMap;

use crate::error::ModelError;
use crate::proto;
use writer::{WriteFn, Writer};

/// Every operator that is rewritten, by domain and name.
pub fn rewritten() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |domain, list: &'static [(&'static str, WriteFn)]| list.iter().map(move |(name, _)| (domain, *name));
    of(microsoft::DOMAIN, microsoft::OPERATORS).chain(of(classical::DOMAIN, classical::OPERATORS))
}

fn find(domain: &str, op: &str) -> Option<WriteFn> {
    let list = match domain {
        microsoft::DOMAIN => microsoft::OPERATORS,
        classical::DOMAIN => classical::OPERATORS,
        // onnxruntime writes this one without its domain.
        _ if op == "SimplifiedLayerNormalization" => microsoft::OPERATORS,
        _ => return None,
    };
    list.binary_search_by(|(name, _)| name.as_bytes().cmp(op.as_bytes())).ok().map(|index| list[index].1)
}

/// Replaces every operator that has a rewriting; what is left is lowered as it is, if it is known.
pub(super) fn rewrite(graph: &mut proto::Graph) -> Result<(), ModelError> {
    let types = graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.data_type)).collect();
    rewrite_in(graph, &types, &mut 0)
}

fn rewrite_in(graph: &mut proto::Graph, types: &HashMap<String, i32>, uses: &mut usize) -> Result<(), ModelError> {
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
            rewrite_in(body, types, uses)?;
        }
        // A node without an output is refused by the parser.
        let write = if node.output.is_empty() { None } else { find(&node.domain, &node.op_type) };
        let Some(write) = write else {
            graph.node.push(node);
            continue;
        };
        *uses += 1;
        let mut writer = Writer::new(&node, types, *uses);
        write(&mut writer);
        if (node.domain.as_str(), node.op_type.as_str()) == (classical::DOMAIN, "ZipMap") {
            // It is declared as a list of tables, and given as one tensor.
            let given = graph.output.iter_mut().filter(|output| node.output.contains(&output.name));
            given.for_each(|output| output.r#type = None);
        }
        graph.node.append(&mut writer.finish()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_are_in_order() {
        for list in [microsoft::OPERATORS, classical::OPERATORS] {
            assert!(list.windows(2).all(|pair| pair[0].0.as_bytes() < pair[1].0.as_bytes()));
        }
    }
}
