//! Circles of files: a file uses the files that define what it names, by `use` or by a path in its code, in macros
//! too. Files that use each other, directly or around a corner, are one file in several places.
//!
//! Re-exports are followed, `*` too: whoever names `parent::Name` uses the file that defines `Name`, and `parent`'s
//! as well, unless that is the crate's root, whose `pub use` lines are its face. An `impl` block that calls a method
//! on `self` uses the file where that method of its type is written. A `mod` line is no use, and neither is what only
//! a test needs, nor what an attribute names. A method called on anything but `self` is not seen: that would take types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::modules::Tree;
use crate::names::{Import, Method, Named, Names, names};

/// Re-exports followed in a row; those that lead to each other end here.
const FOLLOWED_MAX: usize = 16;

/// Files that all use each other.
pub struct Circle(Vec<Use>);

struct Use {
    user: PathBuf,
    used: PathBuf,
    path: String,
}

impl std::fmt::Display for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|edge| writeln!(f, "  {} uses {} by {}", edge.user.display(), edge.used.display(), edge.path))
    }
}

/// The circles among the files that a `lib.rs` or `main.rs` declares.
pub fn circles(root: &Path) -> Vec<Circle> {
    let mut tree = Tree::default();
    tree.read(root, root.parent().expect("a file should have a folder"), None);
    let named = names(&tree);
    for path in &named.paths {
        let module = &mut tree.modules[path.module];
        match &path.import {
            Some(Import { name: Some(name), .. }) => {
                module.imports.entry(name.clone()).or_default().push(path.segments.clone());
            }
            Some(Import { name: None, .. }) => module.globs.push(path.segments.clone()),
            None => {}
        }
    }
    let mut uses = BTreeMap::new();
    let mut note = |user: usize, used: usize, name: &dyn Fn() -> String| {
        let (user, used) = (tree.modules[user].file, tree.modules[used].file);
        if user != used {
            uses.entry((user, used)).or_insert_with(name);
        }
    };
    for path in named.paths.iter().filter(|path| !path.is_face() && may_lead_away(&tree, path)) {
        let mut used = BTreeSet::new();
        tree.resolve(path.module, &path.segments, path.import.is_some(), FOLLOWED_MAX, &mut used);
        used.into_iter().for_each(|used| note(path.module, used, &|| path.segments.join("::")));
    }
    for (call, written) in calls_of_methods(&tree, &named) {
        note(call.module, written, &|| format!("self.{}()", call.name));
    }
    group(&tree, &uses)
}

/// A name alone is of this module or was brought in by its name, unless a `*` brought it.
fn may_lead_away(tree: &Tree, path: &Named) -> bool {
    let here = &tree.modules[path.module];
    match (&path.segments[..], &path.import) {
        ([name], None) => !here.globs.is_empty() && !here.items.contains(name) && !here.imports.contains_key(name),
        _ => true,
    }
}

/// Calls on `self` with the modules where the methods are written, unless one is written where it is called.
fn calls_of_methods<'a>(tree: &Tree, named: &'a Names) -> Vec<(&'a Method, usize)> {
    let home = |method: &Method| Some((tree.home(method.module, &method.of, FOLLOWED_MAX)?, method.name.clone()));
    let mut written: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for method in &named.methods {
        if let Some(key) = home(method) {
            written.entry(key).or_default().push(method.module);
        }
    }
    let found = named.calls.iter().filter_map(|call| Some((call, written.get(&home(call)?)?)));
    found.flat_map(|(call, modules)| modules.iter().map(move |module| (call, *module))).collect()
}

/// Files that reach each other.
fn group(tree: &Tree, uses: &BTreeMap<(usize, usize), String>) -> Vec<Circle> {
    let reached: Vec<BTreeSet<usize>> = (0..tree.files.len()).map(|file| reachable(file, uses)).collect();
    let mut circles = Vec::new();
    let mut grouped = BTreeSet::new();
    for file in 0..tree.files.len() {
        let circle: BTreeSet<usize> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        if circle.is_empty() || !grouped.insert(circle.clone()) {
            continue;
        }
        let inside = uses.iter().filter(|((user, used), _)| circle.contains(user) && circle.contains(used));
        let path = |file: usize| tree.files[file].path.clone();
        circles.push(Circle(
            inside
                .map(|((user, used), name)| Use { user: path(*user), used: path(*used), path: name.clone() })
                .collect(),
        ));
    }
    circles
}

