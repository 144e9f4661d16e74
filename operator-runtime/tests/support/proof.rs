//! The table of proofs. Each test that counts lost and doubled effects adds a row. `tests/all` prints the rows, and
//! fails if a row that `tests/proofs.tsv` names is missing.

use std::fs::OpenOptions;
use std::io::Write as _;

/// The environment variable with the path of the file to which rows are added. If it is not set, rows are only printed.
const TABLE: &str = "OPERATOR_PROOFS";

/// The result of one proof on one store.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// What the proof shows, in a few words.
    pub proof: &'r str,
    /// The store.
    pub store: &'r str,
    /// The amount of the test, such as "10000 histories" or "60 kills, 4100 operations".
    pub tried: &'r str,
    /// The number of effects that were answered but are missing, or whose answer changed later.
    pub lost: usize,
    /// The number of effects that happened more than once.
    pub doubled: usize,
}

impl<'r> Row<'r> {
    /// The row of a store that passes its contract suite. If the store fails, the test ends before it adds this row.
    #[must_use]
    pub fn of_the_contract(store: &'r str) -> Self {
        Self {
            proof: "the contract of a store",
            store,
            tried: "10 rules",
            lost: 0,
            doubled: 0,
        }
    }

    /// Adds the row to the table, and fails if an effect was lost or doubled.
    ///
    /// # Panics
    /// If an effect was lost or doubled, or if the table cannot be written.
    pub fn record(self) {
        let Self {
            proof,
            store,
            tried,
            lost,
            doubled,
        } = self;
        println!("{proof}, {store}: {tried}, lost {lost}, doubled {doubled}");
        if let Some(path) = std::env::var_os(TABLE) {
            // The row is written at once, so that rows of simultaneous tests do not mix.
            let row = format!("{proof}\t{store}\t{tried}\t{lost}\t{doubled}\n");
            let table = OpenOptions::new().append(true).create(true).open(path);
            table
                .and_then(|mut table| table.write_all(row.as_bytes()))
                .expect("the table of proofs can be written");
        }
        assert_eq!((lost, doubled), (0, 0), "{proof}, {store}: lost and doubled");
    }
}
