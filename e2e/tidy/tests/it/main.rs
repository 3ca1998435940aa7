//! Style rules that clippy cannot see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod docs;

use std::collections::BTreeSet;
use std::path::PathBuf;

use tidy::circles::{Circle, circles};
use tidy::{code, crates, dependencies, manifest, root, sources};

const LINES_MAX: usize = 600;
const FORBIDDEN_MODULES: [&str; 10] =
    ["manager", "service", "repository", "dto", "utils", "util", "helpers", "common", "types", "prelude"];

/// Which crates of this workspace each may depend on.
const ARROWS: [(&str, &[&str]); 16] = [
    ("edge-api/wire", &[]),
    ("edge-api/rules", &["wire"]),
    ("edge-api/store", &["wire", "rules"]),
    ("edge-api/site", &["wire", "web"]),
    ("edge-api/client", &["wire"]),
    ("edge-api", &["wire", "rules", "store", "site", "web", "gpu-kernels", "onnx", "gate"]),
    ("gpu-kernels", &[]),
    ("gpu-kernels/onnx", &["gpu-kernels"]),
    ("gpu-kernels/gate", &["gpu-kernels"]),
    ("worker", &["wire", "gpu-kernels", "onnx", "gate"]),
    ("web", &["wire", "rules"]),
    ("e2e", &["client", "wire", "store", "gpu-kernels", "gate", "onnx", "worker", "engine"]),
    ("e2e/tidy", &[]),
    ("e2e/engine", &["gpu-kernels", "onnx"]),
    ("e2e/sim", &["wire", "rules"]),
    ("e2e/fuzz", &["edge-api", "wire", "rules", "store", "gpu-kernels", "onnx", "gate"]),
];
/// What must never come into a browser, and what a crate does without.
const FOREIGN: [(&str, &[&str]); 3] = [
    ("web", &["tokio", "sqlx", "axum", "wgpu", "leptos_axum"]),
    ("edge-api/store", &["axum", "reqwest", "tower"]),
    ("edge-api/site", &["sqlx", "object_store", "ed25519-dalek"]),
];
/// Crates that run SQL.
const DATABASES: [&str; 6] = ["sqlx", "rusqlite", "postgres", "tokio-postgres", "diesel", "sea-orm"];
/// The contract and the rules stay light: beside `ARROWS` these are all that they may depend on. Without a runtime, a
/// database or a server among them, no rule can wait for anything.
const DATA_CRATES: [(&str, &[&str]); 2] = [
    ("edge-api/wire", &["hex", "serde", "thiserror", "utoipa", "uuid"]),
    ("edge-api/rules", &["blake3", "serde", "thiserror"]),
];

#[test]
fn dependencies_follow_the_arrows() {
    let crates = crates();
    let own: Vec<&str> = crates.iter().map(|folder| folder.rsplit('/').next().unwrap()).collect();
    for folder in &crates {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| name == folder)
            .unwrap_or_else(|| panic!("ARROWS should say what {folder} may depend on"));
        for dependency in dependencies(folder) {
            let is_own = own.contains(&dependency.as_str());
            assert!(!is_own || allowed.contains(&dependency.as_str()), "{folder} must not depend on {dependency}");
        }
    }
    for (folder, foreign) in FOREIGN {
        for dependency in dependencies(folder) {
            assert!(!foreign.contains(&dependency.as_str()), "{folder} must not depend on {dependency}");
        }
    }
    for (folder, data) in DATA_CRATES {
        for dependency in dependencies(folder) {
            let is_data = data.contains(&dependency.as_str()) || own.contains(&dependency.as_str());
            assert!(is_data, "{folder} must not depend on {dependency}");
        }
    }
}

/// The files that a crate's programs, library and tests begin with.
fn roots(folder: &str) -> BTreeSet<PathBuf> {
    let manifest = manifest(folder);
    let programs = ["bin", "test", "bench"].into_iter().filter_map(|kind| manifest.get(kind)?.as_array());
    let named = programs.flatten().filter_map(|program| program.get("path")?.as_str());
    let usual = ["src/lib.rs", "src/main.rs", "tests/it/main.rs"];
    let folder = root().join(folder);
    named.chain(usual).map(|path| folder.join(path)).filter(|path| path.is_file()).collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let of_crate = |folder: String| {
        let found: Vec<Circle> = roots(&folder).iter().flat_map(|root| circles(root)).collect();
        found.into_iter().map(move |circle| format!("{folder}:\n{circle}"))
    };
    let found: Vec<String> = crates().into_iter().flat_map(of_crate).collect();
    assert!(found.is_empty(), "move what two files share down into one of its own:\n{}", found.join("\n"));
}

