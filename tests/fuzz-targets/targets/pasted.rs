//! Fuzzes the parsing of what a person pastes into the console: a curl command or a request.

#![no_main]

use fuzz_targets::within_limits;
use operator_runtime::fuzzing;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    fuzz_targets::mutate(data, size, most, seed)
});

libfuzzer_sys::fuzz_target!(|text: &str| within_limits(text.len(), || fuzzing::pasted(text)));
