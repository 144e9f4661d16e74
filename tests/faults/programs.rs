//! The program of these tests, its gates, and the effects that it has recorded.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use operator_runtime::rusqlite;
use operator_runtime::tokio_postgres::{self, NoTls, Row};
use tests::caller::{PUBLIC_URL, SECRET};
use tests::services::Postgres;

use crate::calm::Effect;

/// A gate at which a handler waits.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self(folder.join(name))
    }

    /// The inputs of a call that waits at the gate.
    pub(crate) fn body(&self) -> String {
        serde_json::json!({ "gate": self.0 }).to_string()
    }

    pub(crate) fn wait_until_reached(&self) {
        let begun = self.0.with_extension("begun");
        wait_until(&format!("the way of a handler to {}", begun.display()), || {
            begun.exists()
        });
    }

    pub(crate) fn open(&self) {
        std::fs::write(self.0.with_extension("open"), "").unwrap();
    }
}

/// Waits until that is so, for at most 60 s.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The message of a program that does not start.
pub(crate) fn refusal_to_start(program: &Path, folder: &Path, environment: &[(&str, &str)]) -> String {
    let output = Command::new(program)
        .arg("serve")
        .current_dir(folder)
        .env("OPERATOR_SIGNING_KEY", SECRET)
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .env("OPERATOR_LISTEN", "127.0.0.1:0")
        // Otherwise the machine's own certificates would be trusted as well as those of the test.
        .env_remove("SSL_CERT_DIR")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// The lines of a file that may not exist yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn sqlite_credits(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT key FROM credits").unwrap();
    let keys = statement.query_map([], |row| row.get(0)).unwrap();
    keys.collect::<Result<_, _>>().unwrap()
}

pub(crate) fn postgres_credits(postgres: &Postgres) -> Vec<String> {
    let rows = postgres_rows(postgres, "SELECT key FROM credits");
    rows.iter().map(|row| row.get(0)).collect()
}

/// What `billing` has charged a customer: each entry by its purpose, and the balance.
pub(crate) fn billing_ledger(postgres: &Postgres, customer: &str) -> (Vec<Effect>, i64) {
    let entries = format!("SELECT purpose, entry FROM ledger WHERE customer = '{customer}'");
    let entries = postgres_rows(postgres, &entries);
    let effect = |row: &Row| Effect {
        key: row.get(0),
        says: Some(("entry", row.get(1))),
    };
    let owed = format!("SELECT balance_cents FROM customers WHERE customer = '{customer}'");
    let owed = postgres_rows(postgres, &owed)[0].get(0);
    (entries.iter().map(effect).collect(), owed)
}

pub(crate) fn postgres_rows(postgres: &Postgres, sql: &str) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&postgres.url(), NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let rows = client.query(sql, &[]).await.unwrap();
        connection.abort();
        rows
    })
}
