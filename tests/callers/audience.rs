//! An audience that is not the public URL: the tokens of endpoints name it, and MCP clients still find their own URL.

use serde_json::json;
use tests::caller::PUBLIC_URL;

use crate::desk::{Desk, NO_KEY, slug};
use crate::issuer::{Issuer, bearer};

#[test]
fn mcp_clients_get_their_own_url_whatever_the_audience_of_the_endpoints_is() {
    let mut issuer = Issuer::start();
    let desk = Desk::start(&[NO_KEY, issuer.setting(), ("OPERATOR_OAUTH_AUDIENCE", "api://desk")]);
    let of_mcp = format!("{PUBLIC_URL}/mcp");
    for (path, resource) in [("", "api://desk"), ("/mcp", &of_mcp)] {
        let document = desk.send("GET", &format!("/.well-known/oauth-protected-resource{path}"), &[], "");
        assert_eq!(document.json()["resource"], *resource, "{document:?}");
    }
    for audience in ["api://desk", &of_mcp] {
        let token = bearer(&issuer.token(json!({ "aud": audience })));
        let answer = desk.read(&[("Authorization", &token)]);
        assert_eq!(answer.status, 200, "{audience}: {answer:?}");
        let list = desk.ask(
            &[("Authorization", &token)],
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        );
        assert_eq!(list.status, 200, "{audience}: {list:?}");
    }
    let token = bearer(&issuer.token(json!({ "aud": PUBLIC_URL })));
    let answer = desk.read(&[("Authorization", &token)]);
    assert_eq!(
        (answer.status, slug(&answer).as_str()),
        (401, "invalid-token"),
        "{answer:?}"
    );
}
