//! Tests the four formats with tools of other projects. `tests/exports/install` installs the tools.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod openapi;
mod readers;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::caller::{self, PUBLIC_URL, SECRET};
use tests::process::{self, Server};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/exports");
const FORMATS: [&str; 4] = ["operator", "openapi", "openapi-3.0", "mcp"];

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    assert!(status.success(), "{command:?}:\n{text}");
    text
}

/// Writes the program's documents, one file for each format, into a temporary folder.
fn documents(program: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let file = folder.path().join(format!("{format}.json"));
        process::run(
            program,
            &["manifest", "--format", format, "--output", file.to_str().unwrap()],
        );
    }
    folder
}

#[test]
fn every_document_passes_its_validator() {
    for program in [
        process::build("support-desk", "dev"),
        process::build_example("tests", "zoo"),
    ] {
        let folder = documents(&program);
        let in_folder = |program: &str, files: [&str; 2]| {
            succeed(
                Command::new(process::installed(program))
                    .args(files)
                    .current_dir(&folder),
            );
        };
        in_folder(
            "python/bin/openapi-spec-validator",
            ["openapi.json", "openapi-3.0.json"],
        );
        let mut metaschema = Command::new(process::installed("python/bin/python"));
        succeed(
            metaschema
                .arg(format!("{HERE}/metaschema.py"))
                .args(["operator.json", "mcp.json"])
                .current_dir(&folder),
        );
        for tool in json(&folder.path().join("mcp.json"))["tools"].as_array().unwrap() {
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        }
        for endpoint in json(&folder.path().join("operator.json"))["endpoints"]
            .as_array()
            .unwrap()
        {
            let keys: Vec<&String> = endpoint.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["description", "inputs", "method", "name", "outputs", "url"]);
        }
    }
}

#[test]
fn openapi_3_0_uses_no_keyword_of_3_1() {
    let folder = documents(&process::build_example("tests", "zoo"));
    let text = fs::read_to_string(folder.path().join("openapi-3.0.json")).unwrap();
    for keyword in [
        "const",
        "examples",
        "prefixItems",
        "patternProperties",
        "$defs",
        "unevaluatedProperties",
    ] {
        assert!(!text.contains(&format!("\"{keyword}\":")), "{keyword}");
    }
    assert!(!text.contains("\"type\": ["), "a list of types");
    assert!(!text.contains("\"null\""), "the type null");
}

#[test]
fn deprecated_items_are_marked_and_no_title_is_invented() {
    let folder = documents(&process::build_example("tests", "zoo"));
    for format in FORMATS {
        let mut document = json(&folder.path().join(format!("{format}.json")));
        let renamed = match format {
            "operator" => "/endpoints",
            "mcp" => "/tools",
            _ => "/components/schemas/Renamed",
        };
        // Removes the titles that the runtime itself writes: of the document, of a problem, and of a tool.
        for place in ["/info/title", "/components/schemas/Problem", "/components/responses"] {
            document.pointer_mut(place).map(Value::take);
        }
        for tool in document["tools"].as_array_mut().into_iter().flatten() {
            tool["annotations"].take();
        }
        let text = document.pointer(renamed).unwrap().to_string();
        assert!(text.contains("\"deprecated\":true"), "{format}: {text}");
        let operation = document["paths"]["/zoo/old"]["get"].take();
        assert_eq!(
            operation["deprecated"] == true,
            format.starts_with("openapi"),
            "{format}"
        );
        assert!(!document.to_string().contains("\"title\":\""), "{format}");
    }
}

#[test]
fn typescript_types_are_generated_and_compile() {
    for format in ["openapi", "openapi-3.0"] {
        for (program, uses) in [
            (process::build("support-desk", "dev"), true),
            (process::build_example("tests", "zoo"), false),
        ] {
            let folder = documents(&program);
            generate_types(folder.path(), format);
            if uses {
                fs::copy(format!("{HERE}/use.ts"), folder.path().join("use.ts")).unwrap();
            }
            compile_types(folder.path(), uses.then_some("use.ts"));
        }
    }
}

