//! Code that must not compile, and what rustc prints for it. The files in each row of `rows.txt` must fail as their
//! `.stderr` files say. For each message in the source code, some file must show it.
//!
//! `cargo test -p tests --test ui` lists the rows. After you change a message, set `TRYBUILD=overwrite` to write the
//! `.stderr` files and the table in `operator-macros/refusals.md` again. Then read the changes as if you had made the
//! mistake yourself.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

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
    // Test runners list the tests before they run them.
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
            "ok"
        } else {
            "FAILED"
        };
        println!("{held}  {}: {}  ({})", row.place, row.mistake, row.files.join(", "));
        wrong.extend(unreadable);
    }
    println!("{} rows, {} files", rows.len(), files("rs").len());
    wrong.extend(unshown());
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

/// The names of the files in `fail/` with this extension.
fn files(ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(FOLDER).join("fail")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let ended = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
    ended
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Returns the rows without a file and the files without a row.
fn compare(rows: &[Row], files: &BTreeSet<String>) -> Vec<String> {
    let named: BTreeSet<String> = rows.iter().flat_map(|row| row.files.iter().cloned()).collect();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.files.is_empty()) {
        wrong.push(format!(
            "the row \"{}: {}\" does not name a file",
            row.place, row.mistake
        ));
    }
    for missing in named.difference(files) {
        wrong.push(format!("ui/fail/{missing}.rs does not exist"));
    }
    for stray in files.difference(&named) {
        wrong.push(format!("ui/fail/{stray}.rs is not in any row"));
    }
    wrong
}

/// Returns the messages that no file shows. `elsewhere.txt` lists those that other tests show.
fn unshown() -> Vec<String> {
    let mut said: Vec<String> = files("rs")
        .iter()
        .map(|file| stderr(file).unwrap_or_default())
        .collect();
    said.push(fs::read_to_string(Path::new(FOLDER).join("elsewhere.txt")).unwrap());
    let mut messages = messages::of_the_macros(&Path::new(MACROS).join("src"));
    messages.extend(messages::of_the_traits(&Path::new(RUNTIME).join("src")));
    let unshown = messages
        .iter()
        .filter(|message| !said.iter().any(|said| message.is_in(said)));
    unshown
        .map(|message| format!("no file of ui/fail/ shows \"{}\"", message.text))
        .collect()
}

/// The table in `refusals.md`: every mistake with its messages.
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

/// The text above the table, and the header of the table.
const TABLE: &str = "\
# Mistakes that are refused at compile time

Generated by `TRYBUILD=overwrite cargo test -p tests --test ui` from the rows and the files of `tests/ui/`.

| place | mistake | message |
|---|---|---|
";

/// Returns a complaint if `refusals.md` is not this table. With `TRYBUILD=overwrite`, writes the table first.
fn stale(table: &str) -> Option<String> {
    let path = Path::new(MACROS).join("refusals.md");
    if std::env::var_os("TRYBUILD").is_some_and(|wanted| wanted == "overwrite") {
        fs::write(&path, table).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    (kept != table).then(|| {
        "operator-macros/refusals.md is not what rustc prints: set TRYBUILD=overwrite to write it again".to_owned()
    })
}

fn stderr(file: &str) -> Option<String> {
    let path = Path::new(FOLDER).join("fail").join(file).with_extension("stderr");
    fs::read_to_string(path).ok()
}

/// Returns a complaint for each word in a message that is internal to our crates.
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
    // This path is allowed, because rustc shows it where the user called `App::state`.
    let text = text.replace("$WORKSPACE/operator-runtime/src/app/mod.rs", "");
    let found = internal.iter().filter(|word| text.contains(**word));
    found
        .map(|word| format!("ui/fail/{file}.stderr says `{word}`"))
        .collect()
}
