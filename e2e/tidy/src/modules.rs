//! A crate's modules: which files declare which, what each brings in by `use`, and where a path leads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::Item;

pub(crate) const ROOT: usize = 0;

#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) modules: Vec<Module>,
    /// What the crate calls itself by `extern crate self as …`.
    own_names: BTreeSet<String>,
}

pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) module: usize,
    pub(crate) items: Vec<Item>,
}

#[derive(Default)]
pub(crate) struct Module {
    pub(crate) file: usize,
    parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// What a name stands for that `use` brings in: two things where a `cfg` chooses.
    pub(crate) imports: BTreeMap<String, Vec<Vec<String>>>,
    /// What `use` brings in whole.
    pub(crate) globs: Vec<Vec<String>>,
    /// What is written in it.
    pub(crate) items: BTreeSet<String>,
}

impl Tree {
    /// Reads a file and those that it declares, whose own lie in `folder`.
    pub(crate) fn read(&mut self, path: &Path, folder: &Path, parent: Option<usize>) -> usize {
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
            if let Item::ExternCrate(syn::ItemExternCrate { ident, rename: Some((_, name)), .. }) = item
                && ident == "self"
            {
                self.own_names.insert(name.to_string());
            }
            self.modules[module].items.extend(item_name(item));
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

    /// The module where the type is written that a path names, and the type's name there.
    pub(crate) fn home(&self, from: usize, path: &[String], left: usize) -> Option<(usize, String)> {
        let left = left.checked_sub(1)?;
        let (name, before) = path.split_last()?;
        let module = if before.is_empty() { from } else { self.module_of(from, before, left)? };
        let here = &self.modules[module];
        if here.items.contains(name) {
            return Some((module, name.clone()));
        }
        let imports = here.imports.get(name).into_iter().flatten();
        let mut by_name = imports.filter(|import| module != from || *import != path);
        let by_glob = || {
            let target = self.globs_with(module, name, left).next()?;
            self.home(target, std::slice::from_ref(name), left)
        };
        by_name.find_map(|import| self.home(module, import, left)).or_else(by_glob)
    }

    /// The module that a path names, if it names one.
    fn module_of(&self, from: usize, path: &[String], left: usize) -> Option<usize> {
        let left = left.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => ROOT,
            "self" => from,
            "super" => self.modules[from].parent?,
            name => match self.child(from, name, left) {
                Some(child) => child,
                None if self.own_names.contains(name) => ROOT,
                None => return None,
            },
        };
        for name in rest {
            module = match name.as_str() {
                "super" => self.modules[module].parent?,
                name => self.child(module, name, left)?,
            };
        }
        Some(module)
    }

    fn child(&self, module: usize, name: &str, left: usize) -> Option<usize> {
        let here = &self.modules[module];
        let by_import = || here.imports.get(name)?.iter().find_map(|import| self.module_of(module, import, left));
        here.children.get(name).copied().or_else(by_import)
    }

    /// The modules that a module brings in whole and that have this name.
    fn globs_with(&self, module: usize, name: &str, left: usize) -> impl Iterator<Item = usize> {
        let targets = self.modules[module].globs.iter().filter_map(move |glob| self.module_of(module, glob, left));
        targets.filter(move |target| *target != module && self.has(*target, name, left))
    }

    fn has(&self, module: usize, name: &str, left: usize) -> bool {
        let here = &self.modules[module];
        let is_named = here.items.contains(name) || here.imports.contains_key(name) || here.children.contains_key(name);
        is_named || left.checked_sub(1).is_some_and(|left| self.globs_with(module, name, left).next().is_some())
    }

    /// The modules whose files a path needs: where it ends, and those that re-export it on the way.
    pub(crate) fn resolve(
        &self,
        from: usize,
        path: &[String],
        is_import: bool,
        left: usize,
        used: &mut BTreeSet<usize>,
    ) {
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
            name if self.own_names.contains(name) => self.descend(ROOT, rest, is_import, left, used),
            name if !here.imports.contains_key(name) => {
                for target in self.globs_with(from, name, left) {
                    self.descend(target, path, is_import, left - 1, used);
                }
            }
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
            } else if here.items.contains(name) {
                break;
            } else {
                let targets: Vec<usize> = self.globs_with(module, name, left).collect();
                if targets.is_empty() {
                    break;
                }
                if module != ROOT {
                    used.insert(module);
                }
                for target in targets {
                    self.descend(target, &path[at..], is_import, left.saturating_sub(1), used);
                }
                return;
            }
        }
        used.insert(module);
    }
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

pub(crate) fn is_for_tests(item: &Item) -> bool {
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
