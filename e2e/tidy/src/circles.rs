//! Circles of files: a file uses the files that define what it names, by `use` or by a path in its code, in macros
//! too. Files that use each other, directly or around a corner, are one file in several places.
//!
//! Re-exports are followed: whoever names `parent::Name` uses the file that defines `Name`, and `parent`'s as well,
//! unless that is the crate's root, whose `pub use` lines are its face. A `mod` line is no use, and neither is what
//! only a test needs, nor what an attribute names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

const ROOT: usize = 0;
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
    let paths = tree.paths();
    for path in &paths {
        if let Some(name) = path.import.as_ref().and_then(|import| import.name.clone()) {
            tree.modules[path.module].imports.entry(name).or_default().push(path.segments.clone());
        }
    }
    let mut uses = BTreeMap::new();
    for path in paths.iter().filter(|path| !path.is_face()) {
        let user = tree.modules[path.module].file;
        let mut used = BTreeSet::new();
        tree.resolve(path.module, &path.segments, path.import.is_some(), FOLLOWED_MAX, &mut used);
        for used in used.into_iter().map(|module| tree.modules[module].file).filter(|used| *used != user) {
            uses.entry((user, used)).or_insert_with(|| path.segments.join("::"));
        }
    }
    tree.group(&uses)
}

#[derive(Default)]
struct Tree {
    files: Vec<File>,
    modules: Vec<Module>,
}

struct File {
    path: PathBuf,
    module: usize,
    items: Vec<Item>,
}

#[derive(Default)]
struct Module {
    file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// What a name stands for that `use` brings in: two things where a `cfg` chooses.
    imports: BTreeMap<String, Vec<Vec<String>>>,
}

/// A path that a module names.
struct Named {
    module: usize,
    segments: Vec<String>,
    import: Option<Import>,
}

struct Import {
    /// None for `*`.
    name: Option<String>,
    is_public: bool,
}

impl Named {
    fn is_face(&self) -> bool {
        self.module == ROOT && self.import.as_ref().is_some_and(|import| import.is_public)
    }
}

impl Tree {
    /// Reads a file and those that it declares, whose own lie in `folder`.
    fn read(&mut self, path: &Path, folder: &Path, parent: Option<usize>) -> usize {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let module = self.add(Module { file: self.files.len(), parent, ..Module::default() });
        self.files.push(File { path: path.to_owned(), module, items: Vec::new() });
        self.declare(&syntax.items, module, path, folder);
        let file = self.modules[module].file;
        self.files[file].items = syntax.items;
        module
    }

    fn add(&mut self, module: Module) -> usize {
        self.modules.push(module);
        self.modules.len() - 1
    }

    fn declare(&mut self, items: &[Item], module: usize, file: &Path, folder: &Path) {
        for item in items.iter().filter(|item| !is_for_tests(item)) {
            let Item::Mod(declared) = item else { continue };
            let name = declared.ident.to_string();
            let inner = folder.join(&name);
            let child = if let Some((_, items)) = &declared.content {
                let child =
                    self.add(Module { file: self.modules[module].file, parent: Some(module), ..Module::default() });
                self.declare(items, child, file, &inner);
                child
            } else if let Some(elsewhere) = path_attribute(declared) {
                let path = file.parent().expect("a file should have a folder").join(elsewhere);
                self.read(&path, path.parent().expect("a file should have a folder"), Some(module))
            } else {
                let alone = inner.with_extension("rs");
                let path = if alone.is_file() { alone } else { inner.join("mod.rs") };
                self.read(&path, &inner, Some(module))
            };
            self.modules[module].children.insert(name, child);
        }
    }

    /// Every path that the files name.
    fn paths(&self) -> Vec<Named> {
        let mut found = Vec::new();
        for file in &self.files {
            let mut walk = Walk { tree: self, module: file.module, found: &mut found };
            file.items.iter().for_each(|item| walk.visit_item(item));
        }
        found
    }

    /// The modules whose files a path needs: where it ends, and those that re-export it on the way.
    fn resolve(&self, from: usize, path: &[String], is_import: bool, left: usize, used: &mut BTreeSet<usize>) {
        let Some((first, rest)) = path.split_first().filter(|_| left > 0) else { return };
        let here = &self.modules[from];
        match first.as_str() {
            "crate" => self.descend(ROOT, rest, is_import, left, used),
            "self" => self.descend(from, rest, is_import, left, used),
            "super" => {
                let parent = here.parent.expect("a module that names its parent should have one");
                match rest.first() {
                    Some(next) if next == "super" => self.resolve(parent, rest, is_import, left, used),
                    _ => self.descend(parent, rest, is_import, left, used),
                }
            }
            name if here.children.contains_key(name) => self.descend(from, path, is_import, left, used),
            name => {
                for import in here.imports.get(name).into_iter().flatten().filter(|import| *import != path) {
                    let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
                    self.resolve(from, &whole, is_import, left - 1, used);
                }
            }
        }
    }

