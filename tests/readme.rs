//! The code in README.md is the code of `examples/quickstart`, which other tests compile and run. The code in
//! docs/callers.md signs as the test vectors do.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The code block of the README in this language in the section with this heading. There is only one.
fn block(heading: &str, language: &str) -> String {
    block_of("README.md", heading, language)
}

fn block_of(page: &str, heading: &str, language: &str) -> String {
    let page = read(page);
    let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap();
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

#[test]
fn the_example_of_signing_prints_two_test_vectors() {
    let code = block_of("docs/callers.md", "## Signing a call", "python");
    let output = Command::new("python3")
        .args(["-c", &code])
        .output()
        .expect("this test runs python3, which must be installed (Debian: apt-get install python3)");
    let printed = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let documented = block_of("docs/callers.md", "## Signing a call", "text");
    assert_eq!(printed, documented, "{said}");
    let vectors = read("operator-runtime/tests/vectors/signatures.json");
    assert_eq!(printed.lines().count(), 2);
    for signature in printed.lines() {
        let of_vector = format!("\"signature\": \"{signature}\"");
        assert!(vectors.contains(&of_vector), "{signature} is not in a vector");
    }
}
