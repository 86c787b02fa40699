// The whole job with the TypeScript SDK 2.x.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { job, run } from "./job.mjs";

const transport = job.url
  ? new StreamableHTTPClientTransport(new URL(job.url))
  : new StdioClientTransport({ command: job.command, args: job.args, env: job.env });
const mode = job.revision >= "2026-07-28" ? { pin: job.revision } : "legacy";
const client = new Client(
  { name: "sdk-2", version: "1" },
  { supportedProtocolVersions: [job.revision], versionNegotiation: { mode } },
);
await client.connect(transport);
await run(client, client.getNegotiatedProtocolVersion());
