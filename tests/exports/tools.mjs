// Lists the tools of a program with the MCP project's client for TypeScript, in version 1 or 2:
// `tools.mjs VERSION PROGRAM FOLDER`.
const [version, program, folder] = process.argv.slice(1);
const [client, transport] = version === "1"
  ? ["@modelcontextprotocol/sdk/client/index.js", "@modelcontextprotocol/sdk/client/stdio.js"]
  : ["@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio"];
const { Client } = await import(client);
const { StdioClientTransport } = await import(transport);

const connected = new Client({ name: "tests", version: "1" });
await connected.connect(new StdioClientTransport({ command: program, args: ["mcp"], cwd: folder, stderr: "ignore" }));
const { tools } = await connected.listTools();
await connected.close();
console.log(tools.map((tool) => tool.name).join(" "));
