//! What must not compile, and what rustc says of it: each row of `rows.txt` held by the files it names, and each message
//! of the sources by a file in which it is said.
//!
//! `cargo test -p tests --test ui` lists the rows. After a change of a message, `TRYBUILD=overwrite` writes the `.stderr`
//! files anew, and the table of `operator-macros/refusals.md` that is made of them; read them as the person would who has
//! made the mistake.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]

mod messages;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");
const MACROS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../operator-macros");
const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../operator-runtime");

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
    wrong.extend(unsaid());
    wrong.extend(stale(&table(&rows)));
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

/// Messages that no file shows.
fn unsaid() -> Vec<String> {
    let said: Vec<String> = files("rs")
        .iter()
        .map(|file| stderr(file).unwrap_or_default())
        .collect();
    let mut messages = messages::of_the_macros(&Path::new(MACROS).join("src"));
    messages.extend(messages::of_the_traits(&Path::new(RUNTIME).join("src")));
    let unsaid = messages
        .iter()
        .filter(|message| !said.iter().any(|said| message.is_in(said)));
    unsaid
        .map(|message| format!("no file of ui/fail/ shows \"{}\"", message.text))
        .collect()
}

/// What is refused, and in which words.
fn table(rows: &[Row]) -> String {
    let mut table = TABLE.to_owned();
    for row in rows {
        let mut said = BTreeSet::new();
        for file in &row.files {
            let text = stderr(file).unwrap_or_default();
            let errors = text.lines().filter_map(|line| {
                let (kind, words) = line.split_once(": ")?;
                kind.starts_with("error").then(|| words.replace('|', "\\|"))
            });
            said.extend(errors);
        }
        let said: Vec<String> = said.into_iter().collect();
        table += &format!("| {} | {} | {} |\n", row.place, row.mistake, said.join("<br>"));
    }
    table
}

/// The words above the table, and its head.
const TABLE: &str = "\
# What is refused while compiling

Made by `TRYBUILD=overwrite cargo test -p tests --test ui` of the rows and the files of `tests/ui/`, which hold it.

| where | the mistake | what is said |
|---|---|---|
";

/// Whether the table that is kept is another one, which it is no longer where messages are to be overwritten.
fn stale(table: &str) -> Option<String> {
    let path = Path::new(MACROS).join("refusals.md");
    if std::env::var_os("TRYBUILD").is_some_and(|wanted| wanted == "overwrite") {
        fs::write(&path, table).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    (kept != table)
        .then(|| "operator-macros/refusals.md is not what rustc says: TRYBUILD=overwrite makes it anew".to_owned())
}

fn stderr(file: &str) -> Option<String> {
    let path = Path::new(FOLDER).join("fail").join(file).with_extension("stderr");
    fs::read_to_string(path).ok()
}

/// What no person should have to read in a message.
fn unreadable(file: &str) -> Vec<String> {
    let Some(text) = stderr(file) else {
        return vec![format!("ui/fail/{file}.stderr does not exist")];
    };
    let internal = [
        "__private",
        "__operator",
        "operator-macros",
        "originates in",
        "bytes::",
        "Lent",
        "$WORKSPACE",
        "warning:",
    ];
    // The signature of `App::state`, which the user has called.
    let text = text.replace("$WORKSPACE/operator-runtime/src/app/mod.rs", "");
    let found = internal.iter().filter(|word| text.contains(**word));
    found
        .map(|word| format!("ui/fail/{file}.stderr says `{word}`"))
        .collect()
}
