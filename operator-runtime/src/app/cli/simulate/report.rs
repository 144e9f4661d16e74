//! The report of a simulation: one line for each promise, and below the table the requests that show what is wrong.

use std::fmt::Write as _;

use super::attempt::Exchange;
use super::exercise::Seen;
use super::promises::{PROMISES, Verdict, outcome};
use super::request::shown;

/// One endpoint, and what was answered; or the reason why it was not called.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) seen: Result<Seen, String>,
}

/// A report, and whether every endpoint was tried, some promise was kept and none was broken.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) is_kept: bool,
}

/// A promise with the verdict on each endpoint that it is about.
struct Row<'s> {
    text: &'static str,
    advice: &'static str,
    verdicts: Vec<(&'s str, Verdict<'s>)>,
}

impl Row<'_> {
    /// The endpoints that break the promise: the name, what was seen, and the exchanges that show it.
    fn broken(&self) -> impl Iterator<Item = (&str, &str, &[&Exchange])> {
        self.verdicts.iter().filter_map(|(name, verdict)| match verdict {
            Verdict::Broken { what, evidence } => Some((*name, what.as_str(), evidence.as_slice())),
            Verdict::Kept(_) | Verdict::NotShown(_) => None,
        })
    }

    fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        self.verdicts.iter().filter_map(|(name, verdict)| match verdict {
            Verdict::Kept(what) => Some((*name, what.as_str())),
            Verdict::NotShown(_) | Verdict::Broken { .. } => None,
        })
    }

    fn not_shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.verdicts.iter().filter_map(|(name, verdict)| match verdict {
            Verdict::NotShown(why) => Some((*name, why.as_str())),
            Verdict::Kept(_) | Verdict::Broken { .. } => None,
        })
    }

    /// The verdict on all endpoints together: one endpoint is enough to break a promise.
    fn line(&self, width: usize) -> String {
        let text = self.text;
        let all = self.verdicts.len();
        let (verdict, (name, what), count) = if let Some((name, what, _)) = self.broken().next() {
            ("NOT KEPT", (name, what), self.broken().count())
        } else if let Some(first) = self.kept().next() {
            ("kept", first, self.kept().count())
        } else if let Some(first) = self.not_shown().next() {
            ("not shown", first, all)
        } else {
            return format!("not shown  {text:width$}  no endpoint of this kind was tried\n");
        };
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
        for (name, what, evidence) in row.broken() {
            let _ = write!(text, "\nNOT KEPT by {name}: {}; {what}.\n", row.text);
            text.extend(evidence.iter().map(|exchange| shown_exchange(exchange)));
        }
        if row.broken().next().is_some() {
            let _ = writeln!(text, "  What to do: {}", row.advice);
        }
    }
    text += &not_shown(&rows);
    text += &not_tried(tried);
    Report {
        // An endpoint that was not tried could break each promise.
        is_kept: tried.iter().all(|one| one.seen.is_ok())
            && rows.iter().any(|row| row.kept().next().is_some())
            && rows.iter().all(|row| row.broken().next().is_none()),
        // A terminal obeys control characters, and some of the text comes from the server.
        text: text.replace(|letter: char| letter.is_control() && letter != '\n', " "),
    }
}

/// A request and its answer.
fn shown_exchange(exchange: &Exchange) -> String {
    let request = exchange.request.to_string();
    let mut text: String = request.lines().map(|line| format!("    {line}\n")).collect();
    let (outcome, body) = (outcome(exchange), shown(exchange.body()));
    let _ = writeln!(text, "  was answered with {outcome} {body}");
    text
}

/// The reasons why promises were not shown to hold by some endpoints, each reason once.
fn not_shown(rows: &[Row<'_>]) -> String {
    let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for row in rows {
        for (name, why) in row.not_shown() {
            match reasons
                .iter_mut()
                .find(|(one, reason, _)| *one == name && *reason == why)
            {
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
