//! Fuzzes queries and canonical JSON. Another program reads each query, prints its JSON and signs it. The signature
//! must be accepted.

#![no_main]

use fuzz_targets::{Zoo, signed_get, within_limits};

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    fuzz_targets::mutate(data, size, most, seed)
});

libfuzzer_sys::fuzz_target!(|query: &[u8]| {
    let zoo = Zoo::get();
    let request = signed_get("/zoo/parameters", query);
    within_limits(query.len(), || {
        let (status, body) = zoo.answer(request.clone());
        assert_ne!(status, 401, "{}", String::from_utf8_lossy(&body));
    });
});
