//! Tests of the editor: rust-analyzer completes and finds items in an endpoint, even while the endpoint is incomplete.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod language_server;

use std::path::{Path, PathBuf};

use language_server::LanguageServer;

const TYPES: &str = r#"
use operator_runtime::{Error, operator_api};

pub struct Desk { pub orders_today: u64 }

impl Desk {
    fn orders_of_customer(&self, customer: &Customer) -> u64 { self.orders_today + customer.number }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub struct Customer { number: u64 }

fn main() {}
"#;

/// Returns the position of `^` in the text, and the text without `^`.
fn marked(text: &str) -> ((usize, usize), String) {
    let before = text.split('^').next().unwrap();
    let place = (
        before.matches('\n').count(),
        before.lines().last().unwrap_or("").chars().count(),
    );
    (place, text.replacen('^', "", 1))
}

struct Editor {
    server: LanguageServer,
    file: PathBuf,
}

impl Editor {
    /// Every completion that rust-analyzer offers at `^`.
    fn completions(&mut self, endpoint: &str) -> Vec<String> {
        let answer = self.at(endpoint, "textDocument/completion");
        let items = answer.get("items").unwrap_or(&answer).as_array().unwrap().clone();
        let label = |item: &serde_json::Value| {
            item["filterText"]
                .as_str()
                .or(item["label"].as_str())
                .unwrap()
                .to_owned()
        };
        items.iter().map(label).collect()
    }

    /// The line of the definition of the item at `^`.
    fn definition(&mut self, endpoint: &str) -> String {
        let answer = self.at(endpoint, "textDocument/definition");
        let range = &answer[0]["range"];
        let line = usize::try_from(range["start"]["line"].as_u64().unwrap()).unwrap();
        let (_, text) = marked(&format!("{TYPES}{endpoint}"));
        text.lines().nth(line).unwrap().trim().to_owned()
    }

    fn at(&mut self, endpoint: &str, method: &str) -> serde_json::Value {
        let (place, text) = marked(&format!("{TYPES}{endpoint}"));
        self.server.open(&self.file, &text);
        let answer = self.server.ask(method, &self.file, place);
        self.server.close(&self.file);
        answer
    }

    fn diagnostics(&mut self, endpoint: &str) -> Vec<String> {
        self.server.open(&self.file, &format!("{TYPES}{endpoint}"));
        let found = self.server.diagnostics(&self.file);
        self.server.close(&self.file);
        found
    }
}

/// An endpoint with this attribute, argument and body.
fn endpoint(attribute: &str, argument: &str, body: &str) -> String {
    format!(
        "
/// Counts a customer's orders. Use it when one asks how many there are.
#[operator_api({attribute})]
async fn orders(
    desk: &Desk,
    /// The customer to look for.
    {argument}
) -> Result<u64, Error> {{
    {body}
}}
"
    )
}

#[test]
fn an_endpoint_is_completed_and_followed_like_any_function() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart/src/main.rs");
    let server = LanguageServer::start();
    let mut editor = Editor { server, file };
    let good = r#"POST, "/orders""#;
    let customer = "customer: Customer,";

    let whole = endpoint(good, customer, "Ok(desk.orders_of_customer(&customer))");
    assert_eq!(editor.diagnostics(&whole), Vec::<String>::new());

    // In an incomplete body, rust-analyzer completes a value of the app, an input, and the items in scope. It also
    // completes fields and methods, so it knows the types of the arguments.
    for (body, offered) in [
        ("desk.^", "orders_of_customer"),
        ("desk.^", "orders_today"),
        ("let number = customer.^", "number"),
        ("if desk.orders_today > { cust^", "customer"),
    ] {
        let found = editor.completions(&endpoint(good, customer, body));
        assert!(found.iter().any(|label| label == offered), "{body}: {found:?}");
    }
    // Completions in an endpoint whose attribute is incomplete or wrong.
    for attribute in [
        "",
        "POST, ",
        "POST, \"orders\"",
        "POST, \"/orders\", timeout = ",
        "GET \"/orders\" =",
        "PO",
    ] {
        let found = editor.completions(&endpoint(attribute, customer, "desk.^"));
        assert!(
            found.iter().any(|label| label == "orders_today"),
            "{attribute}: {found:?}"
        );
    }
    // Completions in an endpoint whose argument is incomplete, or whose options are.
    for argument in [
        "#[operator(min = )] customer: Customer,",
        "#[operator(m)] customer: Customer,",
        "#[operator] customer: Customer,",
        "customer: Cust,",
        "customer: ,",
        "customer:",
        "cust",
        "#[operator(min = 1)]",
    ] {
        let found = editor.completions(&endpoint(good, argument, "desk.^"));
        assert!(
            found.iter().any(|label| label == "orders_today"),
            "{argument}: {found:?}"
        );
    }
    // Completions at the type of an argument.
    let found = editor.completions(&endpoint(good, "customer: Cus^", "Ok(1)"));
    assert!(found.iter().any(|label| label == "Customer"), "{found:?}");

    let of_argument = endpoint(good, customer, "Ok(desk.orders_of_customer(&cust^omer))");
    assert_eq!(editor.definition(&of_argument), "customer: Customer,");
    let of_method = endpoint(good, customer, "Ok(desk.orders_of_cust^omer(&customer))");
    assert!(editor.definition(&of_method).starts_with("fn orders_of_customer"));
    let of_type = endpoint(good, "customer: Cust^omer,", "Ok(1)");
    assert!(editor.definition(&of_type).starts_with("pub struct Customer"));
}
