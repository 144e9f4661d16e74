//! Tests the console of `dev`, in a browser and against attackers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod admin;
mod attacks;
mod browser;
mod comparison;
mod dev;
mod first_call;
mod form;
mod looks;
mod person;
