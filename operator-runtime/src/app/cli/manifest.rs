//! `manifest`: prints the manifest, writes it to a file, or compares a file with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Done, print, refused, said, say, settings};
use crate::app::{App, registry};
use crate::endpoint::Endpoint;
use crate::manifest::contract::Contract;
use crate::manifest::model::Model;
use crate::manifest::readers::{self, READERS, Reader};
use crate::manifest::{Format, check};
use crate::protocol::public_url::PublicUrl;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The format: the agent's own, OpenAPI 3.1, OpenAPI 3.0, or the tool list of an MCP client. [default: operator, or
    /// the format that the reader of `--for` takes]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Leave out what the agent of this vendor does not accept, and say on standard error what was left out.
    #[arg(long = "for", value_name = "READER", value_parser = reader())]
    reader: Option<&'static Reader>,
    /// Write the manifest to this file instead of printing it.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    output: Option<PathBuf>,
    /// Compare this file with the manifest; if they differ, print the changes and exit with 1.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// The readers that `--for` accepts.
pub(super) fn reader() -> impl TypedValueParser<Value = &'static Reader> {
    let names = READERS.iter().map(|reader| reader.name);
    PossibleValuesParser::new(names).try_map(|name| Reader::named(&name).ok_or("there is no such reader"))
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Done {
    let format = format(arguments)?;
    let endpoints = endpoints(app)?;
    let url = url(app)?;
    let mut problems = Vec::new();
    let info = registry::check_info(&app.info, &mut problems);
    refused(&problems)?;
    let mut model = Model::new(&endpoints, &url).with_info(info);
    // The agents of other vendors send no events.
    if arguments.reader.is_none() {
        let handlers = registry::select_handlers(&app.only);
        model = model.with_events(&handlers, registry::events_path(&app.events_paths));
    }
    let written = match arguments.reader {
        None => format.write(&model).map(|text| (text, Vec::new())),
        Some(reader) => readers::document(&model, reader),
    };
    let (text, misfits) = written.map_err(|error| format!("The manifest cannot be written as JSON: {error}."))?;
    for misfit in misfits {
        say(&misfit.to_string());
    }
    match (&arguments.output, &arguments.check) {
        (Some(path), _) => {
            fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}.", path.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(path)) => hold(path, format, arguments.reader, &text),
        (None, None) => print(&text),
    }
}

/// The format to write. An error if the reader does not take it.
fn format(arguments: &Arguments) -> Result<Format, String> {
    match (arguments.format, arguments.reader) {
        (Some(format), Some(reader)) if format != reader.format => Err(format!(
            "{} does not take the format `{}`: write `--format {} --for {}`.",
            reader.title,
            format.name(),
            reader.format.name(),
            reader.name
        )),
        (format, reader) => Ok(format
            .or(reader.map(|reader| reader.format))
            .unwrap_or(Format::Operator)),
    }
}

/// The app's endpoints; an error if two of them clash.
pub(super) fn endpoints(app: &App) -> Result<Vec<&'static Endpoint>, String> {
    let mut problems = Vec::new();
    let endpoints = registry::select(&app.only, &mut problems);
    registry::check_unique(&endpoints, &mut problems);
    refused(&problems).map(|()| endpoints)
}

/// The public URL. If it is not set, the URL of this machine, with a warning on standard error.
fn url(app: &App) -> Result<PublicUrl, String> {
    let config = settings(app)?;
    if let Some(url) = config.settle_public_url().map_err(said)? {
        return Ok(url);
    }
    let here = config.url_of_this_machine().map_err(said)?;
    say(&format!(
        "The public URL is not set, so the manifest's URLs begin with {here}: set {} to the URL that callers sign before you publish the manifest.",
        config.public_url_setting()
    ));
    Ok(here)
}

fn hold(path: &Path, format: Format, reader: Option<&Reader>, text: &str) -> Done {
    let shown = path.display();
    let kept = fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}."))?;
    if kept == text {
        return Ok(ExitCode::SUCCESS);
    }
    let reader = reader
        .map(|reader| format!(" --for {}", reader.name))
        .unwrap_or_default();
    let command = format!("`manifest --format {}{reader} --output {shown}`", format.name());
    let before =
        Contract::read(format, &kept).map_err(|why| format!("{shown} {why}. Write the file again with {command}."))?;
    // This contract is also read from text, like the file's contract, so that both contain only what the format can
    // express.
    let now = Contract::read(format, text).map_err(|why| format!("The program's own manifest {why}."))?;
    let changes = check::changes(&before, &now);
    let (breaking, harmless): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.breaks.is_some());
    let mut report = format!("{shown} is stale.\n");
    for (title, changes) in [
        ("These changes break callers:", breaking),
        ("These changes break no caller:", harmless),
    ] {
        if !changes.is_empty() {
            report += &format!("\n{title}\n");
            report.extend(changes.iter().map(|change| format!("  - {change}\n")));
        }
    }
    if changes.is_empty() {
        report += if same_json(&kept, text) {
            "Only its layout differs.\n"
        } else {
            "The file describes the same endpoints in a different form: this breaks no caller.\n"
        };
    }
    print(&format!(
        "{report}\nIf these changes are intended, update the file with {command}.\n"
    ))?;
    Ok(ExitCode::FAILURE)
}

fn same_json(one: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    value(one) == value(other)
}
