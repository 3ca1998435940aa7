//! What is decided of each program without I/O: how its rows are cut into tiles, and who computes tiles
//! again. A program is a file here, with one line in [`rules_of`].

pub mod infer;
pub mod limits;
pub mod map;
pub mod task_rules;
mod tiling;

use wire::Task;

use self::task_rules::TaskRules;

/// A program's rules: one line each.
pub fn rules_of(task: &Task) -> &dyn TaskRules {
    match task {
        Task::Infer(task) => task,
        Task::Map(task) => task,
    }
}

#[cfg(test)]
mod tests {
    use wire::{CheckedBy, InferTask, MapTask};

    use super::limits::{EDGE_FLOPS, EDGE_FLOPS_MAX};
    use super::*;

    #[test]
    fn a_checker_redoes_kernels_and_what_would_hold_the_server_up() {
        let hash = wire::BlobHash([0; 32]);
        let model = InferTask { model: hash, inputs: Vec::new(), outputs: Vec::new() };
        let kernel = MapTask { kernel: hash, params: None, record_bytes: 4, out_bytes: 4, fuel: 1, words: Vec::new() };

        assert_eq!(model.checked_by(EDGE_FLOPS, true), CheckedBy::Edge);
        assert_eq!(model.checked_by(EDGE_FLOPS + 1, true), CheckedBy::Checker);
        assert_eq!(model.checked_by(EDGE_FLOPS_MAX, false), CheckedBy::Edge);
        assert_eq!(kernel.checked_by(1, true), CheckedBy::Checker);
        assert_eq!(kernel.checked_by(1, false), CheckedBy::Quorum);
    }
}
