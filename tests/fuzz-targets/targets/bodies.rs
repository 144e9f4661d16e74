//! Fuzzes decoding with the endpoints of the zoo. The first two bytes choose an endpoint. The third says how the rest
//! is used: as the body or query itself, or as bytes from which values are made by the endpoint's schema.

#![no_main]

use fuzz_targets::{Zoo, inputs_of, signed_get, signed_post, within_limits};
use http::Method;

/// Inputs are cut to this length, because values made from a schema can become longer than the fuzzer's input.
const LONGEST: usize = 64 * 1024;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    fuzz_targets::mutate(data, size, most, seed)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [high, low, mode, rest @ ..] = data else { return };
    let zoo = Zoo::get();
    let endpoint = zoo.endpoint(u16::from_be_bytes([*high, *low]));
    let mut inputs = if mode % 2 == 0 {
        rest.to_vec()
    } else {
        inputs_of(&endpoint, zoo.manifest(), rest).into_bytes()
    };
    inputs.truncate(LONGEST);
    let length = inputs.len();
    let inputs = bytes::Bytes::from(inputs);
    if std::env::var_os("FUZZ_SHOW").is_some() {
        eprintln!(
            "{} {}\n{}",
            endpoint.method,
            endpoint.path,
            String::from_utf8_lossy(&inputs)
        );
    }
    let request = match endpoint.method {
        Method::GET => signed_get(endpoint.path, &inputs),
        _ => signed_post(endpoint.path, inputs),
    };
    // A right value may cost what its type costs, which is not the runtime's decision.
    if zoo.answer(request.clone()).0 == 200 {
        return;
    }
    within_limits(length, || {
        let (status, body) = zoo.answer(request.clone());
        assert!(
            matches!(status, 400 | 422),
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
    });
});
