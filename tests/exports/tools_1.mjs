// Lists the tools of a program with version 1 of the MCP project's client for TypeScript: `tools_1.mjs PROGRAM`.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [program, folder] = process.argv.slice(1);
const client = new Client({ name: "tests", version: "1" });
await client.connect(new StdioClientTransport({ command: program, args: ["mcp"], cwd: folder, stderr: "ignore" }));
const { tools } = await client.listTools();
await client.close();
console.log(tools.map((tool) => tool.name).join(" "));
