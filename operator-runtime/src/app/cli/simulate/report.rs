//! The report of a simulation: one line for each promise, and below the table the requests that show what is wrong.

use std::fmt::Write as _;

use super::exercise::Seen;
use super::promises::{PROMISES, Verdict, outcome};
use super::request::shown;

/// One endpoint, and what was answered; or the reason why it was not called.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) seen: Result<Seen, String>,
}

/// A report, and whether some promise was held and none was broken.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) is_held: bool,
}

/// A promise with the verdict on each endpoint that it is about.
struct Row<'s> {
    text: &'static str,
    advice: &'static str,
    verdicts: Vec<(&'s str, Verdict<'s>)>,
}

impl<'s> Row<'s> {
    fn with_verdict(&self, is_one: fn(&Verdict<'_>) -> bool) -> impl Iterator<Item = &(&'s str, Verdict<'s>)> {
        self.verdicts.iter().filter(move |(_, verdict)| is_one(verdict))
    }

    fn broken(&self) -> impl Iterator<Item = &(&'s str, Verdict<'s>)> {
        self.with_verdict(|verdict| matches!(verdict, Verdict::Broken { .. }))
    }

    fn held(&self) -> impl Iterator<Item = &(&'s str, Verdict<'s>)> {
        self.with_verdict(|verdict| matches!(verdict, Verdict::Held(_)))
    }

    fn not_shown(&self) -> impl Iterator<Item = &(&'s str, Verdict<'s>)> {
        self.with_verdict(|verdict| matches!(verdict, Verdict::NotShown(_)))
    }

    /// The verdict on all endpoints together: one endpoint is enough to break a promise.
    fn line(&self, width: usize) -> String {
        let text = self.text;
        let all = self.verdicts.len();
        let (verdict, (name, seen), count) = if let Some(first) = self.broken().next() {
            ("NOT HELD", first, self.broken().count())
        } else if let Some(first) = self.held().next() {
            ("held", first, self.held().count())
        } else if let Some(first) = self.verdicts.first() {
            ("not shown", first, all)
        } else {
            return format!("not shown  {text:width$}  no endpoint is of this kind\n");
        };
        let (Verdict::Held(what) | Verdict::NotShown(what) | Verdict::Broken { what, .. }) = seen;
        let share = if all == 1 {
            String::new()
        } else {
            format!(" ({count} of {all} endpoints)")
        };
        format!("{verdict:9}  {text:width$}  {name}: {what}{share}\n")
    }
}

/// Writes the report.
pub(super) fn write(tried: &[Tried]) -> Report {
    let rows: Vec<Row<'_>> = PROMISES
        .iter()
        .map(|promise| Row {
            text: promise.text,
            advice: promise.advice,
            verdicts: tried
                .iter()
                .filter_map(|one| Some((one.name.as_str(), (promise.judge)(one.seen.as_ref().ok()?)?)))
                .collect(),
        })
        .collect();
    let width = PROMISES.iter().map(|promise| promise.text.len()).max().unwrap_or(0);
    let mut text = format!("{:9}  {:width$}  WHAT WAS SEEN\n", "VERDICT", "PROMISE");
    text.extend(rows.iter().map(|row| row.line(width)));
    for row in &rows {
        for (name, verdict) in row.broken() {
            text += &evidence(row.text, name, verdict);
        }
        if row.broken().next().is_some() {
            let _ = writeln!(text, "  What to do: {}", row.advice);
        }
    }
    text += &not_shown(&rows);
    text += &not_tried(tried);
    Report {
        is_held: rows.iter().any(|row| row.held().next().is_some())
            && rows.iter().all(|row| row.broken().next().is_none()),
        // A terminal obeys control characters, and some of the text comes from the server.
        text: text.replace(|letter: char| letter.is_control() && letter != '\n', " "),
    }
}

/// The requests that show that an endpoint breaks a promise.
fn evidence(promise: &str, name: &str, verdict: &Verdict<'_>) -> String {
    let Verdict::Broken { what, evidence } = verdict else {
        return String::new();
    };
    let mut text = format!("\nNOT HELD by {name}: {promise}; {what}.\n");
    for exchange in evidence {
        let request = exchange.request.to_string();
        text.extend(request.lines().map(|line| format!("    {line}\n")));
        let _ = writeln!(
            text,
            "  was answered with {} {}",
            outcome(exchange),
            shown(exchange.body())
        );
    }
    text
}

/// The reasons why promises were not shown to hold by some endpoints, each reason once.
fn not_shown(rows: &[Row<'_>]) -> String {
    let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for row in rows {
        for (name, verdict) in row.not_shown() {
            let Verdict::NotShown(why) = verdict else { continue };
            match reasons.iter_mut().find(|(one, reason, _)| one == name && reason == why) {
                Some((_, _, promises)) => promises.push(row.text),
                None => reasons.push((name, why, vec![row.text])),
            }
        }
    }
    let mut text = String::new();
    for (name, why, promises) in reasons {
        let _ = write!(text, "\nNot shown by {name}, because {why}:\n");
        text.extend(promises.iter().map(|promise| format!("    {promise}\n")));
    }
    text
}

fn not_tried(tried: &[Tried]) -> String {
    let reasons = tried
        .iter()
        .filter_map(|one| Some((&one.name, one.seen.as_ref().err()?)));
    reasons.fold(String::new(), |mut text, (name, why)| {
        let _ = write!(text, "\nNot tried: {name}. {why}\n");
        text
    })
}
