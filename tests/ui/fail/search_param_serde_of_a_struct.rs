use operator_runtime::SearchParam;

/// How many.
#[derive(SearchParam, serde::Deserialize)]
#[serde(from = "u8")]
struct Count(u8);

/// How many.
#[derive(SearchParam, serde::Deserialize)]
struct Most(#[serde(default)] u8);

impl From<u8> for Count {
    fn from(count: u8) -> Self {
        Self(count)
    }
}

fn main() {}
