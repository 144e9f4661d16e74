//! The table of proofs: each test that counts adds a row, and `tests/all` prints the rows and fails if a row of
//! `tests/proofs.tsv` is missing.

use std::fs::OpenOptions;
use std::io::Write as _;

/// The variable with the file to which rows are added; if it is not set, rows are only printed.
const TABLE: &str = "OPERATOR_PROOFS";

/// What one proof has counted on one store.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// What the proof shows, in a few words.
    pub proof: &'r str,
    /// The store.
    pub store: &'r str,
    /// How much was tried, such as "10000 histories" or "60 kills, 4100 operations".
    pub tried: &'r str,
    /// How many answered effects are missing, or were answered differently later.
    pub lost: usize,
    /// How many effects took place more than once.
    pub doubled: usize,
}

impl<'r> Row<'r> {
    /// The row of a store that passes its contract suite; a failure ends that test before this row.
    #[must_use]
    pub fn of_the_contract(store: &'r str) -> Self {
        Self {
            proof: "the contract of a store",
            store,
            tried: "9 rules",
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
            // One write, so that rows of simultaneous tests do not mix.
            let row = format!("{proof}\t{store}\t{tried}\t{lost}\t{doubled}\n");
            let table = OpenOptions::new().append(true).create(true).open(path);
            table
                .and_then(|mut table| table.write_all(row.as_bytes()))
                .expect("the table of proofs is written");
        }
        assert_eq!((lost, doubled), (0, 0), "{proof}, {store}: lost and doubled");
    }
}
