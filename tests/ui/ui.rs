//! What must not compile, and what rustc says of it: each row of `rows.txt` held by the files it names.
//!
//! `cargo test -p tests --test ui` lists the rows. After a change of a message, `TRYBUILD=overwrite` writes the `.stderr`
//! files anew; read them as the person would who has made the mistake.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");

/// A kind of mistake.
struct Row {
    place: String,
    mistake: String,
    files: Vec<String>,
}

fn main() -> ExitCode {
    // As a filter of `cargo test` asks for something else, or a listing is wanted.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("ui: test");
        return ExitCode::SUCCESS;
    }
    let rows = rows();
    let mut wrong = compare(&rows, &files("rs"));
    let compiled = catch_unwind(|| {
        let cases = trybuild::TestCases::new();
        cases.compile_fail("ui/fail/*.rs");
    });
    for row in &rows {
        let unreadable: Vec<String> = row.files.iter().flat_map(|file| unreadable(file)).collect();
        let held = if unreadable.is_empty() && compiled.is_ok() {
            "held"
        } else {
            "NOT HELD"
        };
        println!("{held}  {}: {}  ({})", row.place, row.mistake, row.files.join(", "));
        wrong.extend(unreadable);
    }
    println!("{} rows, {} files", rows.len(), files("rs").len());
    for sentence in &wrong {
        eprintln!("{sentence}");
    }
    if wrong.is_empty() && compiled.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(Path::new(FOLDER).join("rows.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let [place, mistake, files] = line.split(" | ").collect::<Vec<_>>().try_into().unwrap();
        Row {
            place: place.to_owned(),
            mistake: mistake.to_owned(),
            files: files.split_whitespace().map(str::to_owned).collect(),
        }
    };
    lines.map(row).collect()
}

/// The names of the files of `fail/` that end so.
fn files(ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(FOLDER).join("fail")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let ended = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
    ended
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Rows without a file, and files without a row.
fn compare(rows: &[Row], files: &BTreeSet<String>) -> Vec<String> {
    let named: BTreeSet<String> = rows.iter().flat_map(|row| row.files.iter().cloned()).collect();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.files.is_empty()) {
        wrong.push(format!("the row \"{}: {}\" names no file", row.place, row.mistake));
    }
    for missing in named.difference(files) {
        wrong.push(format!("ui/fail/{missing}.rs does not exist"));
    }
    for stray in files.difference(&named) {
        wrong.push(format!("ui/fail/{stray}.rs is in no row"));
    }
    wrong
}

/// What no person should have to read in a message.
fn unreadable(file: &str) -> Vec<String> {
    let path = Path::new(FOLDER).join("fail").join(file).with_extension("stderr");
    let Ok(text) = fs::read_to_string(&path) else {
        return vec![format!("ui/fail/{file}.stderr does not exist")];
    };
    let internal = [
        "__private",
        "__operator",
        "operator-macros",
        "originates in",
        "bytes::",
        "warning:",
    ];
    let found = internal.iter().filter(|word| text.contains(**word));
    found
        .map(|word| format!("ui/fail/{file}.stderr says `{word}`"))
        .collect()
}
