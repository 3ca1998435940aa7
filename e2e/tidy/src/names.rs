//! What the files of a crate name: paths in `use` lines, code and macros; methods, and calls of them on `self`.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

use crate::modules::{ROOT, Tree, is_for_tests};

/// What the files name.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) paths: Vec<Named>,
    /// Of `impl` blocks without a trait.
    pub(crate) methods: Vec<Method>,
    /// On `self`.
    pub(crate) calls: Vec<Method>,
}

/// A method of a type, which `of` names.
pub(crate) struct Method {
    pub(crate) module: usize,
    pub(crate) of: Vec<String>,
    pub(crate) name: String,
}

/// A path that a module names.
pub(crate) struct Named {
    pub(crate) module: usize,
    pub(crate) segments: Vec<String>,
    pub(crate) import: Option<Import>,
}

pub(crate) struct Import {
    /// None for `*`.
    pub(crate) name: Option<String>,
    pub(crate) is_public: bool,
}

impl Named {
    pub(crate) fn is_face(&self) -> bool {
        self.module == ROOT && self.import.as_ref().is_some_and(|import| import.is_public)
    }
}

pub(crate) fn names(tree: &Tree) -> Names {
    let mut found = Names::default();
    for file in &tree.files {
        let mut walk = Walk { tree, module: file.module, of: None, found: &mut found };
        file.items.iter().for_each(|item| walk.visit_item(item));
    }
    found
}

struct Walk<'a> {
    tree: &'a Tree,
    module: usize,
    /// The type whose `impl` block this is.
    of: Option<Vec<String>>,
    found: &'a mut Names,
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl Walk<'_> {
    fn name(&mut self, segments: Vec<String>, import: Option<Import>) {
        self.found.paths.push(Named { module: self.module, segments, import });
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
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for window in tokens.windows(4) {
            if let [TokenTree::Ident(own), TokenTree::Punct(dot), TokenTree::Ident(name), TokenTree::Group(_)] = window
                && own == "self"
                && dot.as_char() == '.'
            {
                self.call_on_self(name);
            }
        }
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
        // Alone and in small letters it may be a variable.
        let is_type = |name: &String| name.starts_with(char::is_uppercase);
        if path.len() > 1 || path.first().is_some_and(is_type) {
            self.name(path, None);
        }
    }

    fn call_on_self(&mut self, name: &syn::Ident) {
        if let Some(of) = self.of.clone() {
            self.found.calls.push(Method { module: self.module, of, name: name.to_string() });
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

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let of = match &*block.self_ty {
            syn::Type::Path(of) if of.qself.is_none() => Some(segments(&of.path)),
            _ => None,
        };
        if let (Some(of), None) = (&of, &block.trait_) {
            for item in &block.items {
                if let syn::ImplItem::Fn(method) = item {
                    let name = method.sig.ident.to_string();
                    self.found.methods.push(Method { module: self.module, of: of.clone(), name });
                }
            }
        }
        let outer = std::mem::replace(&mut self.of, of);
        visit::visit_item_impl(self, block);
        self.of = outer;
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if matches!(&*call.receiver, syn::Expr::Path(receiver) if receiver.path.is_ident("self")) {
            self.call_on_self(&call.method);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.imports(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.end(segments(path));
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
