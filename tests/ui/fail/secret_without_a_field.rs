use operator_runtime::operator_secrets;

/// An account.
#[operator_secrets]
#[derive(schemars::JsonSchema)]
struct Account {
    iban: String,
}

/// A field without a name, and a flattened one.
#[operator_secrets]
#[derive(schemars::JsonSchema)]
struct Wrapped(#[operator(secret)] String);

#[operator_secrets]
#[derive(schemars::JsonSchema)]
struct Owner {
    #[serde(flatten)]
    #[operator(secret)]
    account: Account,
}

fn main() {}
