/// An account.
#[derive(schemars::JsonSchema)]
struct Account {
    #[operator(secret)]
    iban: String,
}

fn main() {}
