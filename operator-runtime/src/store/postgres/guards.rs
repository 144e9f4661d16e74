//! Guards: the settings that limit what a session can do. They are set after connecting, because poolers refuse them in
//! the start-up message. Then they are read back, because a pooler may have applied them to another session.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::address::refused;
use super::session::Failure;
use crate::store::StoreError;

/// How long a transaction may be idle if its endpoint has the default time limit of one minute.
pub(super) const IDLE: Duration = Duration::from_secs(65);

/// The limits of every session, in milliseconds.
const PATIENCE: [(&str, &str); 2] = [("lock_timeout", "10000"), ("statement_timeout", "30000")];
const READ_ONLY: [(&str, &str); 2] = [
    ("default_transaction_read_only", "on"),
    ("idle_in_transaction_session_timeout", "65s"),
];

const SET: &str = "SELECT set_config(name, value, false), current_setting('transaction_read_only') = 'on'
    FROM unnest($1, $2) WITH ORDINALITY AS guard (name, value, place) ORDER BY place";
const READ: &str = "SELECT pg_backend_pid(),
    ARRAY(SELECT current_setting(name) FROM unnest($1) WITH ORDINALITY AS guard (name, place) ORDER BY place)";

/// The value of each setting, by its name in lower case.
pub(super) type Settings = BTreeMap<String, String>;

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Records,
    /// Handlers write only in the transaction that the store has begun. If a handler's SQL ends this transaction, the
    /// connection is read-only. `idle_in_transaction_session_timeout` is long enough for a handler with the default
    /// time limit.
    Handlers,
    /// Readers use read-only sessions outside the store's transactions. A handler may begin its own transactions there;
    /// the same idle limit applies.
    Readers,
}

/// The settings of the sessions for one use.
#[derive(Debug)]
pub(super) struct Guards {
    names: Vec<String>,
    values: Vec<String>,
}

impl Guards {
    /// The guards for one use. A setting in the address replaces our value.
    pub(super) fn new(used: Use, asked_for: &Settings) -> Self {
        let of_use: &[(&str, &str)] = match used {
            Use::Records => &[],
            Use::Handlers | Use::Readers => &READ_ONLY,
        };
        let ours = PATIENCE.iter().chain(of_use);
        let ours = ours.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings: Settings = ours.collect();
        settings.extend(asked_for.clone());
        let (names, values) = settings.into_iter().unzip();
        Self { names, values }
    }

    /// Sets the guards, checks that they are in effect, and returns the id of the server process that serves the
    /// session.
    pub(super) async fn set(&self, client: &Client) -> Result<i32, Failure> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.names, Type::TEXT_ARRAY), (&self.values, Type::TEXT_ARRAY)];
        let set = client.query_typed(SET, &parameters).await?;
        // Whether this transaction is already read-only. The guards just set affect only later transactions.
        if let Some(first) = set.first()
            && first.try_get(1)?
        {
            return Err(Failure::ReadOnly);
        }
        let set = set
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<String>, _>>()?;
        // This is a separate statement: if a pooler runs it in another session, the values differ.
        let read = client.query_typed_one(READ, &parameters[..1]).await?;
        if set != read.try_get::<_, Vec<String>>(1)? {
            return Err(Failure::Pooled);
        }
        Ok(read.try_get(0)?)
    }
}

/// Parses the value of the option `options`, which libpq passes to the server: `-c name=value` or `--name=value`, where
/// a backslash makes the next character part of the value.
pub(super) fn parse(options: &str) -> Result<Settings, StoreError> {
    let mut settings = Settings::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(long) => Some(long.to_owned()),
            None => match word.strip_prefix("-c") {
                Some("") => words.next(),
                other => other.map(str::to_owned),
            },
        };
        let setting = setting.as_deref().and_then(|setting| setting.split_once('='));
        let (name, value) = setting.ok_or_else(|| {
            refused("has a wrong value for `options`: write `-c name=value`, percent-encoded, such as `options=-c%20lock_timeout%3D5000`")
        })?;
        settings.insert(name.to_lowercase().replace('-', "_"), value.to_owned());
    }
    Ok(settings)
}

/// The words between spaces, as the server splits them.
fn words(options: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match (character, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (space, _) if space.is_ascii_whitespace() => words.push(String::new()),
            (other, Some(word)) => word.push(other),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed_as_the_server_parses_them() {
        let parsed = parse(r"-c Lock_timeout=1  --statement-timeout=2s -csearch_path=a\ b").expect("settings");
        let parsed: Vec<(&str, &str)> = parsed.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            parsed,
            [
                ("lock_timeout", "1"),
                ("search_path", "a b"),
                ("statement_timeout", "2s")
            ]
        );
        for wrong in ["-c", "-c name", "-d 5", "name=value"] {
            let error = parse(wrong).expect_err(wrong).to_string();
            assert!(error.contains("`options`"), "{wrong}: {error}");
        }
    }

    #[test]
    fn settings_of_the_address_override_ours() {
        let asked_for = Settings::from([("lock_timeout".to_owned(), "1".to_owned())]);
        let guards = Guards::new(Use::Handlers, &asked_for);
        let value_of = |name: &str| {
            let place = guards.names.iter().position(|other| other == name);
            place.map(|place| guards.values[place].as_str())
        };
        assert_eq!(value_of("lock_timeout"), Some("1"));
        assert_eq!(value_of("default_transaction_read_only"), Some("on"));
        assert_eq!(guards.names.len(), 4);
    }
}