/// Generates TypeScript types from the document in this format, as `openapi.d.ts`.
fn generate_types(folder: &Path, format: &str) {
    let mut generate = Command::new(process::installed("node/node_modules/.bin/openapi-typescript"));
    let document = folder.join(format!("{format}.json"));
    succeed(generate.arg(document).arg("-o").arg(folder.join("openapi.d.ts")));
}

/// Compiles `openapi.d.ts`, and a program that uses it.
fn compile_types(folder: &Path, program: Option<&str>) {
    let mut compile = Command::new(process::installed("node/node_modules/.bin/tsc"));
    compile.args(["--noEmit", "--strict", "--target", "es2022", "--module", "es2022"]);
    compile.args(["--moduleResolution", "bundler"]);
    succeed(compile.args(program).arg("openapi.d.ts").current_dir(folder));
}

/// Turns on every check except two, which expect certain answers to unsigned calls. A hook signs every call.
fn schemathesis_finds_nothing(document: &str, examples: u32) {
    let program = process::build("support-desk", "dev");
    let folder = documents(&program);
    let server = Server::start(&program, folder.path());
    let mut run = Command::new(process::installed("python/bin/schemathesis"));
    run.args([
        "--config-file",
        &format!("{HERE}/schemathesis.toml"),
        "run",
        document,
        "--url",
        &format!("http://127.0.0.1:{}", server.port),
    ])
    .args([
        "--max-examples",
        &examples.to_string(),
        "--exclude-checks",
        "ignored_auth,missing_required_header",
    ])
    .args([
        "--generation-with-security-parameters",
        "false",
        "--generation-database",
        "none",
    ])
    .args(["--continue-on-failure", "--no-color"]);
    run.env("PYTHONPATH", HERE)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "signing");
    run.env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .env("OPERATOR_SIGNING_KEY", SECRET);
    let report = succeed(run.current_dir(&folder));
    assert!(
        report.contains("Tested: 6") && report.contains("No issues found"),
        "{report}"
    );
}

#[test]
fn schemathesis_finds_nothing_in_five_hundred_examples_an_operation() {
    schemathesis_finds_nothing("openapi.json", 500);
}

/// Runs fewer examples, because the program is the same as for OpenAPI 3.1.
#[test]
fn schemathesis_finds_nothing_in_the_openapi_3_0_document() {
    schemathesis_finds_nothing("openapi-3.0.json", 50);
}

#[test]
fn the_manifest_is_served_to_signed_calls_if_it_is_turned_on() {
    let program = process::build("support-desk", "dev");
    let folder = documents(&program);
    let server = Server::start_with(&program, folder.path(), &[("OPERATOR_SERVE_MANIFEST", "true")]);
    for format in FORMATS {
        let answer = caller::get(server.port, "/manifest", format, &[("format", format)]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(
            answer.body,
            fs::read_to_string(folder.path().join(format!("{format}.json"))).unwrap()
        );
    }
    let unsigned = "GET /manifest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(caller::send(server.port, unsigned).unwrap().status, 401);
    assert_eq!(
        caller::get(server.port, "/manifest", "k", &[("format", "yaml")])
            .unwrap()
            .status,
        400
    );
    let off = Server::start(&program, tempfile::tempdir().unwrap().path());
    assert_eq!(
        caller::get(off.port, "/manifest", "k", &[("format", "mcp")])
            .unwrap()
            .status,
        404
    );
}

#[test]
fn the_examples_have_no_lint_findings() {
    for package in ["support-desk", "quickstart"] {
        let said = process::run(&process::build(package, "dev"), &["lint", "--deny", "notes"]);
        assert!(said.ends_with("endpoints: 0 warnings, 0 notes.\n"), "{said}");
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
