//! Makes the quickstart example available to the test `costs`, as a file that a module can include.

use std::path::Path;
use std::{env, fs};

fn main() {
    const EXAMPLE: &str = "../examples/quickstart/src/main.rs";
    println!("cargo::rerun-if-changed={EXAMPLE}");
    let example = fs::read_to_string(EXAMPLE).expect("the example can be read");
    // `include!` accepts no `//!`.
    let code: String = example
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("//!"))
        .collect();
    let folder = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join("quickstart.rs"), code).expect("the copy can be written");
}