    fn descend(&self, from: usize, path: &[String], is_import: bool, left: usize, used: &mut BTreeSet<usize>) {
        let mut module = from;
        for (at, name) in path.iter().enumerate() {
            let here = &self.modules[module];
            // No value and no type is a module: at the end of a path in code the name is an item of this one.
            let may_be_module = is_import || at + 1 < path.len();
            if let Some(child) = here.children.get(name).filter(|_| may_be_module) {
                module = *child;
            } else if let Some(imports) = here.imports.get(name) {
                if module != ROOT {
                    used.insert(module);
                }
                for import in imports {
                    let whole: Vec<String> = import.iter().chain(&path[at + 1..]).cloned().collect();
                    self.resolve(module, &whole, is_import, left - 1, used);
                }
                return;
            } else {
                break;
            }
        }
        used.insert(module);
    }

    /// Files that reach each other.
    fn group(&self, uses: &BTreeMap<(usize, usize), String>) -> Vec<Circle> {
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|file| reachable(file, uses)).collect();
        let mut circles = Vec::new();
        let mut grouped = BTreeSet::new();
        for file in 0..self.files.len() {
            let circle: BTreeSet<usize> =
                reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
            if circle.is_empty() || !grouped.insert(circle.clone()) {
                continue;
            }
            let inside = uses.iter().filter(|((user, used), _)| circle.contains(user) && circle.contains(used));
            let path = |file: usize| self.files[file].path.clone();
            circles.push(Circle(
                inside
                    .map(|((user, used), name)| Use { user: path(*user), used: path(*used), path: name.clone() })
                    .collect(),
            ));
        }
        circles
    }
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

fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    let is_test = |meta: &syn::MetaList| meta.path.is_ident("cfg") && meta.tokens.to_string() == "test";
    attributes.iter().any(|attribute| matches!(&attribute.meta, syn::Meta::List(meta) if is_test(meta)))
}

/// The file that `#[path = "…"]` names.
fn path_attribute(declared: &syn::ItemMod) -> Option<String> {
    declared.attrs.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(syn::MetaNameValue {
            path,
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(file), .. }),
            ..
        }) if path.is_ident("path") => Some(file.value()),
        _ => None,
    })
}

struct Walk<'a> {
    tree: &'a Tree,
    module: usize,
    found: &'a mut Vec<Named>,
}

impl Walk<'_> {
    fn name(&mut self, segments: Vec<String>, import: Option<Import>) {
        self.found.push(Named { module: self.module, segments, import });
    }

    fn imports(&mut self, tree: &UseTree, before: &[String], is_public: bool) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.imports(&path.tree, &with(&path.ident), is_public),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.imports(item, before, is_public)),
            UseTree::Glob(_) => self.name(before.to_vec(), Some(Import { name: None, is_public })),
            UseTree::Name(syn::UseName { ident: own }) | UseTree::Rename(syn::UseRename { ident: own, .. }) => {
                let path = if own == "self" { before.to_vec() } else { with(own) };
                let name = match tree {
                    UseTree::Rename(rename) => Some(rename.rename.to_string()),
                    _ => path.last().cloned(),
                };
                self.name(path, Some(Import { name, is_public }));
            }
        }
    }

    /// Paths among a macro's tokens, whatever it makes of them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => path.push(name.to_string()),
                TokenTree::Ident(name) => self.end(std::mem::replace(&mut path, vec![name.to_string()])),
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end(std::mem::take(&mut path));
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.end(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.end(path);
    }

    fn end(&mut self, path: Vec<String>) {
        // A name alone came in by `use`, or is of this file.
        if path.len() > 1 {
            self.name(path, None);
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, declared: &'ast syn::ItemMod) {
        if declared.content.is_some() {
            let outer = self.module;
            self.module = self.tree.modules[outer].children[&declared.ident.to_string()];
            visit::visit_item_mod(self, declared);
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.imports(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.end(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        visit::visit_macro(self, called);
        self.tokens(called.tokens.clone());
    }

    /// `pub(in path)` says who may use, not what is used.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
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
    fn what_only_a_test_needs_is_left_out() {
        let tested = "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }";
        check(&[("lib.rs", "mod a; mod b;"), ("a.rs", tested), ("b.rs", "pub struct B(crate::a::A);")], &[]);
    }
}
