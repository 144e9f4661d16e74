//! Fuzzes the parsing of signing keys, both as a list with commas and as a file with one key on each line.

#![no_main]

use fuzz_targets::within_limits;
use operator_runtime::fuzzing;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    fuzz_targets::mutate(data, size, most, seed)
});

libfuzzer_sys::fuzz_target!(|text: &str| within_limits(text.len(), || fuzzing::key_lists(text)));
