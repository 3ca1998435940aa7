//! `tessera model`.

use std::path::PathBuf;

use wire::{ModelInput, ModelReport};

use super::print::{print_json, print_lines};
use crate::context::Context;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum ModelCommand {
    /// Say what a model takes and answers, and whether it can run, without rows.
    Check {
        /// The model, as ONNX.
        #[arg(allow_hyphen_values = true)]
        file: PathBuf,
    },
}

pub(crate) async fn run(context: &Context, command: &ModelCommand) -> Result<(), Failure> {
    let ModelCommand::Check { file } = command;
    let client = context.ordering();
    let model = client.upload(file).await?;
    let report = client.check_model(model.hash).await?;
    if context.json { print_json(&report) } else { print_lines(&lines(&report)) }
}

fn lines(report: &ModelReport) -> Vec<String> {
    let mut lines: Vec<String> = report.inputs.iter().map(|input| format!("input     {}", input_text(input))).collect();
    let Some(plan) = &report.plan else {
        lines.push("plan      it depends on the rows: some axis besides the first may have any size".to_owned());
        return lines;
    };
    lines.extend(plan.outputs.iter().map(|output| {
        let row: Vec<String> = output.shape.iter().map(u64::to_string).collect();
        let each = if output.whole { "" } else { " a row" };
        format!("output    {} {} [{}]{each}", output.name, output.dtype.name(), row.join(", "))
    }));
    if plan.outputs.iter().any(|output| output.whole) {
        lines.push(format!("work      {} operations for arrays of these sizes", plan.row_flops));
        lines.push("rows      its arrays have none that could be told apart, so that a job is one tile".to_owned());
        return lines;
    }
    lines.push(format!("work      {} operations a row", plan.row_flops));
    if plan.mixes_rows {
        lines.push("rows      it mixes rows, so that a job is one tile".to_owned());
    }
    lines
}

fn input_text(input: &ModelInput) -> String {
    let Some(shape) = &input.shape else { return format!("{} {}", input.name, input.dtype) };
    let axis = |size: &Option<u64>| size.map_or_else(|| "?".to_owned(), |size| size.to_string());
    format!("{} {} [{}]", input.name, input.dtype, shape.iter().map(axis).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_any_size_are_shown_as_such() {
        let input = |shape| ModelInput { name: "x".to_owned(), dtype: "float32".to_owned(), shape };

        assert_eq!(input_text(&input(Some(vec![None, Some(3)]))), "x float32 [?, 3]");
        assert_eq!(input_text(&input(None)), "x float32");
    }
}
