//! `endpoints`: prints a table of the endpoints and handlers of events that are linked into the program.

use std::fmt::Write as _;

use super::{Done, print, refused};
use crate::app::{App, registry};
use crate::endpoint::Endpoint;
use crate::endpoint::event::EventHandler;

pub(super) fn run(app: &App) -> Done {
    let mut problems = Vec::new();
    let endpoints = registry::select(&app.only, &mut problems);
    refused(&problems)?;
    let handlers = registry::select_handlers(&app.only);
    print(&table(&endpoints, &handlers, registry::events_path(&app.events_paths)))
}

/// A table of the endpoints, and of the events, which arrive at `events_path`: method, path, name, effect and the first
/// line of the description.
pub(super) fn table(
    endpoints: &[&'static Endpoint],
    handlers: &[&'static EventHandler],
    events_path: &'static str,
) -> String {
    let endpoints = endpoints.iter().map(|endpoint| (*endpoint, endpoint.path));
    let events = handlers.iter().map(|handler| (&handler.endpoint, events_path));
    let rows = endpoints.chain(events).map(|(endpoint, path)| {
        let first = endpoint.description.lines().next().unwrap_or_default();
        [
            endpoint.method.as_str(),
            path,
            endpoint.name,
            endpoint.effect.in_words(),
            first,
        ]
    });
    let rows: Vec<_> = std::iter::once(["METHOD", "PATH", "NAME", "EFFECT", "DESCRIPTION"])
        .chain(rows)
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    rows.iter()
        .fold(String::new(), |mut text, [method, path, name, effect, description]| {
            let [method_width, path_width, name_width, effect_width] = widths;
            let _ = writeln!(
                text,
                "{method:method_width$}  {path:path_width$}  {name:name_width$}  {effect:effect_width$}  {description}"
            );
            text
        })
}
