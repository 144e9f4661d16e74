//! `operations settle`: records what a person found out about an operation whose outcome is unknown.

use std::path::PathBuf;

use clap::Args;

use crate::app::cli::{Done, print};
use crate::app::desk::{Desk, Said};

#[derive(Debug, Args)]
pub(in crate::app::cli) struct Arguments {
    /// The operation's id, or its first digits if no other id begins with them.
    operation: String,
    #[command(flatten)]
    claim: Claim,
    /// Your name, which is stored with the operation [default: your login name].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Claim {
    /// The operation was done: retries get the answer in this file, which contains the endpoint's answer as JSON.
    #[arg(long, value_name = "FILE")]
    done: Option<PathBuf>,
    /// The operation was not done: a retry runs it again.
    #[arg(long)]
    not_done: bool,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Done {
    let by = arguments
        .by
        .or_else(logged_in)
        .ok_or("Your login name is unknown (USER and LOGNAME are not set): give your name with `--by NAME`; it is stored with the operation.")?;
    let found = desk
        .find(&arguments.operation)
        .await
        .map_err(|error| error.to_string())?;
    let (place, answer);
    let said = match &arguments.claim.done {
        Some(path) => {
            place = path.display().to_string();
            answer = std::fs::read_to_string(path).map_err(|error| format!("{place} cannot be read: {error}."))?;
            Said::Done {
                place: &place,
                answer: &answer,
            }
        }
        None => Said::NotDone,
    };
    let settled = desk.settle(found, said, &by).await?;
    print(&format!("{settled}\n"))
}

fn logged_in() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    variable("USER").or_else(|| variable("LOGNAME"))
}
