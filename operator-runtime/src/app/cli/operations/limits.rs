//! `operations limits`: shows how much of an endpoint's limits is used.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::Desk;
use crate::app::cli::caller::{self, Fields, Inputs};
use crate::app::cli::{Done, print};
use crate::app::used::{NotKnown, used};
use crate::endpoint::Endpoint;
use crate::manifest::inputs;

#[derive(Debug, Args)]
pub(in crate::app::cli) struct Arguments {
    /// The endpoint's name.
    name: String,
    /// The inputs in the limits' `per`, such as `order_id=1004`.
    #[arg(value_name = "INPUT=VALUE")]
    inputs: Vec<String>,
    /// The tenant, as in the list of operations.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print one JSON object for each limit.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments) -> Done {
    let endpoint = find(desk, &arguments.name)?;
    let Some(limits) = &endpoint.limits else {
        return Err(format!("`{}` has no limits.", endpoint.name));
    };
    let given = caller::as_json(&given(endpoint, &arguments.inputs)?);
    let mut text = String::new();
    for limit in limits.limits {
        let used = used(&desk.operations, endpoint, limit, &arguments.tenant, given.get()).await;
        let used = used.map_err(|why| match why {
            NotKnown::Missing(input) => {
                format!("This limit is counted separately for each `{input}`: add {input}=VALUE to the command.")
            }
            NotKnown::Input(sentence) => sentence,
            NotKnown::Store(error) => format!("The limit cannot be read: {error}."),
        })?;
        let left = limit.max.saturating_sub(used);
        let _ = if arguments.json {
            let told = json!({ "limit": limit.to_string(), "max": limit.max, "used": used, "left": left });
            writeln!(text, "{told}")
        } else {
            writeln!(text, "{limit}: {used} used, {left} left")
        };
    }
    print(&text)
}

fn find(desk: &Desk, name: &str) -> Result<&'static Endpoint, String> {
    let found = desk.endpoints.iter().find(|endpoint| endpoint.name == name);
    found.copied().ok_or_else(|| {
        let limited = desk.endpoints.iter().filter(|endpoint| endpoint.limits.is_some());
        let names: Vec<&str> = limited.map(|endpoint| endpoint.name).collect();
        caller::unknown_endpoint(name, &names)
    })
}

/// The inputs that were typed. Not every input of the endpoint has to be among them.
fn given(endpoint: &Endpoint, typed: &[String]) -> Result<Fields, String> {
    match Inputs::typed(endpoint.method, &inputs::of_inputs(endpoint), typed)? {
        Inputs::Object(fields) => Ok(fields),
        // An endpoint of a GET changes nothing, so it has no limits.
        Inputs::Parameters(_) => Err(format!("`{}` has no limits.", endpoint.name)),
    }
}
