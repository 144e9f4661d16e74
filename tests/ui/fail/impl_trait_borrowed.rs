#![allow(unused_variables)]

use operator_runtime::operator_api;

trait Clock {}

/// Says the time. Use it to know it.
#[operator_api(GET, "/time")]
async fn time(clock: &impl Clock) -> u8 {
    1
}

fn main() {}
