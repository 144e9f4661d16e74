//! The address of a Postgres store: where the password comes from, which certificates are accepted, and that no message
//! repeats a password.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::caller::post;
use tests::certificates::Certificate;
use tests::process::{Server, build_into};
use tests::services::Postgres;

use crate::programs::{postgres_rows, refusal_to_start};

const PASSWORD: &str = "hunter2@:/?";

/// A server that asks for a password.
fn with_a_password(folder: &Path) -> Postgres {
    let mut postgres = Postgres::start(&[]);
    let rules = folder.join("rules");
    fs::write(&rules, "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    postgres_rows(&postgres, &format!("ALTER ROLE operator PASSWORD '{PASSWORD}'"));
    postgres_rows(&postgres, &format!("ALTER SYSTEM SET hba_file = '{}'", rules.display()));
    postgres.kill();
    postgres.restart();
    postgres
}

fn serves(program: &Path, folder: &Path, environment: &[(&str, &str)]) {
    let server = Server::start_with(program, folder, environment);
    assert_eq!(post(server.port, "/charge", "key", "{}").unwrap().status, 200);
}

#[test]
fn the_password_may_be_in_the_environment_or_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let postgres = with_a_password(folder.path());
    let url = postgres.url();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let start = |environment: &[(&str, &str)]| serves(&program, folder.path(), environment);
    start(&[("OPERATOR_STORE", &url), ("PGPASSWORD", PASSWORD)]);
    let lines = file(
        "passwords",
        &format!("127.0.0.1:{}:postgres:operator:{PASSWORD}\n", postgres.port),
    );
    start(&[("OPERATOR_STORE", &url), ("PGPASSFILE", &lines)]);
    let whole = url.replace("operator@", "operator:hunter2%40%3A%2F%3F@");
    let address = file("address", &format!("{whole}\n"));
    start(&[("OPERATOR_STORE", &format!("@{address}"))]);

    for wrong in [
        &url.replace("operator@", "operator:hunter2@:/?@"),
        &url.replace("operator@", "operator:hunter2@:@"),
        &url.replace("operator@", "operator:hunter2@"),
    ] {
        let said = refusal_to_start(&program, folder.path(), &[("OPERATOR_STORE", wrong)]);
        assert!(said.contains("OPERATOR_STORE") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn certificates_are_verified_as_far_as_the_address_asks() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let certificate = Certificate::of_this_machine();
    let settings = certificate.for_postgres();
    let postgres = Postgres::start(&settings.each_ref().map(|(name, value)| (*name, value.as_str())));
    let of_name = |host: &str, mode: &str, roots: &Certificate| {
        format!(
            "postgres://operator@{host}:{}/postgres?hostaddr=127.0.0.1&sslmode={mode}&sslrootcert={}",
            postgres.port,
            roots.authority().display()
        )
    };
    let stranger = Certificate::of_this_machine();
    for (host, mode, roots, is_accepted) in [
        ("localhost", "verify-full", &certificate, true),
        ("localhost", "verify-full", &stranger, false),
        ("db.example", "verify-full", &certificate, false),
        ("db.example", "require", &certificate, false),
        ("db.example", "verify-ca", &certificate, true),
        ("db.example", "verify-ca", &stranger, false),
    ] {
        let store = of_name(host, mode, roots);
        let environment = [("OPERATOR_STORE", store.as_str())];
        if is_accepted {
            serves(&program, folder.path(), &environment);
        } else {
            let said = refusal_to_start(&program, folder.path(), &environment);
            assert!(said.contains("certificate"), "{host}, {mode}: {said}");
        }
    }
}
