//! A program that says of its endpoints' crate only that it is there.

use linked_hidden as _;
use operator_runtime::App;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    App::new().run().await
}
