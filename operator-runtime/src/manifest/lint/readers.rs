//! The lint for one reader: what the reader refuses or cuts, and what takes longer than the reader waits.

use std::time::Duration;

use humantime::format_duration as shown;

use super::{Finding, Report, UNFIT_FOR_READER};
use crate::manifest::model::Model;
use crate::manifest::readers::{self, Misfit, Place, Reader};

/// A reader, and how long a handler may run if its endpoint has no `timeout`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct For {
    pub(crate) reader: &'static Reader,
    pub(crate) handler_timeout: Duration,
}

pub(super) fn of_all(model: &Model, of: For, found: &mut Vec<Finding>) -> Result<(), serde_json::Error> {
    let (_, misfits) = readers::document(model, of.reader)?;
    for misfit in misfits {
        add(model, misfit, found);
    }
    if let Some(most) = of.reader.most_wait {
        times(model, of, most, found);
    }
    Ok(())
}

fn add(model: &Model, misfit: Misfit, found: &mut Vec<Finding>) {
    let Misfit {
        place, what, better, ..
    } = misfit;
    let (name, input) = match place {
        Place::App => return found.push(of_app("the app".to_owned(), what, better)),
        Place::Type(name) => return found.push(of_app(format!("type {name}"), what, better)),
        Place::Endpoint(name) => (name, None),
        Place::Input(name, input) => (name, Some(input)),
    };
    let Some(described) = model.endpoints.iter().find(|one| one.endpoint.name == name) else {
        return;
    };
    let mut report = Report { described, found };
    match input {
        None => report.endpoint(UNFIT_FOR_READER, what, better),
        Some(input) => report.input(UNFIT_FOR_READER, &input, what, better),
    }
}

fn of_app(place: String, what: String, better: &str) -> Finding {
    Finding {
        lint: UNFIT_FOR_READER,
        source: None,
        place,
        what,
        better: better.to_owned(),
    }
}

/// Reports handlers that may run for longer than the reader waits. The reader then reports a failure, although the
/// handler goes on.
fn times(model: &Model, of: For, most: Duration, found: &mut Vec<Finding>) {
    let title = of.reader.title;
    let mut is_default = false;
    for described in &model.endpoints {
        match described.endpoint.timeout {
            Some(timeout) if timeout > most => {
                let (timeout, most) = (shown(timeout), shown(most));
                Report { described, found }.endpoint(
                    UNFIT_FOR_READER,
                    format!("The handler may run for {timeout}, but {title} waits for only {most}"),
                    "Set a shorter `timeout`; for longer work, answer with a number, and let another endpoint say what became of it.",
                );
            }
            Some(_) => {}
            None => is_default = true,
        }
    }
    if is_default && of.handler_timeout > most {
        let (timeout, most) = (shown(of.handler_timeout), shown(most));
        let what = format!(
            "Handlers of endpoints without a `timeout` may run for {timeout}, but {title} waits for only {most}"
        );
        let better = "Set `Config::handler_timeout`, or write a `timeout` for the slow endpoints.";
        found.push(of_app("the app".to_owned(), what, better));
    }
}
