//! `operations list`: lists the newest operations, or those that wait for a person.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use crate::app::cli::{Done, print};
use crate::app::desk::{Desk, Found, Newest, NotFound, OUTCOMES, Unreadable, utc};
use crate::idempotency::machine::NothingToSettle;
use crate::store::OperationId;

#[derive(Debug, Args)]
pub(in crate::app::cli) struct Arguments {
    /// List only operations whose outcome is unknown, which a person has to settle.
    #[arg(long)]
    unknown: bool,
    /// List only operations with these outcomes, separated by commas.
    #[arg(long, value_name = "OUTCOME", value_parser = OUTCOMES, value_delimiter = ',')]
    outcome: Vec<String>,
    /// List at most this many operations.
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

/// The outcome of an operation whose record cannot be read.
const UNREADABLE: &str = "unreadable";

/// One line of the list.
struct Row {
    cells: [String; 7],
    json: String,
    needs_a_person: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments) -> Done {
    let mut newest = Newest::new(arguments.limit);
    let mut records = desk.operations.records(OperationId::all());
    while let Some(listed) = records
        .next()
        .await
        .map_err(|error| NotFound::from(error).to_string())?
    {
        let found = match Found::new(desk, listed) {
            Ok(found) => found,
            // An unreadable record is always listed, because a person should look at it.
            Err(unreadable) => {
                let row = Row::unreadable(&unreadable);
                newest.add(unreadable.times.first_seen, unreadable.id, row);
                continue;
            }
        };
        if arguments.ask_for(&found) {
            newest.add(found.times.first_seen, found.id, Row::of(&found)?);
        }
    }
    let all = newest.all();
    let rows: Vec<Row> = newest.in_order().collect();
    print(&if arguments.json {
        rows.iter().map(|row| format!("{}\n", row.json)).collect()
    } else {
        text(&rows, all, arguments, &desk.store().describe())
    })
}

impl Arguments {
    fn ask_for(&self, found: &Found) -> bool {
        let has_outcome = self.outcome.is_empty() || self.outcome.iter().any(|outcome| outcome == found.outcome());
        has_outcome
            && match &found.to_settle {
                Ok(()) => true,
                // An expired operation counts as absent.
                Err(NothingToSettle::Expired) => false,
                Err(_) => !self.unknown,
            }
    }
}

impl Row {
    fn of(found: &Found) -> Result<Self, String> {
        let origin = &found.record().origin;
        let settlement = found.record().settlement.as_deref();
        let json = serde_json::to_string(&found.told())
            .map_err(|error| format!("An operation cannot be written as JSON: {error}."))?;
        Ok(Self {
            cells: [
                found.id.abbreviated(),
                found.outcome().to_owned(),
                utc(found.times.first_seen),
                or_dash(origin.endpoint()),
                or_dash(origin.tenant()),
                or_dash(origin.idempotency_key()),
                settlement.map_or_else(String::new, |settlement| settlement.by.clone()),
            ],
            json,
            needs_a_person: found.to_settle.is_ok(),
        })
    }

    fn unreadable(unreadable: &Unreadable) -> Self {
        let first_seen = utc(unreadable.times.first_seen);
        let json = json!({
            "operation": unreadable.id.to_string(),
            "outcome": UNREADABLE,
            "first_seen": first_seen,
            "problem": unreadable.why.to_string(),
        });
        let unknown = || or_dash("");
        Self {
            cells: [
                unreadable.id.abbreviated(),
                UNREADABLE.to_owned(),
                first_seen,
                unknown(),
                unknown(),
                unknown(),
                String::new(),
            ],
            json: json.to_string(),
            needs_a_person: false,
        }
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

fn text(rows: &[Row], all: usize, arguments: &Arguments, store: &str) -> String {
    if all == 0 {
        return if arguments.unknown {
            format!("No operation in {store} needs a decision by a person.\n")
        } else if !arguments.outcome.is_empty() {
            format!(
                "No operation in {store} has the outcome {}.\n",
                arguments.outcome.join(" or ")
            )
        } else {
            format!("There are no operations in {store}.\n")
        };
    }
    let mut text = table(rows);
    if rows.len() < all {
        let _ = writeln!(
            text,
            "\nThese are the newest {} of {all} operations; `--limit` shows more.",
            rows.len()
        );
    }
    if rows.iter().any(|row| row.cells[1] == UNREADABLE) {
        text += "\n`operations show OPERATION` says why an operation is unreadable.\n";
    }
    if rows.iter().any(|row| row.needs_a_person) {
        text +=
            "\n`operations show OPERATION` shows details, and how to settle an operation whose outcome is unknown.\n";
    }
    text
}

fn table(rows: &[Row]) -> String {
    let head = [
        "OPERATION",
        "OUTCOME",
        "FIRST SEEN",
        "ENDPOINT",
        "TENANT",
        "IDEMPOTENCY KEY",
        "SETTLED BY",
    ];
    let head = head.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(&head)
        .chain(rows.iter().map(|row| &row.cells))
        .collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let width = |row: &&[String; 7]| row[column].chars().count();
        rows.iter().map(width).max().unwrap_or(0)
    });
    rows.iter().fold(String::new(), |mut text, row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}
