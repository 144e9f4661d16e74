//! The formats in which rows of the audit are printed. Nothing in a row can act on the reader: neither on a terminal nor
//! in a spreadsheet.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::app::desk::utc;
use crate::store::Audited;

/// Prints rows page by page.
pub(super) trait Format: Send {
    /// The text of one page. `is_first` is true until a page had rows.
    fn page(&mut self, rows: &[Audited], is_first: bool, is_last: bool) -> String;
}

/// A table for people.
#[derive(Default)]
pub(super) struct Table {
    /// The widths of the columns, which only grow from page to page.
    widths: [usize; 7],
}

/// One JSON object per line.
pub(super) struct Jsonl;

/// Comma-separated values.
pub(super) struct Csv;

const HEAD: [&str; 7] = [
    "ENDED",
    "OUTCOME",
    "OPERATION",
    "ENDPOINT",
    "TENANT",
    "SETTLED BY",
    "INPUTS",
];

impl Format for Table {
    fn page(&mut self, rows: &[Audited], is_first: bool, is_last: bool) -> String {
        if rows.is_empty() {
            let nothing = "The audit has no such row.\n";
            return if is_first && is_last { nothing } else { "" }.to_owned();
        }
        let rows = rows.iter().map(|Audited { ended, row, .. }| {
            [
                utc(*ended),
                row.outcome.to_string(),
                row.operation.abbreviated(),
                row.origin.endpoint().to_owned(),
                row.origin.tenant().to_owned(),
                row.settled_by.clone().unwrap_or_default(),
                row.inputs.clone().unwrap_or_default(),
            ]
            .map(|cell| harmless(&cell))
        });
        let head = is_first.then(|| HEAD.map(str::to_owned));
        let rows: Vec<[String; 7]> = head.into_iter().chain(rows).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        rows.iter().fold(String::new(), |mut text, row| {
            // The last column is not padded, because it may be long.
            let padded = row.iter().zip(self.widths).take(6);
            let cells: Vec<String> = padded.map(|(cell, width)| format!("{cell:width$}")).collect();
            let line = format!("{}  {}", cells.join("  "), row[6]);
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
    }
}

/// A row as JSON, for programs. The fields have the names of the table's columns.
#[derive(Serialize)]
struct Told<'r> {
    ended: String,
    operation: String,
    idempotency_key: &'r str,
    tenant: &'r str,
    key_id: Option<&'r str>,
    scheme: Option<&'r str>,
    endpoint: &'r str,
    inputs: Option<Json<'r>>,
    outcome: &'r str,
    status: Option<u16>,
    answer: Option<Json<'r>>,
    attempts: u32,
    trace_id: Option<&'r str>,
    settled_by: Option<&'r str>,
}

/// A column that contains JSON. A row that a person has written may have another text there.
#[derive(Serialize)]
#[serde(untagged)]
enum Json<'r> {
    Value(&'r RawValue),
    Text(&'r str),
}

impl<'r> Json<'r> {
    fn of(text: &'r str) -> Self {
        // A line of JSON has no line feed, which may stand between two values.
        match serde_json::from_str(text) {
            Ok(value) if !text.contains(['\n', '\r']) => Self::Value(value),
            _ => Self::Text(text),
        }
    }
}

impl<'r> Told<'r> {
    fn of(Audited { ended, row, .. }: &'r Audited) -> Self {
        Self {
            ended: millis(*ended),
            operation: row.operation.to_string(),
            idempotency_key: row.origin.idempotency_key(),
            tenant: row.origin.tenant(),
            key_id: row.key_id.as_deref(),
            scheme: row.scheme.as_deref(),
            endpoint: row.origin.endpoint(),
            inputs: row.inputs.as_deref().map(Json::of),
            outcome: &row.outcome,
            status: row.status,
            answer: row.answer.as_deref().map(Json::of),
            attempts: row.attempts,
            trace_id: row.trace_id.as_deref(),
            settled_by: row.settled_by.as_deref(),
        }
    }
}

impl Format for Jsonl {
    fn page(&mut self, rows: &[Audited], _is_first: bool, _is_last: bool) -> String {
        let line = |row| serde_json::to_string(&Told::of(row)).map(|json| format!("{}\n", harmless(&json)));
        // Nothing in a row can fail to be written as JSON.
        rows.iter().filter_map(|row| line(row).ok()).collect()
    }
}

impl Format for Csv {
    fn page(&mut self, rows: &[Audited], is_first: bool, is_last: bool) -> String {
        let head = "ended,operation,idempotency_key,tenant,key_id,scheme,endpoint,inputs,outcome,status,answer,attempts,trace_id,settled_by\r\n";
        let mut text = if is_first && (is_last || !rows.is_empty()) {
            head
        } else {
            ""
        }
        .to_owned();
        for Audited { ended, row, .. } in rows {
            let of = |text: &Option<String>| text.clone().unwrap_or_default();
            let cells = [
                millis(*ended),
                row.operation.to_string(),
                row.origin.idempotency_key().to_owned(),
                row.origin.tenant().to_owned(),
                of(&row.key_id),
                row.scheme.as_deref().unwrap_or_default().to_owned(),
                row.origin.endpoint().to_owned(),
                of(&row.inputs),
                row.outcome.to_string(),
                row.status.map(|status| status.to_string()).unwrap_or_default(),
                of(&row.answer),
                row.attempts.to_string(),
                of(&row.trace_id),
                of(&row.settled_by),
            ];
            let cells = cells.map(|cell| csv(&cell));
            text += &format!("{}\r\n", cells.join(","));
        }
        text
    }
}

/// A cell of CSV. A spreadsheet takes a text that begins with one of these characters for a formula, so a quote stands in
/// front of such a text.
fn csv(cell: &str) -> String {
    let cell = harmless(cell);
    let quote = if cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    let cell = format!("{quote}{cell}");
    if cell.contains([',', '"', ' ']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

/// The text with an escape in place of each character that a terminal could take for a command, or that changes the
/// direction of the text. The escapes are those of JSON, so JSON stays the same value.
fn harmless(text: &str) -> String {
    let acts = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(acts) {
        return text.to_owned();
    }
    text.chars().fold(String::new(), |mut text, character| {
        if acts(character) {
            // All are in the BMP, so four digits are enough.
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        } else {
            text.push(character);
        }
        text
    })
}

fn millis(time: std::time::SystemTime) -> String {
    let seconds = utc(time);
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::{Csv, Format as _, Jsonl, Table, harmless};
    use crate::store::{AuditRow, Audited, OperationId, Origin};

    fn row(key: &str, tenant: &str, inputs: &str) -> Audited {
        let mut row = AuditRow::new(
            OperationId::new(tenant, key),
            Origin::new("refund", key, tenant),
            "done",
        );
        row.inputs = Some(inputs.to_owned());
        row.status = Some(200);
        Audited::new(UNIX_EPOCH + Duration::from_millis(1_700_000_000_250), row)
    }

    #[test]
    fn a_row_cannot_act_on_a_terminal() {
        let row = [row("k", "a\u{1b}[2J\u{9b}\u{202e}\n", "{\"a\":\"\u{9b}\"}")];
        let printed = [
            Table::default().page(&row, true, true),
            Jsonl.page(&row, true, true),
            Csv.page(&row, true, true),
        ];
        for text in &printed {
            let acts =
                |character: char| (character.is_control() && !"\r\n".contains(character)) || character == '\u{202e}';
            assert!(!text.contains(acts), "{text:?}");
        }
        let line: Value = serde_json::from_str(&printed[1]).unwrap();
        assert_eq!(line["tenant"], "a\u{1b}[2J\u{9b}\u{202e}\n");
        assert_eq!(line["inputs"], json!({ "a": "\u{9b}" }));
        assert_eq!(line["ended"], "2023-11-14T22:13:20.250Z");
        assert_eq!(harmless("plain é"), "plain é");
    }

    #[test]
    fn a_row_is_no_formula_in_a_spreadsheet() {
        for key in ["=1+1", "+1", "-1", "@SUM(A1)"] {
            let text = Csv.page(&[row(key, "shop", "{}")], false, true);
            assert!(text.contains(&format!(",'{key},")), "{text}");
        }
        let text = Csv.page(&[row("a,\"b\"", " =1", "{}")], false, true);
        assert!(text.contains(",\"a,\"\"b\"\"\",\"' =1\","), "{text}");
    }

    #[test]
    fn the_head_is_printed_once() {
        let rows = [row("k", "shop", "{}")];
        let mut table = Table::default();
        assert_eq!(table.page(&[], true, false), "");
        assert!(table.page(&rows, true, false).starts_with("ENDED"));
        assert!(!table.page(&rows, false, true).contains("ENDED"));
        assert_eq!(Table::default().page(&[], true, true), "The audit has no such row.\n");
        assert!(Csv.page(&[], true, true).starts_with("ended,operation"));
        assert_eq!(Csv.page(&[], false, true), "");
    }
}
