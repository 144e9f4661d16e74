//! An authority that issues the certificates of clients, by `openssl ca`.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// An authority. Its files are removed when this value is dropped.
pub(crate) struct Authority {
    folder: TempDir,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Valid {
    Today,
    Before,
    Later,
}

/// The files of a client's certificate and of its private key.
pub(crate) struct Client {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
const SETTINGS: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nrand_serial = yes\nnew_certs_dir = .\n\
    default_md = sha256\nunique_subject = no\npolicy = any\n[any]\ncommonName = optional\n";

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("clients")
    }

    /// An authority with this name.
    pub(crate) fn named(name: &str) -> Self {
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(made.file("settings"), SETTINGS).unwrap();
        std::fs::write(made.file("index"), "").unwrap();
        made.openssl(&format!(
            "req -x509 {KEY} -days 1 -subj /CN={name} -keyout authority.key -out authority.pem"
        ));
        made
    }

    /// Issues a certificate with these names, such as `DNS:agent.example.com`. `file` is the name of its files.
    pub(crate) fn issue(&self, file: &str, names: &str, valid: Valid) -> Client {
        let times = match valid {
            Valid::Today => "-days 1",
            Valid::Before => "-startdate 20200101000000Z -enddate 20200201000000Z",
            Valid::Later => "-startdate 20900101000000Z -enddate 20900201000000Z",
        };
        std::fs::write(
            self.file("names"),
            format!("subjectAltName = {names}\nbasicConstraints = CA:FALSE\n"),
        )
        .unwrap();
        self.openssl(&format!(
            "req -new {KEY} -subj /CN={file} -keyout {file}.key -out {file}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config settings -cert authority.pem -keyfile authority.key -extfile names {times} -in {file}.csr -out {file}.pem"
        ));
        self.client(file)
    }

    fn client(&self, file: &str) -> Client {
        Client {
            certificate: self.file(&format!("{file}.pem")),
            key: self.file(&format!("{file}.key")),
        }
    }

    /// Issues a certificate as `openssl x509 -req` does when it is given no extensions: of version 1, without a name.
    pub(crate) fn issue_version_1(&self, file: &str) -> Client {
        self.openssl(&format!(
            "req -new {KEY} -subj /CN={file} -keyout {file}.key -out {file}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -days 1 -CA authority.pem -CAkey authority.key -CAcreateserial -in {file}.csr -out {file}.pem"
        ));
        self.client(file)
    }

    /// Issues a certificate to a server: it is not for clients.
    pub(crate) fn issue_to_a_server(&self, file: &str, names: &str) -> Client {
        self.issue(file, &format!("{names}\nextendedKeyUsage = serverAuth"), Valid::Today)
    }

    /// The authority's own certificate and key, which a client could show too.
    pub(crate) fn itself(&self) -> Client {
        self.client("authority")
    }

    /// The certificate of the authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("authority.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("`openssl` must be installed: `tests/all` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Client {
    /// The SHA-256 digest of the certificate, as OpenSSL prints it: pairs of digits, separated by colons.
    pub(crate) fn digest(&self) -> String {
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(&self.certificate)
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        printed.trim().rsplit('=').next().unwrap().to_owned()
    }
}
