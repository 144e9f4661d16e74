use operator_runtime::SearchParam;
use serde::Deserialize;

/// A state.
#[derive(SearchParam, Deserialize)]
#[serde(rename_all = "kebab-case", untagged)]
enum State {
    #[serde(alias = "opened")]
    Open,
    #[serde(rename(deserialize = "shut"))]
    Closed,
    #[serde(skip)]
    Lost,
}

fn main() {}