/// What does not depend on a database's crate has nothing to run a statement with. The journeys, the tests and
/// what is fuzzed make databases and look into them.
#[test]
fn sql_stands_in_the_store_alone() {
    for folder in crates().iter().filter(|folder| !["edge-api/store", "e2e", "e2e/fuzz"].contains(&folder.as_str())) {
        for dependency in dependencies(folder) {
            assert!(
                !DATABASES.contains(&dependency.as_str()),
                "{folder}: SQL belongs into the store, not {dependency}"
            );
        }
    }
    let is_shipped = |name: &str| !["/tests/", "e2e/"].iter().any(|part| name.contains(part));
    for (name, text) in sources().iter().filter(|(name, _)| is_shipped(name) && !name.starts_with("edge-api/store/")) {
        for database in DATABASES.map(|name| name.replace('-', "_")) {
            let is_named = |end: &str| code(text).contains(&format!("{database}{end}"));
            assert!(!is_named("::") && !is_named(";"), "{name}: SQL belongs into the store, not {database}");
        }
    }
}

/// Whether a text has a statement that changes entries of the ledger, or takes any away.
fn changes_the_ledger(text: &str) -> bool {
    let text = text.to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    [
        "update ledger_entry",
        "delete from ledger_entry",
        "drop table ledger_entry",
        "truncate ledger_entry",
        "replace into ledger_entry",
    ]
    .iter()
    .any(|change| words.windows(change.split(' ').count()).any(|found| found.join(" ") == *change))
}

/// An entry says for good what moved: whatever is taken back is one more entry.
#[test]
fn the_ledger_is_only_ever_added_to() {
    assert!(
        changes_the_ledger("update\n  ledger_entry set amount = 0") && !changes_the_ledger("update ledger_entry_of")
    );
    let folders = ["src", "migrations"].map(|folder| root().join("edge-api/store").join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let texts: Vec<(PathBuf, String)> =
        files.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    assert!(texts.iter().any(|(_, text)| text.contains("insert into ledger_entry")));
    for (path, text) in texts {
        assert!(!changes_the_ledger(&text), "{}: what is in the ledger stays as it is", path.display());
        let is_inserting = text.contains("insert into ledger_entry");
        assert!(!is_inserting || !text.contains("on conflict"), "{}: an entry is never written over", path.display());
    }
}

#[test]
fn the_explorer_reads_public_views_alone() {
    let sources = sources();
    let store = &sources["edge-api/store/src/explorer.rs"];
    for table in store.split("from ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        assert!(
            !table.chars().all(|c| c.is_ascii_lowercase() || c == '_') || table.starts_with("public_"),
            "the explorer reads {table}"
        );
    }
}

/// The server's rules are a crate without a runtime; the worker's share one with its session.
#[test]
fn the_workers_core_awaits_nothing() {
    let text = &sources()["worker/src/core.rs"];
    assert!(!code(text).contains(".await") && !code(text).contains("async "));
}

#[test]
fn every_kernel_has_its_reference_and_its_shader() {
    let folder = root().join("gpu-kernels/src/kernels");
    let kernels: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert!(kernels.len() >= 9);
    for kernel in kernels {
        let shader = kernel.join(kernel.file_name().unwrap()).with_extension("wgsl");
        assert!(kernel.join("reference.rs").is_file() && shader.is_file(), "{}", kernel.display());
    }
}

#[test]
fn each_crate_says_what_it_is_and_what_never_goes_into_it() {
    for folder in crates() {
        let text = std::fs::read_to_string(root().join(&folder).join("README.md")).unwrap_or_default();
        assert!(text.lines().count() >= 5, "{folder} should have a README");
        assert!(text.to_lowercase().contains("never"), "{folder}'s README should say what never goes into it");
    }
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    for name in sources().keys() {
        let mut parts = name.trim_end_matches(".rs").split('/').skip(1);
        assert!(!parts.any(|part| FORBIDDEN_MODULES.contains(&part)), "{name}: name the subject");
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines: is there a second subject in it?");
    }
}

#[test]
fn nothing_is_left_for_later_without_an_issue() {
    for (name, text) in sources().iter().filter(|(name, _)| !name.starts_with("e2e/tidy/")) {
        for mark in ["FIXME", "TODO:", "TODO "] {
            assert!(!text.contains(mark), "{name}: {mark}");
        }
    }
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    for (name, text) in sources().iter().filter(|(name, _)| name.contains("/tests/") && !name.starts_with("e2e/tidy/"))
    {
        assert!(!text.contains("sleep("), "{name}");
        assert!(!text.contains("#[ignore") && !text.contains("#[should_panic"), "{name}");
    }
}

#[test]
fn both_kinds_of_wasm_stay_at_their_place() {
    for (name, text) in sources().iter().filter(|(name, _)| name.starts_with("worker/src/")) {
        let allowed = ["/mod.rs", "/main.rs", "/browser.rs", "/browser_cpu.rs"].iter().any(|end| name.ends_with(end));
        assert!(
            allowed || !text.contains("target_arch"),
            "{name}: what differs by target is chosen in a mod.rs, between a file for each"
        );
    }
}
