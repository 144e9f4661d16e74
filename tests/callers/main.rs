//! Callers that do not sign with a shared secret: Ed25519, API keys and OAuth. Each is a program of somebody else, and
//! the server is the support desk as a process. `tests/exports/install` installs the programs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod api_keys;
mod audience;
mod desk;
mod ed25519;
mod forged;
mod issuer;
mod lines;
mod provider;
mod scopes;
mod settings;
mod tenants;
mod unreachable;
