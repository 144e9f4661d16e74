//! What the audit says about operations: their inputs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Desk, Found};
use crate::store::{AuditFilter, Audited, OperationId, StoreError};

/// How many rows are read at a time.
const PAGE: u32 = 100;
/// How many of the newest rows are searched for an input.
pub(in crate::app) const SEARCHED: usize = 10_000;

/// A value that an input must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Input {
    name: String,
    /// The value as a text, if it is a string.
    text: String,
    /// The value as JSON, if it is JSON.
    json: Option<Value>,
}

impl Desk {
    /// The inputs of an operation as JSON. `None` if the audit is off, or has no row with the inputs.
    pub(in crate::app) async fn inputs(&self, found: &Found) -> Result<Option<String>, StoreError> {
        if !self.operations.has_audit() {
            return Ok(None);
        }
        let row = self
            .operations
            .row_with_inputs(found.id, found.times.first_seen)
            .await?;
        Ok(row.and_then(|row| row.inputs))
    }

    /// The operations of which the newest rows of the audit have this input.
    pub(in crate::app) async fn with_input(&self, input: &Input) -> Result<BTreeSet<OperationId>, StoreError> {
        let mut found = BTreeSet::new();
        let Some(log) = self.operations.store().audit().filter(|_| self.operations.has_audit()) else {
            return Ok(found);
        };
        let (mut after, mut read) = (None, 0);
        while read < SEARCHED {
            let page = log.page(AuditFilter::default(), after, PAGE).await?;
            read += page.rows.len();
            found.extend(
                page.rows
                    .iter()
                    .filter(|row| input.is_in(row))
                    .map(|row| row.row.operation),
            );
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(found)
    }
}

impl Input {
    /// # Errors
    /// A clause that says what to write.
    pub(in crate::app) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("write the name of an input, `=`, and its value, such as `order_id=1004`")?;
        Ok(Self {
            name: name.to_owned(),
            text: value.to_owned(),
            json: serde_json::from_str(value).ok(),
        })
    }

    pub(in crate::app) fn is_in(&self, row: &Audited) -> bool {
        let inputs: Option<Value> = row
            .row
            .inputs
            .as_deref()
            .and_then(|inputs| serde_json::from_str(inputs).ok());
        let value = inputs.as_ref().and_then(|inputs| inputs.get(&self.name));
        match value {
            None => false,
            Some(Value::String(text)) => *text == self.text,
            Some(Value::Number(number)) => self.is_number(number),
            Some(other) => Some(other) == self.json.as_ref(),
        }
    }

    fn is_number(&self, number: &serde_json::Number) -> bool {
        let Some(Value::Number(asked)) = &self.json else {
            return false;
        };
        asked == number
            || asked
                .as_f64()
                .is_some_and(|asked| is_whole(asked) && number.as_f64() == Some(asked))
    }
}

/// Whether the number is whole, and so small that each whole number has an `f64` of its own.
#[expect(clippy::float_cmp, reason = "a whole number equals its own integer part")]
fn is_whole(number: f64) -> bool {
    number.trunc() == number && number.abs() < 9e15
}

#[cfg(test)]
mod tests {
    use super::Input;
    use crate::store::{AuditRow, Audited, OperationId, Origin};

    fn row(inputs: &str) -> Audited {
        let id = OperationId::new("shop", "key");
        let mut row = AuditRow::new(id, Origin::new("refund", "key", "shop"), "done");
        row.inputs = Some(inputs.to_owned());
        Audited::new(std::time::UNIX_EPOCH, row)
    }

    #[test]
    fn an_input_has_a_value_as_text_or_as_json() {
        let row =
            row(r#"{"amount":12.5,"email":"a@b.example","express":true,"order_id":1004,"tags":["a"],"zip":"01067"}"#);
        for has in [
            "order_id=1004",
            "order_id=1004.0",
            "amount=12.5",
            "amount=12.50",
            "email=a@b.example",
            "express=true",
            "zip=01067",
            r#"tags=["a"]"#,
        ] {
            assert!(Input::parse(has).unwrap().is_in(&row), "{has}");
        }
        for lacks in [
            "order_id=100",
            "order_id=",
            "zip=1067",
            "express=false",
            "missing=1",
            "tags=a",
        ] {
            assert!(!Input::parse(lacks).unwrap().is_in(&row), "{lacks}");
        }
    }

    #[test]
    fn an_input_without_a_name_is_refused() {
        for wrong in ["order_id", "=1004", ""] {
            assert!(Input::parse(wrong).is_err(), "{wrong}");
        }
    }
}
