// Calls the support desk with the MCP project's client for TypeScript: `stdio PROGRAM FOLDER`, or `http URL TOKEN`.
// The client itself checks each answer against the tool's output schema.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const KEY = "operator/idempotency-key";
const CALLS = {
  find_orders: { filter: { status: "payment" }, limit: 2 },
  notify_customer: { email: "josé@example.com", message: "It arrives on Thursday." },
  open_ticket: { email: "ana@example.com", subject: "Colour", body: "It is green.", priority: "urgent" },
  order_refunds: { order_id: 1002 },
  recent_orders: { email: "josé@example.com" },
  refund_order: { order_id: 1002, amount_cents: 1 },
};

const [kind, where, with_it] = process.argv.slice(1);
const transport = kind === "stdio"
  ? new StdioClientTransport({ command: where, args: ["mcp"], cwd: with_it, stderr: "ignore" })
  : new StreamableHTTPClientTransport(new URL(where), { requestInit: { headers: { Authorization: `Bearer ${with_it}` } } });
const client = new Client({ name: "tests", version: "1" });
await client.connect(transport);

const { tools } = await client.listTools();
assert.deepEqual(tools.map((tool) => tool.name), Object.keys(CALLS));

for (const [name, given] of Object.entries(CALLS)) {
  const result = await client.callTool({ name, arguments: given });
  assert.ok(!result.isError && result.structuredContent, JSON.stringify(result));
}

const refunds = async () =>
  (await client.callTool({ name: "order_refunds", arguments: { order_id: 1004 } })).structuredContent.refunds.length;
const before = await refunds();
const refund = { name: "refund_order", arguments: { order_id: 1004, amount_cents: 100 }, _meta: { [KEY]: `typescript-${kind}` } };
const [first, again] = [await client.callTool(refund), await client.callTool(refund)];
assert.deepEqual(again.structuredContent, first.structuredContent);
assert.equal(again._meta["operator/replayed"], true);
assert.equal(await refunds(), before + 1);

const wrong = await client.callTool({ name: "recent_orders", arguments: { email: 5 } });
assert.ok(wrong.isError);
assert.match(wrong.content[0].text, /`email` must be text, and 5 was given\./);
await client.close();
console.log(`${kind}: ${tools.length} tools`);
