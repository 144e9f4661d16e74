//! A program that only names the crate that contains its endpoint.

use linked_hidden as _;
use operator_runtime::App;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    App::new().run().await
}
