//! Tests the rules of the architecture by reading the source code.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "house/layers.rs"]
mod layers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../operator-runtime/src");
const MACROS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../operator-macros");

/// The text of every source file of the runtime. The keys are the paths below `src`.
fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(RUNTIME).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(Path::new(RUNTIME), &mut found);
    found
}

/// Every source file of the runtime that is not test code. Comments and test modules are removed.
fn files() -> Vec<(String, String)> {
    let read = |(name, text): (String, String)| {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        (name, lines.collect::<Vec<_>>().join("\n"))
    };
    let is_test = |name: &str| {
        let ends = ["tests.rs", "vectors.rs", "differential.rs"];
        name.contains("/tests/") || ends.iter().any(|end| name.ends_with(end))
    };
    sources()
        .into_iter()
        .map(read)
        .filter(|(name, _)| !is_test(name))
        .collect()
}

/// Searches all files except those in `may` for the `words`. Returns a sentence for each file that contains one of
/// them.
fn say(words: &[&str], may: &[&str]) -> Vec<String> {
    let allowed = |name: &str| may.iter().any(|may| name.starts_with(may));
    let named = |code: &str| {
        words
            .iter()
            .find(|word| code.contains(**word))
            .map(|word| (*word).to_owned())
    };
    files()
        .into_iter()
        .filter(|(name, _)| !allowed(name))
        .filter_map(|(name, code)| named(&code).map(|word| format!("{name} says `{word}`")))
        .collect()
}

#[test]
fn time_is_read_in_one_file() {
    assert_eq!(
        say(
            &["Instant::now", "SystemTime::now", "UNIX_EPOCH.elapsed"],
            &["clock.rs"]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn the_pure_files_do_not_wait_for_anything() {
    let pure = [
        "idempotency/machine.rs",
        "idempotency/machine/settling.rs",
        "limit/window.rs",
        "limit/sentence.rs",
        "protocol/payload.rs",
        "protocol/python_json.rs",
        "protocol/freshness.rs",
        "manifest/check.rs",
        "manifest/contract.rs",
        "manifest/difference.rs",
        "manifest/narrowing.rs",
    ];
    let all = files();
    for name in pure {
        let (_, code) = all.iter().find(|(file, _)| file == name).unwrap();
        for word in ["async ", "await", "std::fs", "std::net", "tokio"] {
            assert!(!code.contains(word), "{name} says `{word}`");
        }
    }
}

#[test]
fn each_library_has_its_room() {
    assert_eq!(
        say(&["axum::", "tower_service"], &["app/", "endpoint/extract.rs"]),
        Vec::<String>::new()
    );
    assert_eq!(say(&["rmcp::"], &["app/mcp/"]), Vec::<String>::new());
    assert_eq!(
        say(&["SELECT ", "INSERT ", "CREATE TABLE"], &["store/"]),
        Vec::<String>::new()
    );
    assert_eq!(
        say(&["SchemaSettings", "SchemaGenerator"], &["schema/mod.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn one_place_calls_a_handler() {
    let places: usize = files()
        .iter()
        .map(|(_, code)| code.matches("(endpoint.endpoint.run)(").count())
        .sum();
    assert_eq!(places, 1);
    assert_eq!(
        say(&["(endpoint.endpoint.run)("], &["pipeline/attempt.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn unsigned_calls_come_in_by_one_door() {
    assert_eq!(
        say(
            &["answer_bearer(", "starter_of_this_process("],
            &["app/mcp/", "pipeline/mod.rs", "protocol/bearer.rs"]
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        say(&["of_bearer("], &["protocol/bearer.rs", "protocol/request.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn every_file_says_its_job_in_its_first_line_and_never_panics() {
    for (name, _) in files() {
        let text = fs::read_to_string(Path::new(RUNTIME).join(&name)).unwrap();
        assert!(text.starts_with("//! "), "{name}");
    }
    assert_eq!(
        say(
            &[
                ".unwrap()",
                ".expect(",
                "panic!(",
                "todo!(",
                "unimplemented!(",
                "unreachable!("
            ],
            // The test suite of stores, and the client of users' tests.
            &["store/contract.rs", "store/contract/", "testing.rs"]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn dependencies_come_from_crates_io_under_free_licences() {
    const LICENCES: [&str; 14] = [
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CDLA-Permissive-2.0",
        "ISC",
        "MIT",
        "MIT-0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    ];
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--all-features"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(metadata.status.success());
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    // For `(MIT OR Apache-2.0) AND Unicode-3.0`, one licence of each part must be in the list. `MIT/Apache-2.0` is an
    // old form of `MIT OR Apache-2.0`.
    let is_free = |licence: &str| {
        let mut parts = licence.split(" AND ");
        parts.all(|part| {
            let part = part.trim_matches(['(', ')']).replace('/', " OR ");
            part.split(" OR ").any(|one| LICENCES.contains(&one))
        })
    };
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str());
        assert!(licence.is_some_and(is_free), "{name} is under {licence:?}");
        let source = package["source"].as_str();
        let from_crates_io = source == Some("registry+https://github.com/rust-lang/crates.io-index");
        assert!(source.is_none() || from_crates_io, "{name} comes from {source:?}");
    }
}

#[test]
fn the_macros_know_every_lint_of_an_endpoint() {
    let words = |text: &str, before: &str| -> Vec<String> {
        let rest = text.split(before).skip(1);
        let mut words: Vec<_> = rest.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
        words.sort();
        words
    };
    let runtime = fs::read_to_string(Path::new(RUNTIME).join("manifest/lint.rs")).unwrap();
    let declared: String = runtime.lines().filter(|line| line.starts_with("const ")).collect();
    let mut looked_for = words(&declared, "(\"");
    // This lint checks the whole app, so no endpoint can allow it.
    looked_for.retain(|lint| lint != "too_many_endpoints");
    let macros = fs::read_to_string(Path::new(MACROS).join("src/endpoint/constraint.rs")).unwrap();
    let list = macros.split("const LINTS").nth(1).unwrap().split("];").next().unwrap();
    assert_eq!(words(list, "    \""), looked_for);
    assert!(!looked_for.is_empty());
}

#[test]
fn the_macros_depend_on_no_crate_of_ours() {
    let manifest = fs::read_to_string(Path::new(MACROS).join("Cargo.toml")).unwrap();
    assert!(
        !manifest.contains("operator-runtime =") && !manifest.contains("path ="),
        "{manifest}"
    );
}
