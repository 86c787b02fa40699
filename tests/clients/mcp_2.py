"""The whole job with the Python SDK 2.x."""

from job import done, main
from mcp import Client, StdioServerParameters
from mcp.client import session


async def run(job: dict) -> dict:
    server = job.get("url") or StdioServerParameters(command=job["command"], args=job["args"], env=job["env"])
    mode = job["revision"]
    if mode < "2026-07-28":
        # The SDK always asks for the newest revision with a handshake; a client of that time asked for its own.
        session.LATEST_HANDSHAKE_VERSION = mode
        mode = "legacy"
    async with Client(server, mode=mode) as client:

        async def read(uri: str):
            return (await client.read_resource(uri)).contents[0]

        tools = (await client.list_tools()).tools
        return await done(job, client.protocol_version, tools, client.call_tool, read)


main(run)
