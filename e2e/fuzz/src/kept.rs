//! Seeds that once found something, a line each: the target, the seed, and what was found. And what is found, is
//! known to those whom it concerns, and is not mended yet: a part of what is said of each, a line each.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

pub(crate) struct Kept {
    pub(crate) target: String,
    pub(crate) seed: u64,
    pub(crate) found: String,
}

/// A kept target folder outlives the checkout that `env!` would name; cargo says where the crate is.
fn file(name: &str) -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| "e2e/fuzz".into(), PathBuf::from);
    folder.join(name)
}

const SEEDS: &str = "seeds.txt";

fn text(name: &str) -> anyhow::Result<String> {
    let file = file(name);
    std::fs::read_to_string(&file).with_context(|| format!("{} should be there", file.display()))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

pub(crate) fn read() -> anyhow::Result<Vec<Kept>> {
    parse(&text(SEEDS)?)
}

/// What is reported and not mended.
pub(crate) fn reported() -> anyhow::Result<Vec<String>> {
    Ok(lines(&text("reported.txt")?).map(str::to_owned).collect())
}

fn parse(text: &str) -> anyhow::Result<Vec<Kept>> {
    lines(text)
        .map(|line| {
            let mut parts = line.splitn(3, ' ');
            let parts = parts.next().zip(parts.next().and_then(|seed| seed.parse().ok())).zip(parts.next());
            let ((target, seed), found) =
                parts.with_context(|| format!("'{line}' should be a target, a seed and words"))?;
            Ok(Kept { target: target.to_owned(), seed, found: found.to_owned() })
        })
        .collect()
}

/// Adds a line.
pub(crate) fn keep(target: &str, seed: u64, found: &str) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(file(SEEDS))?;
    let found: String = found.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    Ok(writeln!(file, "{target} {seed} {}", found.trim())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_target_a_seed_and_what_was_found() {
        let kept = parse("# a comment\n\nnpy 7 it took too long\n").unwrap();

        assert_eq!((kept.len(), kept[0].target.as_str(), kept[0].seed), (1, "npy", 7));
        assert_eq!(kept[0].found, "it took too long");
        assert!(parse("npy seven").is_err());
    }
}
