// The MCP project's client for TypeScript goes through its OAuth flow: `oauth_client.mjs URL ISSUER`. This script is the
// person with the browser, who at first allows only reading.
import assert from "node:assert/strict";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const KEY = "operator/idempotency-key";
const [url, issuer] = process.argv.slice(1);

/** What the client keeps, and where it sends the browser. */
class Kept {
  redirectUrl = "http://127.0.0.1/callback";
  clientMetadata = {
    client_name: "tests",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  clientInformation = () => this.client;
  saveClientInformation = (client) => { this.client = client; };
  tokens = () => this.token;
  saveTokens = (token) => { this.token = token; };
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => { this.verifier = verifier; };
  redirectToAuthorization = (where) => { this.where = where; };
}

/** Follows the redirects as a browser does, until the one to the client, and returns its code. */
async function approve(where) {
  const cookies = new Map();
  for (let hops = 0; hops < 10; hops += 1) {
    const headers = { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") };
    const answer = await fetch(where, { headers, redirect: "manual" });
    assert.ok([302, 303].includes(answer.status), `${where}: ${answer.status} ${await answer.text()}`);
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    where = new URL(answer.headers.get("Location"), where);
    if (where.pathname === "/callback") {
      assert.ok(where.searchParams.has("code"), where.href);
      return where.searchParams.get("code");
    }
  }
  throw new Error("too many redirects");
}

const kept = new Kept();
const transport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: kept });
const newClient = () => new Client({ name: "tests", version: "1" });

// 401, the document of the resource, the issuer's metadata, the registration, and the way to the browser.
const first = transport();
await assert.rejects(newClient().connect(first), UnauthorizedError);
assert.equal(kept.where.origin, issuer);
assert.ok(kept.client.client_id && kept.where.searchParams.get("code_challenge"), kept.where.href);
assert.deepEqual(kept.where.searchParams.get("scope").split(" ").sort(), ["operator:act", "operator:read"]);
kept.where.searchParams.set("scope", "operator:read");
await first.finishAuth(await approve(kept.where));
assert.equal(kept.token.scope, "operator:read");

// With a token to read, the client sees the tools that only read.
const client = newClient();
const connected = transport();
await client.connect(connected);
const program = client.getServerVersion();
const names = async () => (await client.listTools()).tools.map((tool) => tool.name);
assert.deepEqual(await names(), ["find_orders", "order_refunds", "recent_orders"]);
const refunds = async () =>
  (await client.callTool({ name: "order_refunds", arguments: { order_id: 1004 } })).structuredContent.refunds.length;
assert.equal(await refunds(), 0);

// A tool that acts is refused with the scopes that are needed, for which the client asks.
const refund = { name: "refund_order", arguments: { order_id: 1004, amount_cents: 100 }, _meta: { [KEY]: "refund-1" } };
await assert.rejects(client.callTool(refund), UnauthorizedError);
assert.deepEqual(kept.where.searchParams.get("scope").split(" ").sort(), ["operator:act", "operator:read"]);
await connected.finishAuth(await approve(kept.where));
assert.deepEqual(await names(), [
  "find_orders", "notify_customer", "open_ticket", "order_refunds", "recent_orders", "refund_order",
]);

// The refund is paid once, however often the client asks for it.
const paid = await client.callTool(refund);
assert.equal(paid.structuredContent.refund_id, 1, JSON.stringify(paid));
const again = await client.callTool(refund);
assert.deepEqual(again.structuredContent, paid.structuredContent);
assert.equal(again._meta["operator/replayed"], true);
assert.equal(await refunds(), 1);
await client.close();
console.log(JSON.stringify({ client_id: kept.client.client_id, program }));
