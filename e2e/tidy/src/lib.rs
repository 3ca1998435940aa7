#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, reason = "what cannot be read should fail the tests that ask for it")]

pub mod circles;
mod modules;
mod names;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The workspace's folder.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// The folders of the workspace's crates.
pub fn crates() -> Vec<String> {
    let workspace = manifest(".");
    workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .collect()
}

/// A folder's `Cargo.toml`.
pub fn manifest(folder: &str) -> toml::Table {
    std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Every dependency of a crate, for every target, without those of its tests.
pub fn dependencies(folder: &str) -> Vec<String> {
    let manifest = manifest(folder);
    let targets =
        manifest.get("target").and_then(|targets| targets.as_table()).into_iter().flat_map(|targets| targets.values());
    let tables = targets.filter_map(|target| target.get("dependencies")).chain(manifest.get("dependencies"));
    tables.filter_map(|table| table.as_table()).flat_map(|table| table.iter().map(name)).collect()
}

/// The crate that a dependency is of, whatever it is called here.
fn name((key, dependency): (&String, &toml::Value)) -> String {
    dependency.get("package").and_then(|package| package.as_str()).unwrap_or(key).to_owned()
}

/// Rust sources with their paths from the root.
pub fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in crates() {
        collect(&root().join(&folder), &folder, &mut found);
    }
    found
}

fn collect(folder: &Path, name: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let file_name = entry.file_name().into_string().unwrap();
        let name = format!("{name}/{file_name}");
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &name, found);
        } else if name.ends_with(".rs") {
            found.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// The part of a file before its inline tests.
pub fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}
