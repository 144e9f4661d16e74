//! The table of proofs: each test that counts adds its row, and `tests/all` prints them, and fails where one is missing
//! that `tests/proofs.tsv` names.

use std::fs::OpenOptions;
use std::io::Write as _;

/// The file that rows are added to; where it is not set, they are only printed.
const TABLE: &str = "OPERATOR_PROOFS";

/// What one proof has counted on one store.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// What it shows, in a few words.
    pub proof: &'r str,
    /// Which store.
    pub store: &'r str,
    /// How much it tried, such as "10000 histories" or "60 kills, 4100 operations".
    pub tried: &'r str,
    /// Answered, and not there or not answered again.
    pub lost: usize,
    /// There more often than once.
    pub doubled: usize,
}

impl<'r> Row<'r> {
    /// Of a store that has kept its contract, all of which ends its test where it is not kept.
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

    /// Adds the row to the table, and fails where something was lost or doubled.
    ///
    /// # Panics
    /// If so, or if the table cannot be written.
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
            // One write, so that rows of tests at the same time do not mix.
            let row = format!("{proof}\t{store}\t{tried}\t{lost}\t{doubled}\n");
            let table = OpenOptions::new().append(true).create(true).open(path);
            table
                .and_then(|mut table| table.write_all(row.as_bytes()))
                .expect("the table of proofs is written");
        }
        assert_eq!((lost, doubled), (0, 0), "{proof}, {store}: lost and doubled");
    }
}
