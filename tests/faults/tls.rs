//! Postgres and Redis over TLS: the program connects only to servers whose certificate the system trusts.

use std::path::Path;

use tests::caller::post;
use tests::certificates::Certificate;
use tests::process::{Server, build_into};
use tests::services::{Postgres, Redis};

use crate::programs::{lines, postgres_credits, postgres_rows, refusal_to_start};

/// The message of a program that does not start.
fn refused(program: &Path, folder: &Path, store: &str, authority: &Path) -> String {
    let environment = [
        ("OPERATOR_STORE", store),
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
    ];
    refusal_to_start(program, folder, &environment)
}

fn borrowed<'s, const N: usize>(settings: &'s [(&'static str, String); N]) -> [(&'static str, &'s str); N] {
    settings.each_ref().map(|(name, value)| (*name, value.as_str()))
}

fn start(program: &Path, folder: &Path, store: &str, certificate: &Certificate) -> Server {
    let authority = certificate.authority();
    let environment = [
        ("OPERATOR_STORE", store),
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
    ];
    Server::start_with(program, folder, &environment)
}

#[test]
fn postgres_over_tls_is_verified_and_every_connection_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let certificate = Certificate::of_this_machine();
    let postgres = Postgres::start(&borrowed(&certificate.for_postgres()));
    let store = format!("{}?sslmode=require", postgres.url());
    let server = start(&program, folder.path(), &store, &certificate);
    assert_eq!(post(server.port, "/credit", "key", "{}").unwrap().status, 200);
    assert_eq!(post(server.port, "/charge", "other", "{}").unwrap().status, 200);
    assert_eq!(postgres_credits(&postgres), ["key"]);
    let count = "SELECT count(*) FILTER (WHERE ssl) > 1, count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl
        JOIN pg_stat_activity USING (pid) WHERE application_name = 'operator-runtime'";
    let count = &postgres_rows(&postgres, count)[0];
    assert_eq!((count.get::<_, bool>(0), count.get::<_, i64>(1)), (true, 0));

    let stranger = Certificate::of_this_machine();
    let said = refused(&program, folder.path(), &store, &stranger.authority());
    assert!(said.contains("certificate"), "{said}");
    let said = refused(&program, folder.path(), &store, Path::new("/nowhere"));
    assert!(said.contains("SSL_CERT_FILE"), "{said}");
    let clear = Postgres::start(&[]);
    let store = format!("{}?sslmode=require", clear.url());
    let said = refused(&program, folder.path(), &store, &certificate.authority());
    assert!(said.to_lowercase().contains("tls"), "{said}");
}

#[test]
fn redis_over_tls_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let certificate = Certificate::of_this_machine();
    let redis = Redis::start(&borrowed(&certificate.for_redis()));
    assert!(redis.url().starts_with("rediss://"));
    let server = start(&program, folder.path(), &redis.url(), &certificate);
    assert_eq!(post(server.port, "/charge", "key", "{}").unwrap().status, 200);
    assert!(post(server.port, "/charge", "key", "{}").unwrap().is_replay());
    assert_eq!(lines(&folder.path().join("ledger")), ["key"]);

    let stranger = Certificate::of_this_machine();
    let said = refused(&program, folder.path(), &redis.url(), &stranger.authority());
    assert!(said.contains("certificate"), "{said}");
}
