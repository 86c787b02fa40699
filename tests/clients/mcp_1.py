"""The whole job with the Python SDK 1.x, the last one before 2026-07-28."""

from job import done, main
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def run(job: dict) -> dict:
    # The SDK always asks for the newest revision that it knows; a client of that time asked for its own.
    types.LATEST_PROTOCOL_VERSION = job["revision"]
    if url := job.get("url"):
        transport = streamable_http_client(url)
    else:
        transport = stdio_client(StdioServerParameters(command=job["command"], args=job["args"], env=job["env"]))
    async with transport as (reader, writer, *_), ClientSession(reader, writer) as client:

        async def read(uri: str):
            return (await client.read_resource(uri)).contents[0]

        revision = (await client.initialize()).protocolVersion
        tools = (await client.list_tools()).tools
        return await done(job, revision, tools, client.call_tool, read)


main(run)
