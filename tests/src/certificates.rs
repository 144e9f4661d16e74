//! A server certificate for this machine and the authority that signed it. OpenSSL makes both; they are valid for one
//! day.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The files of a certificate. They are removed when this value is dropped.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Makes a certificate for `localhost` and 127.0.0.1. The user that runs a database server can read its files.
    ///
    /// # Panics
    /// If `openssl` cannot make the certificate.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Self { folder };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        made.openssl(&format!(
            "req -x509 {key} -days 1 -subj /CN=tests -keyout authority.key -out authority.pem"
        ));
        made.openssl(&format!(
            "req -new {key} -subj /CN=localhost -keyout server.key -out server.csr"
        ));
        let names = "subjectAltName = DNS:localhost, IP:127.0.0.1\nbasicConstraints = CA:FALSE\n";
        std::fs::write(made.folder.path().join("names"), names).expect("written");
        made.openssl(
            "x509 -req -in server.csr -days 1 -CA authority.pem -CAkey authority.key -CAcreateserial -extfile names -out server.pem",
        );
        crate::services::hand_over(made.folder.path());
        for file in ["server.key", "server.pem", "authority.pem"] {
            crate::services::hand_over(&made.folder.path().join(file));
        }
        made
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("`openssl` must be installed: `tests/all` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The certificate of the authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.file("authority.pem")
    }

    /// The certificate of the server.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// The private key of the server.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.file("server.key")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a Postgres server with this certificate.
    #[must_use]
    pub fn for_postgres(&self) -> [(&'static str, String); 3] {
        [
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", text(&self.shown())),
            ("ssl_key_file", text(&self.key())),
        ]
    }

    /// The settings of a Redis server with this certificate.
    #[must_use]
    pub fn for_redis(&self) -> [(&'static str, String); 4] {
        [
            ("tls-cert-file", text(&self.shown())),
            ("tls-key-file", text(&self.key())),
            ("tls-ca-cert-file", text(&self.authority())),
            ("tls-auth-clients", "no".to_owned()),
        ]
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
