//! The kept seeds and a few fixed ones of every target, each time that the tests run. `make fuzz` tries new ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

use std::process::Command;

/// Runs the program; what it printed last, and whether it says that all is well.
fn fuzz(arguments: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default().to_owned();
    eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
    (last, output.status.success())
}

/// Seeds enough of each for about a second.
const SEEDS: [(&str, &str); 12] = [
    ("frames", "3000"),
    ("npy", "3000"),
    ("npz", "1500"),
    ("rows", "4000"),
    ("gate", "1500"),
    ("onnx", "1500"),
    ("query", "120"),
    ("bodies", "120"),
    ("orders", "60"),
    ("socket", "20"),
    ("postgres", "8"),
    ("socket-postgres", "6"),
];

#[test]
fn what_strangers_send_is_taken_or_refused_and_no_more() {
    for (target, count) in SEEDS {
        let (last, is_well) = fuzz(&["--target", target, "--count", count]);

        assert!(is_well, "{target}: {last}");
        assert!(last.ends_with(" passed, 0 failed"), "{target}: {last}");
    }
}

#[test]
fn a_seed_is_the_same_input_each_time() {
    let shown = |seed: &str| {
        let arguments = ["--target", "gate", "--seed", seed];
        let output = Command::new(env!("CARGO_BIN_EXE_fuzz")).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };

    assert!(shown("7").contains("a kernel"));
    assert_eq!(shown("7"), shown("7"));
    assert_ne!(shown("7"), shown("8"));
}

#[test]
fn a_target_that_is_not_there_is_an_error_that_names_those_that_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz")).args(["--target", "nothing"]).output().unwrap();

    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(says.contains("there are frames, npy,"), "{says}");
}
