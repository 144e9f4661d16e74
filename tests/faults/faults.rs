//! Tests with crashes, frozen processes, lost servers, wrong clocks and full disks: nothing is lost, nothing happens
//! twice.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod address;
mod audit;
mod calm;
mod clocks;
mod connections;
mod crash;
mod disk;
mod failing_disk;
mod failover;
mod figures;
mod frozen;
mod limited;
mod limits;
mod logs;
mod outages;
mod processes;
mod programs;
mod rolling;
mod settling;
mod stop;
mod storm;
mod tls;
mod upgrade;
mod wrong_protocol;
