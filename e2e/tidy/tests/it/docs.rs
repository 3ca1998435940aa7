//! The documentation as what renders it needs it: a title, a summary, links that lead somewhere, nothing but Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use tidy::root;

/// Pages by their path below `edge-api/docs`.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    let docs = root().join("edge-api/docs");
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(docs.join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.insert(path, std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Lines outside of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// Where a page's links to other pages lead, below `edge-api/docs`.
fn links(page: &Path, text: &str) -> Vec<PathBuf> {
    let lines = prose(text).collect::<Vec<_>>().join("\n");
    let targets = lines.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let own = targets.filter(|target| !target.is_empty() && !target.contains("://"));
    own.map(|target| normal(&page.parent().unwrap().join(target))).collect()
}

fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(parts.pop(), "{} leads out of the documentation", path.display()),
            Component::Normal(name) => parts.push(name),
            _ => {}
        }
    }
    parts
}

#[test]
fn each_page_has_a_title_and_a_summary() {
    for (page, text) in pages() {
        let titles: Vec<&str> = prose(&text).filter(|line| line.starts_with("# ")).collect();
        assert_eq!(titles.len(), 1, "{}: one title a page", page.display());
        let mut lines = prose(&text).filter(|line| !line.is_empty());
        assert_eq!(lines.next(), Some(titles[0]), "{}: the title comes first", page.display());
        let summary = lines.next().unwrap_or_default();
        assert!(!summary.starts_with(['#', '|', '-', '!']), "{}: a summary follows the title", page.display());
    }
}

#[test]
fn each_link_leads_to_a_page_and_each_page_is_led_to() {
    let pages = pages();
    let mut seen = BTreeSet::new();
    let mut next = vec![PathBuf::from("README.md")];
    while let Some(page) = next.pop() {
        let text = pages.get(&page).unwrap_or_else(|| panic!("there is no page {}", page.display()));
        next.extend(links(&page, text).into_iter().filter(|target| seen.insert(target.clone())));
    }
    let all: BTreeSet<PathBuf> = pages.into_keys().filter(|page| *page != Path::new("README.md")).collect();
    seen.remove(Path::new("README.md"));
    assert_eq!(all, seen);
}

#[test]
fn pages_hold_no_html() {
    for (page, text) in pages() {
        for line in prose(&text) {
            // Code in a line, and addresses in brackets, are Markdown.
            let outside: String = line.split('`').step_by(2).collect();
            let is_tag = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
            let tags = outside.split('<').skip(1).filter(|rest| is_tag(rest) && !rest.starts_with("http"));
            assert_eq!(tags.count(), 0, "{}: {line}", page.display());
        }
    }
}

#[test]
fn each_error_code_is_in_the_reference() {
    let text = std::fs::read_to_string(root().join("edge-api/wire/src/error.rs")).unwrap();
    let written = &pages()[Path::new("reference/errors.md")];
    let items = syn::parse_file(&text).unwrap().items;
    let codes = items.into_iter().find_map(|item| match item {
        syn::Item::Macro(codes) if codes.mac.path.is_ident("error_codes") => Some(codes.mac.tokens),
        _ => None,
    });
    let names = codes.unwrap().into_iter().filter_map(|token| match token {
        proc_macro2::TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    });
    for name in names {
        let upper = |(at, c): (usize, char)| if c.is_uppercase() && at > 0 { vec!['_', c] } else { vec![c] };
        let name: String = name.char_indices().flat_map(upper).collect::<String>().to_lowercase();
        assert!(written.contains(&format!("| `{name}` |")), "the reference should say what {name} means");
    }
}
