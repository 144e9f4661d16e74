//! What this crate's unit tests share with the package `tests` of the repository.

#![allow(dead_code, unreachable_pub, reason = "some of it is only for the package `tests`")]

pub mod proof;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod services;
