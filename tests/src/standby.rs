//! Standbys of a Postgres server, and the change of roles between servers.

use std::fs::File;

use super::services::{Postgres, hand_over, postgres_command};

impl Postgres {
    /// Starts a standby that follows this server, and waits until the standby answers readers.
    ///
    /// # Panics
    /// If the standby cannot be started.
    #[must_use]
    pub fn standby(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        hand_over(folder.path());
        let output = postgres_command("pg_basebackup", folder.path())
            .args(["--host", "127.0.0.1", "--username", "operator", "--pgdata", "data"])
            .args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync", "--port"])
            .arg(self.port.to_string())
            .output()
            .expect("pg_basebackup runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::start_in(folder, self.settings.clone())
    }

    /// Makes a standby the primary, and waits until it accepts writes.
    ///
    /// # Panics
    /// If the server does not become the primary.
    pub fn promote(&self) {
        let output = postgres_command("pg_ctl", self.folder.path())
            .args(["promote", "--pgdata", "data", "--wait"])
            .output()
            .expect("pg_ctl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a killed primary again as a standby.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn restart_as_a_standby(&mut self) {
        let signal = self.folder.path().join("data/standby.signal");
        File::create(&signal).expect("the file is created");
        hand_over(&signal);
        self.restart();
    }
}
