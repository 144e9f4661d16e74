//! The console page of `dev`: its assets, its access rules, and the answers to its requests. Routes: `app/console.rs`.

pub(crate) mod comparison;
pub(crate) mod guard;
mod mistakes;
pub(crate) mod page;
mod pasted;
mod request;
pub(crate) mod signed;
