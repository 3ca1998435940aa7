//! A statement without a test on both engines is a statement that runs on one.

use std::path::Path;

#[test]
fn every_function_has_a_test_here() {
    // A kept target folder outlives the checkout that `env!` would name.
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let tests = sources(&Path::new(&folder).join("tests/it"));
    let store = sources(&Path::new(&folder).join("src"));
    let functions = store.split("\npub async fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    let functions: Vec<&str> = functions.collect();

    assert!(functions.len() > 60, "{functions:?}");
    for function in functions {
        let called = [format!("{function}("), format!("{function};")].iter().any(|call| tests.contains(call));
        assert!(called, "{function} has no test");
    }
}

fn sources(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rust = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    rust.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}
