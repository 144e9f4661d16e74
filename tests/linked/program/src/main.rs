//! A program that only names the crate of its endpoints.

use linked_hidden as _;
use operator_runtime::App;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    App::new().run().await
}
