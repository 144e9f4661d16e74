//! `endpoints`: prints a table of the endpoints that are linked into the program.

use std::fmt::Write as _;

use super::{Done, print, refused};
use crate::app::{App, registry};
use crate::endpoint::Endpoint;

pub(super) fn run(app: &App) -> Done {
    let mut problems = Vec::new();
    let endpoints = registry::select(&app.only, &mut problems);
    refused(&problems)?;
    print(&table(&endpoints))
}

/// Method, path, name, effect and the first line of each description.
pub(super) fn table(endpoints: &[&'static Endpoint]) -> String {
    let rows = endpoints.iter().map(|endpoint| {
        let first = endpoint.description.lines().next().unwrap_or_default();
        [
            endpoint.method.as_str(),
            endpoint.path,
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
