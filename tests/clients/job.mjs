// What both TypeScript clients do once they are connected; see tests/python/test_clients.py for what goes in and comes out.

import { readFileSync } from "node:fs";

export const job = JSON.parse(readFileSync(0, "utf8"));

// Prints the report.
export async function run(client, revision) {
  const report = { revision };
  report.tools = (await client.listTools()).tools.map((tool) => tool.name);
  const call = (name, args) => client.callTool({ name, arguments: args });
  report.list_anatomy = await call("list_anatomy", job.list_anatomy);
  do {
    report.segment = await call("segment", job.segment);
  } while (report.segment.structuredContent?.status === "running");
  const answer = report.segment.structuredContent;
  report.measure_volume = await call("measure_volume", { result_id: answer.result_id });
  report.read = [];
  for (const mask of answer.masks) {
    report.read.push((await client.readResource({ uri: mask.files[0].uri })).contents[0]);
  }
  await client.close();
  console.log(JSON.stringify(report));
}
