//! The documents for one reader: they pass the validators of their format, and the program says what was left out.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::caller::PUBLIC_URL;
use tests::process;

use crate::{HERE, json, succeed};

const OF_TOOLS: [&str; 4] = ["openai", "anthropic", "gemini", "copilot"];

/// Writes the document for a reader, and returns what the program said about it.
fn written(program: &Path, reader: &str, file: &Path) -> String {
    let Output { status, stdout, stderr } = Command::new(program)
        .args(["manifest", "--for", reader, "--output", file.to_str().unwrap()])
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .output()
        .unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success() && stdout.is_empty(), "{reader}: {said}");
    said
}

#[test]
fn the_documents_of_every_reader_pass_the_validators() {
    for program in [
        process::build("support-desk", "dev"),
        process::build_example("tests", "zoo"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = |reader: &str| folder.path().join(format!("{reader}.json"));
        for reader in OF_TOOLS {
            written(&program, reader, &file(reader));
            // Only Anthropic refuses no form of a schema.
            let document = json(&file(reader));
            let mut tools = document["tools"].as_array().unwrap().iter();
            let describes_answers = |tool: &Value| tool.get("outputSchema").is_some();
            assert!(
                tools.all(|tool| describes_answers(tool) == (reader == "anthropic")),
                "{reader}"
            );
            let mut metaschema = Command::new(process::installed("python/bin/python"));
            let script = format!("{HERE}/metaschema.py");
            succeed(metaschema.arg(script).arg(file(reader)));
        }
        written(&program, "gpt-actions", &file("gpt-actions"));
        let mut validator = Command::new(process::installed("python/bin/openapi-spec-validator"));
        succeed(validator.arg(file("gpt-actions")));
    }
}

/// Google's own library refuses every keyword that the API does not know.
#[test]
fn googles_library_reads_every_tool_of_the_document_for_gemini() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build_example("tests", "zoo");
    let file = folder.path().join("gemini.json");
    let said = written(&program, "gemini", &file);
    let mut reads = Command::new(process::installed("python/bin/python"));
    let read = succeed(reads.arg(format!("{HERE}/gemini.py")).arg(&file));
    let tools = json(&file)["tools"].as_array().unwrap().len();
    assert_eq!(read, format!("{tools} tools\n"));
    let left_out = said
        .lines()
        .filter(|line| line.contains("the document does not have the endpoint"));
    let usual = folder.path().join("mcp.json");
    process::run(
        &program,
        &["manifest", "--format", "mcp", "--output", usual.to_str().unwrap()],
    );
    let all = json(&usual)["tools"].as_array().unwrap().len();
    assert_eq!(left_out.count(), all - tools, "{said}");
    assert!(all > tools && tools > all / 2, "{tools} of {all}");
}

#[test]
fn a_program_without_refused_forms_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let file = folder.path().join("document.json");
    for reader in OF_TOOLS {
        assert_eq!(written(&program, reader, &file), "", "{reader}");
        let tools = json(&file)["tools"].as_array().unwrap().len();
        assert_eq!(tools, 6, "{reader}");
    }
    assert_eq!(written(&program, "anthropic", &file), "");
    let usual = process::run(&program, &["manifest", "--format", "mcp"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), usual);
}

#[test]
fn a_stale_document_of_a_reader_is_found_and_the_command_to_write_it_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    for (reader, format, name) in [
        ("gemini", "mcp", "/tools/0/description"),
        ("gpt-actions", "openapi", "/paths/~1refunds/post/summary"),
    ] {
        let file = folder.path().join("document.json");
        written(&program, reader, &file);
        let check = || {
            let arguments = ["manifest", "--for", reader, "--check", file.to_str().unwrap()];
            let output = Command::new(&program)
                .args(arguments)
                .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
                .output()
                .unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(check(), (Some(0), String::new()), "{reader}");
        let mut document = json(&file);
        *document.pointer_mut(name).unwrap() = Value::from("Another text");
        fs::write(&file, document.to_string()).unwrap();
        let (code, said) = check();
        assert_eq!(code, Some(1), "{said}");
        let command = format!(
            "`manifest --format {format} --for {reader} --output {}`",
            file.display()
        );
        assert!(
            said.contains("has a different description") && said.contains(&command),
            "{said}"
        );
    }
}
