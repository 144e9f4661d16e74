//! PgBouncer in front of a Postgres server, on a free loopback port and in its own folder.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::services::{Postgres, end, hand_over, on_a_free_port, on_path, ready, unprivileged};

/// A PgBouncer; dropping it stops the program.
#[derive(Debug)]
pub struct PgBouncer {
    child: Child,
    _folder: TempDir,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl PgBouncer {
    /// Starts a PgBouncer in front of a server, with settings of `pgbouncer.ini` such as `pool_mode`.
    ///
    /// # Panics
    /// If PgBouncer cannot be started; its log is printed first.
    #[must_use]
    pub fn start(server: &Postgres, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        hand_over(folder.path());
        let (child, port) = on_a_free_port(|port| {
            let mut text = format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = users\n",
                server.port
            );
            for (name, value) in settings {
                text.push_str(&format!("{name} = {value}\n"));
            }
            std::fs::write(folder.path().join("pgbouncer.ini"), text).expect("the settings are written");
            std::fs::write(folder.path().join("users"), "\"operator\" \"\"\n").expect("the users are written");
            let mut command = Command::new(program());
            command
                .current_dir(folder.path())
                .arg("pgbouncer.ini")
                .stderr(Stdio::piped());
            // PgBouncer refuses to run as root.
            if let Some((user, group)) = unprivileged() {
                command.uid(user).gid(group);
            }
            let mut child = command.spawn().expect("PgBouncer starts");
            let log = child.stderr.take().expect("the log is piped");
            ready(child, log, "process up")
        });
        Self {
            child,
            _folder: folder,
            port,
        }
    }

    /// The address of the server's first database, by way of this PgBouncer.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://operator@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        end(&mut self.child, "KILL");
    }
}

/// Debian installs the program outside the path of users.
fn program() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/pgbouncer");
    on_path("pgbouncer")
        .or_else(|| debian.is_file().then_some(debian))
        .unwrap_or_else(|| panic!("there is no PgBouncer: `tests/all` installs one"))
}
