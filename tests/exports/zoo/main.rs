//! A program with every form that a type can have. Each endpoint answers with the value that it was called with.

mod corners;
mod dates;
mod names;
mod serde_forms;
mod shapes;

use std::process::ExitCode;

use operator_runtime::App;

#[tokio::main]
async fn main() -> ExitCode {
    App::new().run().await
}
