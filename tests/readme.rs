//! The code in README.md is the code of `examples/quickstart`, which other tests compile and run.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The code block in this language in the section with this heading. There is only one.
fn block(heading: &str, language: &str) -> String {
    let readme = read("README.md");
    let section = readme.split(&format!("\n{heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    assert_eq!(section.matches(&fence).count(), 1, "{heading}: {language}");
    let block = section.split(&fence).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_smallest_program_is_the_quickstart_without_its_second_endpoint() {
    let quickstart = read("examples/quickstart/src/main.rs");
    let (before, rest) = quickstart.split_once("/// Sets pieces of a product aside").unwrap();
    let (_reserve, main) = rest.split_once("#[tokio::main]").unwrap();
    let without = format!("{before}#[tokio::main]{main}");
    let (_job, program) = without.split_once("\n\n").unwrap();
    assert_eq!(block("## The smallest program", "rust"), program);
}

#[test]
fn the_dependencies_are_those_of_the_quickstart() {
    let manifest = read("examples/quickstart/Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(" = "));
        // The path of the runtime may differ. All else must be equal.
        lines
            .map(|line| match line.split_once("path = ") {
                Some((name, _)) => name.to_owned(),
                None => line.to_owned(),
            })
            .collect()
    };
    let own = lines(dependencies.split("[lints]").next().unwrap());
    assert_eq!(lines(&block("## The smallest program", "toml")), own);
    assert_eq!(own.len(), 4, "{own:?}");
}
