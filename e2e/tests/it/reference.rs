//! The reference pages against the programs' own help. `UPDATE_DOCS=1` writes it into them.

use std::process::Command;

use e2e::stack::program;

/// What a program says to `command`, which ends in `--help`.
fn help(command: &str) -> String {
    let mut words = command.split(' ');
    let name = words.next().expect("a command should begin with its program");
    let output = Command::new(program(name))
        .args(words)
        // The values of variables would show.
        .env_clear()
        .output()
        .expect("the program should run");
    let text = String::from_utf8(output.stdout).expect("help should be text");
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[test]
fn the_reference_shows_each_programs_help() {
    for page in ["tessera", "tessera-admin", "tessera-worker", "edge-api"] {
        let path = e2e::folder().join("../edge-api/docs/reference").join(page).with_extension("md");
        let written = std::fs::read_to_string(&path).expect("a program should have a page");
        let mut parts = written.split("```text\n$ ");
        let mut expected = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (command, rest) = part.split_once('\n').expect("a command should end its line");
            let (_, after) = rest.split_once("```\n").expect("a block should end");
            expected.extend(["```text\n$ ", command, "\n", &help(command), "```\n", after]);
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &expected).expect("a page should be written");
        } else {
            assert_eq!(written, expected, "{page}.md is out of date: UPDATE_DOCS=1 writes it");
        }
    }
}
