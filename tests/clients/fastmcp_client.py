"""The whole job with fastmcp's client."""

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from job import done, main
from mcp.client import session


async def run(job: dict) -> dict:
    if url := job.get("url"):
        transport = StreamableHttpTransport(url)
    else:
        transport = StdioTransport(command=job["command"], args=job["args"], env=job["env"])
    mode = job["revision"]
    if mode < "2026-07-28":
        # The SDK below always asks for the newest revision with a handshake; a client of that time asked for its own.
        session.LATEST_HANDSHAKE_VERSION = mode
        mode = "legacy"
    async with Client(transport, mode=mode) as client:

        async def read(uri: str):
            return (await client.read_resource(uri))[0]

        tools = await client.list_tools()
        return await done(job, client.session.protocol_version, tools, client.call_tool_mcp, read)


main(run)
