//! Generators and clients of other projects read the documents of the support desk and of the zoo.
//! `tests/exports/install` installs them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tests::process;

const FORMATS: [&str; 2] = ["openapi", "openapi-3.0"];

/// Parts of mypy's errors about the generator's own code: in its `client.py`, in a model with a field of the model's own
/// name, and where an externally tagged enum of the zoo is missing.
const PYTHON_CLIENT_FAULTS: [&str; 6] = [
    "client.py:",
    "expression has type \"Self\"",
    "has no attribute \"additional_properties\"",
    "expected \"Self\"",
    "external",
    "skipping",
];

/// Writes the documents of both programs into a temporary folder, as `desk.FORMAT.json` and `zoo.FORMAT.json`.
fn documents() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let programs = [
        ("desk", process::build("support-desk", "dev")),
        ("zoo", process::build_example("tests", "zoo")),
    ];
    for (name, program) in programs {
        for format in ["openapi", "openapi-3.0", "mcp", "operator"] {
            let file = folder.path().join(format!("{name}.{format}.json"));
            process::run(
                &program,
                &["manifest", "--format", format, "--output", file.to_str().unwrap()],
            );
        }
    }
    folder
}

fn each_document(mut generate: impl FnMut(&Path, &str)) {
    let folder = documents();
    for name in ["desk", "zoo"] {
        for format in FORMATS {
            generate(folder.path(), &format!("{name}.{format}"));
        }
    }
}

/// An installed tool, which finds the other tools of its folder first, for example the Node.js that npm has installed.
fn tool(folder: &str, name: &str) -> Command {
    let bin = process::installed(folder);
    let mut command = Command::new(bin.join(name));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", bin.display()));
    command
}

fn node(name: &str) -> Command {
    tool("node/node_modules/.bin", name)
}

fn python(name: &str) -> Command {
    tool("python/bin", name)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}:\n{}", said(&output));
    said(&output)
}

/// Runs a script in the folder of the npm packages, because Node.js searches for imports there.
fn script(text: &str, arguments: &[&str]) -> String {
    let mut command = node("node");
    command
        .args(["--input-type=module", "--eval", text, "--"])
        .args(arguments);
    succeed(command.current_dir(process::installed("node")))
        .trim()
        .to_owned()
}

fn compile_typescript(folder: &Path) {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ts"));
    assert!(!files.is_empty(), "{}", folder.display());
    succeed(
        node("tsc")
            .args(["--noEmit", "--strict", "--target", "es2022", "--module", "esnext"])
            .args([
                "--moduleResolution",
                "bundler",
                "--skipLibCheck",
                "--lib",
                "es2022,dom,dom.iterable",
            ])
            .args(files),
    );
}

#[test]
fn hey_api_generates_a_client_that_compiles() {
    each_document(|folder, name| {
        let into = folder.join(format!("hey-{name}"));
        succeed(
            node("openapi-ts")
                .current_dir(folder)
                .args(["-i", &format!("{name}.json"), "-o"])
                .arg(&into),
        );
        compile_typescript(&into);
    });
}

#[test]
fn orval_generates_a_client_that_compiles() {
    each_document(|folder, name| {
        let into = folder.join(format!("orval-{name}"));
        let client = format!("orval-{name}/client.ts");
        let arguments = [
            "--input",
            &format!("{name}.json"),
            "--output",
            &client,
            "--client",
            "fetch",
        ];
        succeed(node("orval").current_dir(folder).args(arguments));
        compile_typescript(&into);
    });
}

#[test]
fn openapi_python_client_generates_a_client_that_mypy_accepts() {
    each_document(|folder, name| {
        let package = format!("client_{}", name.replace(['.', '-'], "_"));
        let generated = succeed(python("openapi-python-client").current_dir(folder).args([
            "generate",
            "--meta",
            "none",
            "--path",
            &format!("{name}.json"),
            "--output-path",
            &package,
        ]));
        let checked = python("mypy").current_dir(folder).arg(&package).output().unwrap();
        let errors = said(&checked);
        let others: Vec<&str> = errors
            .lines()
            .filter(|line| line.contains("error:") && !PYTHON_CLIENT_FAULTS.iter().any(|fault| line.contains(fault)))
            .collect();
        assert!(others.is_empty(), "{others:?}\n{generated}{errors}");
        if name.starts_with("desk") {
            assert!(!generated.contains("Warning"), "{generated}");
            return;
        }
        // The content of an externally tagged variant gets the same name wherever the enum is used, and the generator
        // refuses the second use.
        let removed: BTreeSet<&str> = generated
            .lines()
            .filter_map(|line| line.strip_prefix("Unable to process schema /components/schemas/"))
            .filter(|name| !["External", "Skipping"].iter().any(|known| name.starts_with(known)))
            .collect();
        assert!(removed.is_empty(), "{removed:?}\n{generated}");
    });
}

#[test]
fn datamodel_code_generator_generates_models_that_python_loads() {
    each_document(|folder, name| {
        let file = format!("models_{}.py", name.replace(['.', '-'], "_"));
        succeed(
            python("datamodel-codegen")
                .current_dir(folder)
                .args([
                    "--input",
                    &format!("{name}.json"),
                    "--input-file-type",
                    "openapi",
                    "--output",
                    &file,
                ])
                .args([
                    "--output-model-type",
                    "pydantic_v2.BaseModel",
                    "--use-annotated",
                    "--formatters",
                    "builtin",
                ])
                .args(["--target-python-version", "3.11"]),
        );
        succeed(python("python").current_dir(folder).arg(&file));
        let checked = said(&python("mypy").current_dir(folder).arg(&file).output().unwrap());
        // The generator writes a decimal number, which is a text of a pattern or a number, as a call in an annotation.
        let of_decimals = |line: &&str| line.contains("[valid-type]") && name == "zoo.openapi";
        let others: Vec<&str> = checked
            .lines()
            .filter(|line| line.contains("error:") && !of_decimals(line))
            .collect();
        assert!(others.is_empty(), "{checked}");
    });
}

#[test]
fn ajv_compiles_every_schema_in_its_strict_mode() {
    let folder = documents();
    for name in ["desk.mcp", "desk.operator", "zoo.mcp", "zoo.operator"] {
        let file = folder.path().join(format!("{name}.json"));
        let document: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let endpoints = document["tools"]
            .as_array()
            .or(document["endpoints"].as_array())
            .unwrap()
            .len();
        let compiled = script(include_str!("strict.mjs"), &[file.to_str().unwrap()]);
        assert_eq!(compiled, (2 * endpoints).to_string(), "{name}");
    }
}

#[test]
fn both_major_versions_of_the_mcp_client_for_typescript_list_every_tool() {
    let folder = tempfile::tempdir().unwrap();
    for program in [
        process::build("support-desk", "dev"),
        process::build_example("tests", "zoo"),
    ] {
        let document: Value = serde_json::from_str(&process::run(&program, &["manifest", "--format", "mcp"])).unwrap();
        let tools: Vec<&str> = document["tools"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        let (program, folder) = (program.to_str().unwrap(), folder.path().to_str().unwrap());
        for version in ["1", "2"] {
            let listed = script(include_str!("tools.mjs"), &[version, program, folder]);
            assert_eq!(listed, tools.join(" "), "{program}, version {version}");
        }
    }
}
