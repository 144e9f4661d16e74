//! TLS, client certificates, and credentials that are replaced while the program runs: the support desk as a process,
//! called by curl, OpenSSL and CPython with certificates that OpenSSL made.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod authority;
mod clients;
mod desk;
mod handshakes;
#[path = "../callers/issuer.rs"]
#[allow(dead_code, reason = "`tests/callers` uses the rest")]
mod issuer;
mod rotation;
mod slow;
mod starting;
