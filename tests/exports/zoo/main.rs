//! Every form that a type can take, as a program: each endpoint answers with what it was given.

mod corners;
mod dates;
mod serde_forms;
mod shapes;

use std::process::ExitCode;

use operator_runtime::App;

#[tokio::main]
async fn main() -> ExitCode {
    App::new().run().await
}
