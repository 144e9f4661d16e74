//! Charges of each kind, each recorded where it takes effect, with short leases so that tests can wait until they
//! expire.

mod charges;
mod limited;
mod limits;

use std::process::ExitCode;
use std::time::Duration;

use operator_runtime::{App, Config, Settings, endpoints};

/// After two seconds without a renewal, or the time that a test sets, an attempt counts as lost.
fn settings() -> Settings {
    let lease = limits::number("FAULTS_LEASE_MS").unwrap_or(2000);
    Settings::default()
        .lease(Duration::from_millis(lease as u64))
        .renew_every(Duration::from_millis(500))
        .wait(Duration::from_secs(1))
}

#[tokio::main]
async fn main() -> ExitCode {
    let app = App::new()
        .config(limits::limited(Config::from_env().operations(settings())))
        .state(charges::Ledger::from_env());
    let store = std::env::var("OPERATOR_STORE").unwrap_or_default();
    let app = match store.split(':').next() {
        Some("postgres") => app
            .only(endpoints![
                charges::charge,
                charges::presence,
                charges::ring,
                charges::in_postgres::credit,
                charges::in_postgres::credit_briefly,
                limited::lend,
                limited::spend,
                limited::in_postgres::grant
            ])
            .postgres_setup(
                "CREATE TABLE IF NOT EXISTS credits (key text NOT NULL);
                CREATE TABLE IF NOT EXISTS grants (key text NOT NULL, cents bigint NOT NULL)",
            ),
        Some("sqlite") => app
            .only(endpoints![
                charges::block,
                charges::charge,
                charges::long,
                charges::panic,
                charges::presence,
                charges::ring,
                charges::credit_in_sqlite,
                limited::grant_in_sqlite,
                limited::lend,
                limited::spend
            ])
            .sqlite_setup(|connection| {
                connection.execute_batch(
                    "CREATE TABLE IF NOT EXISTS credits (key TEXT NOT NULL);
                    CREATE TABLE IF NOT EXISTS grants (key TEXT NOT NULL, cents INTEGER NOT NULL)",
                )
            }),
        _ => app.only(endpoints![
            charges::charge,
            charges::presence,
            charges::ring,
            limited::lend,
            limited::spend
        ]),
    };
    app.run().await
}
