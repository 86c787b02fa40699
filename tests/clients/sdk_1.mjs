// The whole job with the TypeScript SDK 1.x, the last one before 2026-07-28.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { job, run } from "./job.mjs";

const transport = job.url
  ? new StreamableHTTPClientTransport(new URL(job.url))
  : new StdioClientTransport({ command: job.command, args: job.args, env: job.env });

// The SDK always asks for the newest revision that it knows; a client of that time asked for its own.
const send = transport.send.bind(transport);
transport.send = (message, options) => {
  if (message.method === "initialize") message.params.protocolVersion = job.revision;
  return send(message, options);
};
// Nor does it say what was agreed.
let agreed;
transport.onmessage = (message) => (agreed ??= message.result?.protocolVersion);

const client = new Client({ name: "sdk-1", version: "1" });
await client.connect(transport);
await run(client, agreed);
