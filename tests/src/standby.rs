//! Standbys of a Postgres server, and the change of roles between servers.

use std::fs::File;

use tempfile::TempDir;

use super::services::{Postgres, hand_over, postgres_command, spawn_postgres};

impl Postgres {
    /// Starts a standby that follows this server, and waits until the standby answers readers.
    ///
    /// # Panics
    /// If the standby cannot be started.
    #[must_use]
    pub fn standby(&self) -> Self {
        Self::start_in(self.copied(), self.settings.clone())
    }

    /// Like [`standby`](Self::standby), on the port of a server that has ended.
    ///
    /// # Panics
    /// The same as for [`standby`](Self::standby).
    #[must_use]
    pub fn standby_at(&self, port: u16) -> Self {
        let (folder, settings) = (self.copied(), self.settings.clone());
        let child = spawn_postgres(folder.path(), port, &settings).unwrap_or_else(|log| panic!("{log}"));
        Self {
            child,
            folder,
            settings,
            port,
        }
    }

    /// A folder with a copy of the server's data, from which a standby can start.
    fn copied(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        hand_over(folder.path());
        let output = postgres_command("pg_basebackup", folder.path())
            .args(["--host", "127.0.0.1", "--username", "operator", "--pgdata", "data"])
            .args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync", "--port"])
            .arg(self.port.to_string())
            .output()
            .expect("pg_basebackup runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
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
