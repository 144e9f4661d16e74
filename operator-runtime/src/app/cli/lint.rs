//! `lint`: reports the parts of the endpoints' descriptions that mislead an agent.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Done, manifest, print};
use crate::app::App;
use crate::manifest::lint::{self, For, Level};
use crate::manifest::model::Model;
use crate::manifest::readers::Reader;
use crate::protocol::public_url::PublicUrl;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Exit with 1 if there is a finding of this level or above.
    #[arg(long, value_name = "LEVEL")]
    deny: Option<Denied>,
    /// Also report what the agent of this vendor refuses or cuts.
    #[arg(long = "for", value_name = "READER", value_parser = manifest::reader())]
    reader: Option<&'static Reader>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Denied {
    /// Every finding.
    Notes,
    /// Only findings that sometimes make an agent do the wrong thing.
    Warnings,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Done {
    // No finding depends on the public URL, so any URL works here.
    let anywhere = PublicUrl::of_listener(([127, 0, 0, 1], 80).into());
    let model = Model::new(&manifest::endpoints(app)?, &anywhere);
    let reader = arguments.reader.map(|reader| For {
        reader,
        handler_timeout: app.settings().limits.handler_timeout,
    });
    let findings =
        lint::findings(&model, reader).map_err(|error| format!("A description cannot be written as JSON: {error}."))?;
    let mut text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let count = |level: Level| findings.iter().filter(|finding| finding.lint.level == level).count();
    let (warnings, notes) = (count(Level::Warning), count(Level::Note));
    text += &format!(
        "{} endpoints: {warnings} warnings, {notes} notes.\n",
        model.endpoints.len()
    );
    if !findings.is_empty() {
        text += "To keep a description as it is, write #[operator(allow(NAME))] on the function or the argument.\n";
    }
    print(&text)?;
    let denied = match arguments.deny {
        None => 0,
        Some(Denied::Warnings) => warnings,
        Some(Denied::Notes) => warnings + notes,
    };
    Ok(if denied == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
