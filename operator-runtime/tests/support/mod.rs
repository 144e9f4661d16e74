//! Test helpers that this crate's unit tests share with the package `tests` of the repository.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "some items are used only by the package `tests`"
)]

pub mod proof;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod services;
