//! What can be said in fewer nodes, once for all batch sizes: a batch normalization after a
//! convolution becomes part of its weights.

use std::collections::HashMap;

use gpu_kernels::dtype::DType;

use crate::graph::{Graph, Node};
use crate::tensor::Tensor;

impl Graph {
    pub(crate) fn simplify(&mut self) {
        let mut uses: HashMap<String, usize> = HashMap::new();
        for name in self.nodes.iter().flat_map(Node::reads).chain(&self.outputs) {
            *uses.entry(name.clone()).or_default() += 1;
        }
        let makers: HashMap<String, usize> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.op == "Conv")
            .filter_map(|(index, node)| Some((node.outputs.first()?.clone(), index)))
            .collect();
        let mut gone = vec![false; self.nodes.len()];
        for (index, gone) in gone.iter_mut().enumerate() {
            let node = &self.nodes[index];
            let plain = node.op == "BatchNormalization" && node.outputs.len() == 1 && node.inputs.len() == 5;
            if !plain || uses.get(&node.inputs[0]) != Some(&1) {
                continue;
            }
            let Some(&conv) = makers.get(&node.inputs[0]) else { continue };
            let Some((weights, bias)) = self.absorbed(&self.nodes[conv], node) else { continue };
            let output = node.outputs.clone();
            let conv_node = &mut self.nodes[conv];
            // No model may hold these names already: its own have no control character.
            let names = ["weights", "bias"].map(|part| format!("\u{1}{}\u{1}{part}", output[0]));
            conv_node.inputs = vec![conv_node.inputs[0].clone(), names[0].clone(), names[1].clone()];
            conv_node.outputs = output;
            let [weights_name, bias_name] = names;
            self.constants.insert(weights_name, weights);
            self.constants.insert(bias_name, bias);
            *gone = true;
        }
        let mut gone = gone.into_iter();
        self.nodes.retain(|_| !gone.next().unwrap_or(false));
    }

    fn floats(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let tensor = self.constants.get(name).filter(|tensor| tensor.dtype == DType::F32)?;
        Some((tensor.shape.clone(), tensor.words.iter().map(|&word| f32::from_bits(word)).collect()))
    }

    /// The convolution's weights and bias with the normalization in them, where all are stored.
    fn absorbed(&self, conv: &Node, norm: &Node) -> Option<(Tensor, Tensor)> {
        let training = norm.attributes.iter().any(|attribute| attribute.name == "training_mode" && attribute.i != 0);
        if training {
            return None;
        }
        let (shape, mut weights) = self.floats(conv.inputs.get(1)?)?;
        let filters = *shape.first().filter(|&&filters| filters > 0)?;
        let mut stats = Vec::new();
        for name in &norm.inputs[1..] {
            stats.push(self.floats(name).filter(|(shape, _)| *shape == [filters])?.1);
        }
        let mut bias = match conv.inputs.get(2).filter(|name| !name.is_empty()) {
            Some(name) => self.floats(name).filter(|(shape, _)| *shape == [filters])?.1,
            None => vec![0.0; filters],
        };
        let epsilon =
            norm.attributes.iter().find(|attribute| attribute.name == "epsilon").map_or(1e-5, |found| found.f);
        let each = weights.len() / filters;
        for (filter, bias) in bias.iter_mut().enumerate() {
            let factor = stats[0][filter] / (stats[3][filter] + epsilon).sqrt();
            weights[filter * each..][..each].iter_mut().for_each(|weight| *weight *= factor);
            *bias = (*bias - stats[2][filter]) * factor + stats[1][filter];
        }
        Some((Tensor::floats(shape, &weights), Tensor::floats(vec![filters], &bias)))
    }
}
