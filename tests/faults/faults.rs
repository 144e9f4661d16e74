//! Tests with crashes, frozen processes, lost servers, wrong clocks and full disks: nothing is lost, nothing happens
//! twice.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]

mod address;
mod calm;
mod clocks;
mod connections;
mod crash;
mod disk;
mod failing_disk;
mod figures;
mod frozen;
mod limits;
mod logs;
mod outages;
mod processes;
mod programs;
mod settling;
mod stop;
mod storm;
mod tls;
