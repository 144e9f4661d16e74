//! `oidc-provider`, a certified OpenID provider, issues the tokens: to a backend by its client credentials, and to the MCP
//! project's client for TypeScript by the authorization code flow.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::caller;
use tests::moving::MovingAddress;
use tests::process::installed;

use crate::desk::{Desk, NO_KEY, header, slug, tool_call};
use crate::issuer::bearer;

/// Runs a script with the Node.js that npm installs. Its folder is the current one, because Node searches for imports
/// there.
fn node(script: &str, arguments: &[&str]) -> Command {
    let folder = installed("node/node_modules/oidc-provider").join("../..");
    let mut command = Command::new(installed("node/node_modules/.bin/node"));
    command
        .args(["--input-type=module", "--eval", script, "--"])
        .args(arguments)
        .current_dir(folder);
    command
}

struct Provider {
    child: Child,
    url: String,
}

impl Provider {
    fn start(resource: &str) -> Self {
        let mut child = node(include_str!("provider.mjs"), &[resource])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = said.find_map(|line| line.ok().filter(|line| line.starts_with("http://127.0.0.1:")));
        Self {
            url: url.expect("the provider has ended"),
            child,
        }
    }

    /// A token that the client gets for itself.
    fn client_credentials(&self, resource: &str, scope: &str) -> String {
        let escaped: String = [resource, scope]
            .join("&scope=")
            .replace(':', "%3A")
            .replace('/', "%2F")
            .replace(' ', "+");
        let body = format!("grant_type=client_credentials&resource={escaped}");
        let port = self.url.rsplit(':').next().unwrap().parse().unwrap();
        // The base64 of `backend:hush`.
        let request = format!(
            "POST /token HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Basic YmFja2VuZDpodXNo\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.url.trim_start_matches("http://"),
            body.len()
        );
        let answer = caller::send(port, &request).unwrap();
        let token = answer.json()["access_token"].as_str().map(str::to_owned);
        token.unwrap_or_else(|| panic!("{answer:?}"))
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The provider, a server that accepts its tokens, and the public URL, at which a proxy leads to the server.
struct Started {
    provider: Provider,
    desk: Desk,
    resource: String,
    _proxy: MovingAddress,
}

fn started(base_path: &str) -> Started {
    let proxy = MovingAddress::to(0);
    let resource = format!("http://127.0.0.1:{}{base_path}", proxy.port);
    let provider = Provider::start(&resource);
    let desk = Desk::start(&[
        NO_KEY,
        ("OPERATOR_PUBLIC_URL", &resource),
        ("OPERATOR_OAUTH_ISSUER", &provider.url),
    ]);
    proxy.move_to(desk.server.port);
    Started {
        provider,
        desk,
        resource,
        _proxy: proxy,
    }
}

#[test]
fn a_token_by_client_credentials_calls_what_its_scopes_allow() {
    let Started {
        provider,
        desk,
        resource,
        ..
    } = &started("");
    let all = bearer(&provider.client_credentials(resource, "operator:read operator:act"));
    let all = ("Authorization", all.as_str());
    assert_eq!(desk.read(&[all]).status, 200);
    assert_eq!(desk.next_caller(), ["default", "backend", "oauth"]);
    let refund = |authorization| desk.refund(&[authorization, ("Idempotency-Key", "k-1")]);
    let first = refund(all);
    assert_eq!(
        (first.status, &first.json()["refund_id"]),
        (200, &json!(1)),
        "{first:?}"
    );
    let again = bearer(&provider.client_credentials(resource, "operator:act"));
    assert!(refund(("Authorization", &again)).is_replay());
    let narrow = bearer(&provider.client_credentials(resource, "operator:read"));
    let narrow = ("Authorization", narrow.as_str());
    assert_eq!(desk.read(&[narrow]).status, 200);
    let refused = refund(narrow);
    assert_eq!(
        (refused.status, slug(&refused).as_str()),
        (403, "insufficient-scope"),
        "{refused:?}"
    );
    let call = tool_call("refund_order", &json!({ "order_id": 1004, "amount_cents": 1 }), "k-2");
    let refused = desk.ask(&[narrow], &call);
    assert_eq!(refused.status, 403, "{refused:?}");
    let challenge = header(&refused, "WWW-Authenticate");
    assert!(
        challenge.contains(r#"error="insufficient_scope", scope="operator:read operator:act""#),
        "{challenge}"
    );
}

#[test]
fn the_mcp_client_finds_the_issuer_registers_itself_and_pays_once() {
    for base_path in ["", "/support"] {
        let Started {
            provider,
            desk,
            resource,
            _proxy,
        } = &started(base_path);
        let output = node(
            include_str!("oauth_client.mjs"),
            &[&format!("{resource}/mcp"), &provider.url],
        )
        .output()
        .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (said, log) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{said}{log}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            said["program"],
            json!({ "name": "support-desk", "version": env!("CARGO_PKG_VERSION") })
        );
        let id = said["client_id"].as_str().unwrap();
        assert_eq!(desk.next_caller(), ["default", id, "oauth"]);
    }
}

#[test]
fn clients_find_the_document_of_the_resource_at_each_of_its_paths() {
    let Started {
        provider,
        desk,
        resource,
        ..
    } = &started("/support");
    let of_mcp = format!("{resource}/mcp");
    for (path, resource) in [
        ("/.well-known/oauth-protected-resource", resource),
        ("/.well-known/oauth-protected-resource/mcp", &of_mcp),
        ("/.well-known/oauth-protected-resource/support", resource),
        ("/.well-known/oauth-protected-resource/support/mcp", &of_mcp),
        ("/support/.well-known/oauth-protected-resource", resource),
        ("/support/.well-known/oauth-protected-resource/mcp", &of_mcp),
    ] {
        let answer = desk.send("GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(header(&answer, "Content-Type"), "application/json");
        let wanted = json!({
            "resource": resource,
            "authorization_servers": [provider.url],
            "scopes_supported": ["operator:act", "operator:read"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(answer.json(), wanted, "{path}");
    }
}
