use operator_runtime::operator_secrets;

/// An account.
#[derive(schemars::JsonSchema)]
#[operator_secrets]
struct Account {
    #[operator(secret)]
    iban: String,
}

/// An account whose schema is not derived.
#[operator_secrets(iban)]
#[derive(schemars::JsonSchema)]
struct Other {
    #[operator(secret)]
    iban: String,
}

fn main() {}