/// What a file uses, directly or around a corner; itself only if it is in a circle.
fn reachable(file: usize, uses: &BTreeMap<(usize, usize), String>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![file];
    while let Some(user) = next.pop() {
        let used = uses.range((user, 0)..(user + 1, 0)).map(|((_, used), _)| *used);
        next.extend(used.filter(|used| reached.insert(*used)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a crate's files and compares the files of its circles with those expected.
    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&[&str]]) {
        let folder = tempfile::tempdir().expect("a temporary folder should be made");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a file should have a folder"))
                .expect("a folder should be made");
            std::fs::write(path, text).expect("a file should be written");
        }
        let found: Vec<BTreeSet<String>> = circles(&folder.path().join("lib.rs"))
            .iter()
            .map(|circle| {
                let path = |path: &PathBuf| path.strip_prefix(folder.path()).map(|path| path.display().to_string());
                circle.0.iter().filter_map(|edge| path(&edge.user).ok()).collect()
            })
            .collect();
        let expected: Vec<BTreeSet<String>> =
            expected.iter().map(|circle| circle.iter().map(|name| (*name).to_owned()).collect()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn files_that_use_each_other_are_a_circle() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::B; pub struct A(B);"),
                ("b.rs", "pub struct B; fn f(_: super::a::A) {}"),
            ],
            &[&["a.rs", "b.rs"]],
        );
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "use crate::b; fn f() { b::f() }"),
                ("b.rs", "pub fn f() { assert!(crate::c::f(&[1])) }"),
                ("c.rs", "use super::a::*; pub fn f(_: &[i32]) -> bool { true }"),
            ],
            &[&["a.rs", "b.rs", "c.rs"]],
        );
    }

    #[test]
    fn one_way_is_no_circle() {
        check(
            &[
                ("lib.rs", "mod a; mod b; use a::A; pub type B = A;"),
                ("a.rs", "pub struct A;"),
                ("b.rs", "use crate::a::A; fn f(_: A, _: crate::B) {}"),
            ],
            &[],
        );
    }

    #[test]
    fn a_parent_and_its_child_may_use_each_other_one_way_only() {
        let parent = "mod child; pub use child::C; pub struct P;";
        check(&[("lib.rs", "mod p;"), ("p/mod.rs", parent), ("p/child.rs", "pub struct C;")], &[]);
        let child = "pub struct C(super::P);";
        check(&[("lib.rs", "mod p;"), ("p/mod.rs", parent), ("p/child.rs", child)], &[&["p/child.rs", "p/mod.rs"]]);
    }

    #[test]
    fn the_face_of_a_crate_is_looked_through() {
        let face = "mod a; mod b; pub use a::A; pub use b::B; pub type Micros = i64;";
        check(&[("lib.rs", face), ("a.rs", "pub struct A(crate::B);"), ("b.rs", "pub struct B(crate::Micros);")], &[]);
        let back = "pub struct B(crate::A);";
        check(&[("lib.rs", face), ("a.rs", "pub struct A(crate::B);"), ("b.rs", back)], &[&["a.rs", "b.rs"]]);
    }

    #[test]
    fn a_star_is_looked_through() {
        let (a, b) = (("a.rs", "pub struct A(crate::B);"), ("b.rs", "pub struct B(crate::A);"));
        check(&[("lib.rs", "mod a; mod b; pub use a::*; pub use b::*;"), a, b], &[&["a.rs", "b.rs"]]);
        check(&[("lib.rs", "mod a; mod b; pub use a::*; pub use b::B;"), a, ("b.rs", "pub struct B;")], &[]);
        let by_star = ("b.rs", "use super::*; pub struct B(A);");
        check(
            &[("lib.rs", "mod a; mod b; pub(crate) use a::A; pub(crate) use b::B;"), a, by_star],
            &[&["a.rs", "b.rs"]],
        );
        let own = ("b.rs", "use super::*; pub struct A; pub struct B(A);");
        check(&[("lib.rs", "mod a; mod b; pub(crate) use a::A; pub(crate) use b::B;"), a, own], &[]);
    }

    #[test]
    fn a_crate_may_call_itself_by_another_name() {
        let face = "extern crate self as me; mod a; mod b;";
        let (a, b) = (("a.rs", "pub struct A(me::b::B);"), ("b.rs", "use me::a::A; pub struct B(A);"));
        check(&[("lib.rs", face), a, b], &[&["a.rs", "b.rs"]]);
    }

    #[test]
    fn a_method_is_used_where_it_is_called_on_self() {
        let root = ("lib.rs", "mod a; mod b;");
        let calls = ("a.rs", "pub struct A; impl A { pub fn f(&self) { self.g() } }");
        let far = ("b.rs", "use crate::a::A; impl A { pub fn g(&self) {} }");
        check(&[root, calls, far], &[&["a.rs", "b.rs"]]);
        let in_a_macro = ("a.rs", "pub struct A; impl A { pub fn f(&self) { assert!(self.g()) } }");
        check(&[root, in_a_macro, far], &[&["a.rs", "b.rs"]]);
        let one_way = ("b.rs", "use crate::a::A; impl A { pub fn g(&self) { self.f() } pub fn f(&self) {} }");
        check(&[root, ("a.rs", "pub struct A;"), one_way], &[]);
        // Another type of the same name.
        let other = ("b.rs", "use crate::a::A as _; struct A; impl A { pub fn g(&self) {} }");
        check(&[root, calls, other], &[]);
    }

    #[test]
    fn two_files_of_one_types_methods_may_be_a_circle() {
        let root = ("lib.rs", "mod a; mod b; mod c;");
        let b = ("b.rs", "use crate::a::A; impl A { pub fn g(&self) { self.h() } }");
        let c = ("c.rs", "use crate::a::A; impl A { pub fn h(&self) { self.g() } }");
        check(&[root, ("a.rs", "pub struct A;"), b, c], &[&["b.rs", "c.rs"]]);
    }

    #[test]
    fn what_only_a_test_needs_is_left_out() {
        let tested = "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }";
        check(&[("lib.rs", "mod a; mod b;"), ("a.rs", tested), ("b.rs", "pub struct B(crate::a::A);")], &[]);
    }
}
