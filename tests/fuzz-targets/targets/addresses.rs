//! Fuzzes the parsing of store addresses, as in `OPERATOR_STORE`. No store is opened.

#![no_main]

use fuzz_targets::within_limits;
use operator_runtime::fuzzing;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    fuzz_targets::mutate(data, size, most, seed)
});

libfuzzer_sys::fuzz_target!(|address: &str| within_limits(address.len(), || fuzzing::store_address(address)));
