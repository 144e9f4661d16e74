//! Limits that a test sets by the environment.

use std::time::Duration;

use operator_runtime::Config;

/// A numeric setting from the environment.
type Set = fn(Config, usize) -> Config;

/// The default time limit for sending a request and for reading its answer, in milliseconds.
const PATIENCE: usize = 2000;

pub(crate) fn limited(config: Config) -> Config {
    let patience = number("FAULTS_READ_TIMEOUT_MS").unwrap_or(PATIENCE);
    let mut config = config.read_timeout(Duration::from_millis(patience as u64));
    if let Some(milliseconds) = number("FAULTS_IDLE_TIMEOUT_MS") {
        config = config.idle_timeout(Duration::from_millis(milliseconds as u64));
    }
    let settings: [(&str, Set); 4] = [
        ("FAULTS_CONCURRENCY", Config::concurrency),
        ("FAULTS_CONNECTIONS", Config::connections),
        ("FAULTS_MEMORY_FOR_BODIES", Config::memory_for_bodies),
        ("FAULTS_UNFINISHED_HEADS", Config::unfinished_heads),
    ];
    settings
        .into_iter()
        .fold(config, |config, (name, set)| match number(name) {
            Some(number) => set(config, number),
            None => config,
        })
}

pub(crate) fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}
