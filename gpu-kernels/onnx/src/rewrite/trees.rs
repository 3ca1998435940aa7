//! Ensembles of trees: all trees are descended at once, a level a step, by gathers over tables of their nodes.

use std::collections::HashMap;

use gpu_kernels::number::to;

use super::scores::{WHOLE_CLASSES, transform, transform_by};
use super::writer::{Writer, int};
use crate::proto;
use crate::tensor::Tensor;

/// Levels of the deepest tree; each takes some ten steps of a plan.
const DEPTH_MAX: usize = 128;
/// Most values of the table of leaf weights: one a node and target.
const ANSWERS_MAX: usize = 1 << 23;

/// A node of a tree. A leaf leads to itself.
struct Node {
    feature: i64,
    /// `yes` takes values from `low` to `high`, inclusive.
    low: f32,
    high: f32,
    /// `yes` takes NaN.
    nan: bool,
    yes: usize,
    no: usize,
}

impl Node {
    fn leaf(place: usize) -> Self {
        Self { feature: 0, low: f32::NEG_INFINITY, high: f32::INFINITY, nan: false, yes: place, no: place }
    }

    /// A branch as its mode says it: `[yes, no]` in the words of the format.
    fn branch(mode: BranchMode, feature: i64, value: f32, nan: bool, [yes, no]: [usize; 2]) -> Self {
        let all = f32::NEG_INFINITY;
        let (low, high, swap) = match mode {
            BranchMode::AtMost => (all, value, false),
            BranchMode::Below => (all, value.next_down(), false),
            BranchMode::AtLeast => (all, value.next_down(), true),
            BranchMode::Above => (all, value, true),
            BranchMode::Equal => (value, value, false),
            BranchMode::Other => (value, value, true),
        };
        let (yes, no) = if swap { (no, yes) } else { (yes, no) };
        // No comparison with NaN holds but "not equal".
        Self { feature, low, high, nan: (nan || mode == BranchMode::Other) != swap, yes, no }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BranchMode {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Other,
}

impl BranchMode {
    const ALL: [(&'static [u8], Self); 6] = [
        (b"BRANCH_LEQ", Self::AtMost),
        (b"BRANCH_LT", Self::Below),
        (b"BRANCH_GTE", Self::AtLeast),
        (b"BRANCH_GT", Self::Above),
        (b"BRANCH_EQ", Self::Equal),
        (b"BRANCH_NEQ", Self::Other),
    ];
}

struct Trees {
    nodes: Vec<Node>,
    roots: Vec<usize>,
    /// Steps from a root to the farthest leaf.
    depth: usize,
    targets: usize,
    /// A node's weight for each target; none where it has none.
    answers: Vec<Option<f32>>,
}

/// An attribute, and what is wrong with it.
type Refusal = (&'static str, &'static str);

const CHILD: Refusal = ("nodes_truenodeids", "it names a node that is not there");
const CIRCLE: Refusal = ("nodes_truenodeids", "a tree is deeper than 128 levels, or goes round");

impl Trees {
    fn new(nodes: Vec<Node>, roots: Vec<usize>, targets: usize) -> Result<Self, Refusal> {
        let answers = nodes.len().checked_mul(targets).filter(|&len| len <= ANSWERS_MAX);
        let answers = vec![None; answers.ok_or(("n_targets", "nodes by targets are more than 8 million"))?];
        let depth = depth(&nodes, &roots)?;
        Ok(Self { nodes, roots, depth, targets, answers })
    }

    fn answer(&mut self, node: usize, target: i64, weight: f32) -> Result<(), Refusal> {
        let target = usize::try_from(target).ok().filter(|&target| target < self.targets);
        let target = target.ok_or(("target_ids", "a target is out of range"))?;
        *self.answers[node * self.targets + target].get_or_insert(0.0) += weight;
        Ok(())
    }

    /// The aggregate of all trees for each row: `[rows, targets]`, without the base values.
    fn write(&self, w: &mut Writer<'_>, aggregate: Aggregate) -> String {
        let x = w.input(0);
        let x = w.float32(&x);
        let places = |of: fn(&Node) -> usize| -> Vec<i64> { self.nodes.iter().map(|node| to(of(node))).collect() };
        let features: Vec<i64> = self.nodes.iter().map(|node| node.feature).collect();
        let features = w.ints(&features);
        let [yes, no] = [places(|node| node.yes), places(|node| node.no)].map(|places| w.ints(&places));
        let high = w.floats(self.nodes.iter().map(|node| node.high).collect());
        let bounded = self.nodes.iter().any(|node| node.low > f32::NEG_INFINITY);
        let low = bounded.then(|| w.floats(self.nodes.iter().map(|node| node.low).collect()));
        let tracked = self.nodes.iter().any(|node| node.nan);
        let nan = tracked.then(|| {
            let nan: Vec<i64> = self.nodes.iter().map(|node| node.nan.into()).collect();
            let nan = w.ints(&nan);
            w.op_with("Cast", &[&nan], vec![int("to", i64::from(proto::BOOL))])
        });
        let roots: Vec<i64> = self.roots.iter().map(|&root| to(root)).collect();
        let mut at = w.ints(&roots);
        for level in 0..self.depth {
            let feature = w.op("Gather", &[&features, &at]);
            // All rows begin at the roots; from there on each takes its own path.
            let value = if level == 0 {
                w.op_with("Gather", &[&x, &feature], vec![int("axis", 1)])
            } else {
                w.op_with("GatherElements", &[&x, &feature], vec![int("axis", 1)])
            };
            let most = w.op("Gather", &[&high, &at]);
            let mut goes = w.op("LessOrEqual", &[&value, &most]);
            if let Some(low) = &low {
                let least = w.op("Gather", &[low, &at]);
                let above = w.op("GreaterOrEqual", &[&value, &least]);
                goes = w.op("And", &[&goes, &above]);
            }
            if let Some(nan) = &nan {
                let takes = w.op("Gather", &[nan, &at]);
                let missing = w.op("IsNaN", &[&value]);
                let taken = w.op("And", &[&takes, &missing]);
                goes = w.op("Or", &[&goes, &taken]);
            }
            let [yes, no] = [&yes, &no].map(|next| w.op("Gather", &[next, &at]));
            at = w.op("Where", &[&goes, &yes, &no]);
        }
        if self.depth == 0 {
            // A tree that is one leaf has the same answer for every row.
            at = self.for_each_row(w, &x, &at);
        }
        self.gather_answers(w, &at, aggregate)
    }

    /// `at` as it is, once a row.
    fn for_each_row(&self, w: &mut Writer<'_>, x: &str, at: &str) -> String {
        let rows = w.op_with("Shape", &[x], vec![int("end", 1)]);
        let trees = w.ints(&[to(self.roots.len())]);
        let shape = w.op_with("Concat", &[&rows, &trees], vec![int("axis", 0)]);
        w.op("Expand", &[at, &shape])
    }

    fn gather_answers(&self, w: &mut Writer<'_>, at: &str, aggregate: Aggregate) -> String {
        let silent = match aggregate {
            Aggregate::Sum | Aggregate::Average => 0.0,
            Aggregate::Min => f32::INFINITY,
            Aggregate::Max => f32::NEG_INFINITY,
        };
        let table = w.floats(self.answers.iter().map(|answer| answer.unwrap_or(silent)).collect());
        let shape = w.ints(&[-1, to(self.targets)]);
        let table = w.op("Reshape", &[&table, &shape]);
        // [rows, trees, targets]
        let said = w.op("Gather", &[&table, at]);
        let axis = w.ints(&[1]);
        let reduce = |op, w: &mut Writer<'_>| w.op_with(op, &[&said, &axis], vec![int("keepdims", 0)]);
        match aggregate {
            Aggregate::Sum => reduce("ReduceSum", w),
            Aggregate::Average => {
                let sum = reduce("ReduceSum", w);
                #[expect(clippy::cast_precision_loss, reason = "a number of trees")]
                let trees = w.scalar(self.roots.len() as f32);
                w.op("Div", &[&sum, &trees])
            }
            Aggregate::Min | Aggregate::Max => {
                let found = reduce(if aggregate == Aggregate::Min { "ReduceMin" } else { "ReduceMax" }, w);
                let (silent, none) = (w.scalar(silent), w.scalar(0.0));
                let empty = w.op("Equal", &[&found, &silent]);
                w.op("Where", &[&empty, &none, &found])
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

impl Aggregate {
    const ALL: [(&'static [u8], Self); 4] =
        [(b"SUM", Self::Sum), (b"AVERAGE", Self::Average), (b"MIN", Self::Min), (b"MAX", Self::Max)];

    fn read(w: &mut Writer<'_>) -> Result<Self, Refusal> {
        let Some(attribute) = w.attribute("aggregate_function") else { return Ok(Self::Sum) };
        let known = Self::ALL.iter().find(|(name, _)| *name == attribute.s).map(|(_, known)| *known);
        known.ok_or(("aggregate_function", "it must be SUM, AVERAGE, MIN or MAX"))
    }
}

/// Steps to the farthest leaf.
fn depth(nodes: &[Node], roots: &[usize]) -> Result<usize, Refusal> {
    let mut at: Vec<usize> = roots.to_vec();
    for depth in 0..=DEPTH_MAX {
        let mut next: Vec<usize> = at
            .iter()
            .filter(|&&place| nodes[place].yes != place)
            .flat_map(|&place| [nodes[place].yes, nodes[place].no])
            .collect();
        if next.is_empty() {
            return Ok(depth);
        }
        next.sort_unstable();
        next.dedup();
        at = next;
    }
    Err(CIRCLE)
}

fn ints<'a>(w: &Writer<'a>, name: &str) -> &'a [i64] {
    w.attribute(name).map_or(&[], |attribute| &attribute.ints)
}

fn floats<'a>(w: &Writer<'a>, name: &str) -> &'a [f32] {
    w.attribute(name).map_or(&[], |attribute| &attribute.floats)
}

/// Trees as the older operators write them: nodes by the numbers of their tree and their own, and what
/// leaves answer in lists whose names begin with `of`.
fn read_numbered(w: &Writer<'_>, of: &'static str, targets: usize) -> Result<Trees, Refusal> {
    let [trees, ids, features] = ["nodes_treeids", "nodes_nodeids", "nodes_featureids"].map(|name| ints(w, name));
    let [yes, no] = ["nodes_truenodeids", "nodes_falsenodeids"].map(|name| ints(w, name));
    let values = floats(w, "nodes_values");
    let nan = ints(w, "nodes_missing_value_tracks_true");
    let modes = w.attribute("nodes_modes").map_or(&[][..], |attribute| &attribute.strings);
    // How often training passed a node is of no use here.
    w.passed(&["nodes_hitrates"]);
    let lens = [ids.len(), features.len(), yes.len(), no.len(), values.len(), modes.len()];
    if trees.is_empty() || lens.iter().any(|&len| len != trees.len()) || !(nan.is_empty() || nan.len() == trees.len()) {
        return Err(("nodes_treeids", "the lists of nodes differ in length, or there is no node"));
    }
    let places: HashMap<(i64, i64), usize> = trees.iter().zip(ids).map(|(&t, &i)| (t, i)).zip(0..).collect();
    if places.len() != trees.len() {
        return Err(("nodes_nodeids", "two nodes of a tree have one number"));
    }
    let mut is_root = vec![true; trees.len()];
    let mut nodes = Vec::with_capacity(trees.len());
    for place in 0..trees.len() {
        if modes[place] == b"LEAF" {
            nodes.push(Node::leaf(place));
            continue;
        }
        let mode = BranchMode::ALL.iter().find(|(name, _)| *name == modes[place]).map(|(_, mode)| *mode);
        let mode = mode.ok_or(("nodes_modes", "it must be LEAF or one of BRANCH_LEQ, _LT, _GTE, _GT, _EQ and _NEQ"))?;
        let find = |id: i64| places.get(&(trees[place], id)).copied().ok_or(CHILD);
        let next = [find(yes[place])?, find(no[place])?];
        if next.contains(&place) {
            return Err(CIRCLE);
        }
        next.into_iter().for_each(|child| is_root[child] = false);
        let nan = nan.get(place).is_some_and(|&nan| nan != 0);
        nodes.push(Node::branch(mode, features[place], values[place], nan, next));
    }
    let roots: Vec<usize> = (0..nodes.len()).filter(|&place| is_root[place]).collect();
    let mut rooted: Vec<i64> = roots.iter().map(|&root| trees[root]).collect();
    rooted.sort_unstable();
    let mut all = trees.to_vec();
    all.sort_unstable();
    all.dedup();
    if rooted != all {
        return Err(("nodes_truenodeids", "a tree has not one root"));
    }
    let mut found = Trees::new(nodes, roots, targets)?;
    let list = |what: &str| format!("{of}_{what}");
    let (of_trees, of_nodes) = (ints(w, &list("treeids")), ints(w, &list("nodeids")));
    let (of_targets, weights) = (ints(w, &list("ids")), floats(w, &list("weights")));
    if [of_nodes.len(), of_targets.len(), weights.len()].iter().any(|&len| len != of_trees.len()) {
        return Err(("nodes_treeids", "the lists of what leaves answer differ in length"));
    }
    for (i, &weight) in weights.iter().enumerate() {
        let place = *places.get(&(of_trees[i], of_nodes[i])).ok_or(CHILD)?;
        found.answer(place, of_targets[i], weight)?;
    }
    Ok(found)
}

/// Trees as `TreeEnsemble` writes them: branches and leaves in lists of their own.
fn read_listed(w: &Writer<'_>, targets: usize) -> Result<Trees, Refusal> {
    let tensor = |name: &'static str| -> Result<Tensor, Refusal> {
        let stored = w.attribute(name).and_then(|attribute| attribute.t.as_ref()).ok_or((name, "it is missing"))?;
        Tensor::parse(name, stored).map_err(|_damaged| (name, "it cannot be read"))
    };
    let as_floats = |tensor: Tensor| -> Vec<f32> { tensor.words.iter().map(|&word| f32::from_bits(word)).collect() };
    let (splits, modes) = (as_floats(tensor("nodes_splits")?), tensor("nodes_modes")?.words);
    let weights = as_floats(tensor("leaf_weights")?);
    let of_targets = ints(w, "leaf_targetids");
    let members =
        if w.attribute("membership_values").is_some() { as_floats(tensor("membership_values")?) } else { vec![] };
    let mut members = members.split(|value| value.is_nan());
    let features = ints(w, "nodes_featureids");
    let [yes, no] = ["nodes_truenodeids", "nodes_falsenodeids"].map(|name| ints(w, name));
    let leaves = ["nodes_trueleafs", "nodes_falseleafs"].map(|name| ints(w, name));
    let nan = ints(w, "nodes_missing_value_tracks_true");
    w.passed(&["nodes_hitrates"]);
    let (branches, count) = (splits.len(), splits.len() + weights.len());
    let lens = [modes.len(), features.len(), yes.len(), no.len(), leaves[0].len(), leaves[1].len()];
    if lens.iter().any(|&len| len != branches)
        || !(nan.is_empty() || nan.len() == branches)
        || of_targets.len() != weights.len()
    {
        return Err(("nodes_splits", "the lists of nodes differ in length"));
    }
    let child = |side: usize, place: usize| -> Result<usize, Refusal> {
        let id = usize::try_from([yes, no][side][place]).map_err(|_negative| CHILD)?;
        let found = if leaves[side][place] == 0 { id } else { id.saturating_add(branches) };
        let last = if leaves[side][place] == 0 { branches } else { count };
        if found < last { Ok(found) } else { Err(CHILD) }
    };
    let mut nodes = Vec::with_capacity(count);
    // Further members of a set are nodes after all others.
    let mut more = Vec::new();
    for place in 0..branches {
        let next = [child(0, place)?, child(1, place)?];
        if next.contains(&place) {
            return Err(CIRCLE);
        }
        let nan = nan.get(place).is_some_and(|&nan| nan != 0);
        if modes[place] == 6 {
            let set = members.next().ok_or(("membership_values", "a node's set is missing"))?;
            let Some((&first, rest)) = set.split_first() else {
                // Nothing is in an empty set.
                let never = Node { low: f32::INFINITY, high: f32::NEG_INFINITY, ..Node::leaf(0) };
                nodes.push(Node { feature: features[place], nan, yes: next[0], no: next[1], ..never });
                continue;
            };
            let mut otherwise = next[1];
            for &member in rest {
                more.push(Node::branch(BranchMode::Equal, features[place], member, false, [next[0], otherwise]));
                otherwise = count + more.len() - 1;
            }
            nodes.push(Node::branch(BranchMode::Equal, features[place], first, nan, [next[0], otherwise]));
            continue;
        }
        let mode = usize::try_from(modes[place]).ok().and_then(|mode| BranchMode::ALL.get(mode));
        let mode = mode.map(|(_, mode)| *mode).ok_or(("nodes_modes", "it must be from 0 to 6"))?;
        nodes.push(Node::branch(mode, features[place], splits[place], nan, next));
    }
    nodes.extend((branches..count).map(Node::leaf));
    nodes.append(&mut more);
    let roots = ints(w, "tree_roots").iter().map(|&root| usize::try_from(root).ok().filter(|&root| root < branches));
    let roots: Vec<usize> = roots.collect::<Option<_>>().ok_or(("tree_roots", "a root is no node"))?;
    if roots.is_empty() {
        return Err(("tree_roots", "there is no tree"));
    }
    let mut found = Trees::new(nodes, roots, targets)?;
    for (i, &weight) in weights.iter().enumerate() {
        found.answer(branches + i, of_targets[i], weight)?;
    }
    Ok(found)
}

fn targets(w: &Writer<'_>) -> usize {
    usize::try_from(w.int("n_targets", 1)).unwrap_or(0).max(1)
}

pub(super) fn ensemble(w: &mut Writer<'_>) {
    let after = match w.int("post_transform", 0) {
        0 => "NONE",
        1 => "SOFTMAX",
        2 => "LOGISTIC",
        _ => return w.refuse("post_transform", "it must be 0, 1 or 2: none, softmax or logistic"),
    };
    let aggregate = match w.int("aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        _ => return w.refuse("aggregate_function", "it must be from 0 to 3"),
    };
    match read_listed(w, targets(w)) {
        Ok(trees) => {
            let said = trees.write(w, aggregate);
            transform_by(w, &said, after, w.node.output[0].clone());
        }
        Err((attribute, reason)) => w.refuse(attribute, reason),
    }
}

pub(super) fn regress(w: &mut Writer<'_>) {
    let read = Aggregate::read(w).and_then(|aggregate| Ok((aggregate, read_numbered(w, "target", targets(w))?)));
    let (aggregate, trees) = match read {
        Ok(read) => read,
        Err((attribute, reason)) => return w.refuse(attribute, reason),
    };
    let said = trees.write(w, aggregate);
    let said = with_base(w, said);
    let output = w.node.output[0].clone();
    if trees.targets == 1 && known_transform(w) {
        // onnxruntime transforms the scores of several targets only.
        return w.emit("Identity", &[&said], vec![output], vec![]);
    }
    transform(w, &said, output);
}

fn known_transform(w: &Writer<'_>) -> bool {
    let kind = w.attribute("post_transform").map_or(&b"NONE"[..], |attribute| &attribute.s);
    matches!(kind, b"NONE" | b"LOGISTIC" | b"SOFTMAX")
}

fn with_base(w: &mut Writer<'_>, said: String) -> String {
    let base = floats(w, "base_values").to_vec();
    if base.is_empty() {
        return said;
    }
    let base = w.floats(base);
    w.op("Add", &[&said, &base])
}

pub(super) fn classify(w: &mut Writer<'_>) {
    let labels = ints(w, "classlabels_int64s");
    if labels.is_empty() {
        return w.refuse("classlabels_strings", WHOLE_CLASSES);
    }
    let weights = floats(w, "class_weights");
    let one_line = labels.len() == 2;
    if one_line && ints(w, "class_ids").iter().any(|&id| id != 0) {
        return w.refuse("class_ids", "of two classes, weights are for the first, and stand for the second");
    }
    let targets = if one_line { 1 } else { labels.len() };
    let trees = match read_numbered(w, "class", targets) {
        Ok(trees) => trees,
        Err((attribute, reason)) => return w.refuse(attribute, reason),
    };
    if !matches!(floats(w, "base_values").len(), 0 | 1) && one_line {
        return w.refuse("base_values", "two classes have one base value");
    }
    let said = trees.write(w, Aggregate::Sum);
    let said = with_base(w, said);
    let label = w.node.output.first().cloned().unwrap_or_default();
    let scores = w.node.output.get(1).cloned().unwrap_or_default();
    let labels = w.ints(labels);
    if !one_line {
        let best = w.op_with("ArgMax", &[&said], vec![int("axis", 1), int("keepdims", 0)]);
        w.emit("Gather", &[&labels, &best], vec![label], vec![]);
        if scores.is_empty() {
            w.passed(&["post_transform"]);
            return;
        }
        return transform(w, &said, scores);
    }
    // One score stands for two classes, as onnxruntime reads it: a probability where no weight is negative.
    let is_probability = weights.iter().all(|&weight| weight >= 0.0);
    let border = w.scalar(if is_probability { 0.5 } else { 0.0 });
    let second = w.op("Greater", &[&said, &border]);
    let second = w.op_with("Cast", &[&second], vec![int("to", i64::from(proto::INT64))]);
    let axis = w.ints(&[1]);
    let second = w.op("Squeeze", &[&second, &axis]);
    w.emit("Gather", &[&labels, &second], vec![label], vec![]);
    if !known_transform(w) {
        return w.refuse("post_transform", "it must be NONE, LOGISTIC or SOFTMAX");
    }
    if scores.is_empty() {
        return;
    }
    let is_logistic = w.attribute("post_transform").is_some_and(|attribute| attribute.s == b"LOGISTIC");
    let first = if is_probability && !is_logistic {
        let one = w.scalar(1.0);
        w.op("Sub", &[&one, &said])
    } else {
        w.op("Neg", &[&said])
    };
    let both = w.op_with("Concat", &[&first, &said], vec![int("axis", 1)]);
    transform_by(w, &both, if is_logistic { "LOGISTIC" } else { "NONE" }, scores);
}
