#!/usr/bin/env python3
"""Claude reads a radiology report, has what it speaks of found in the scan, and writes what came out.

    pip install mcp anthropic
    export ANTHROPIC_API_KEY=…          # from https://platform.claude.com/settings/keys
    python examples/claude_report.py
    python examples/claude_report.py report.txt --image scan.nii.gz --modality ct

The report and what the tools answer (names, numbers, paths) go to Anthropic; the scan and the masks stay here, and so
does the picture unless --show-picture is given.
"""

import json
import os
import sys
from argparse import Namespace

import shared

try:
    import anthropic
    from anthropic.lib.tools import ToolError, beta_async_tool
    from anthropic.lib.tools.mcp import mcp_content, mcp_message, mcp_resource_to_content
    from mcp import Client, StdioServerParameters
    from mcp.types import Tool
except ImportError as missing:
    sys.exit(shared.refused(f"{missing.name} cannot be imported: pip install --upgrade mcp anthropic"))

KEY = "ANTHROPIC_API_KEY"
MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5-5")
# Looking up names, one or two calls of segment, a statement: who needs more turns than this is going round in circles.
MAX_TURNS = 20


def main() -> int:
    parser = shared.arguments(__doc__)
    parser.add_argument("--model", default=MODEL, help=f"or in ANTHROPIC_MODEL [default: {MODEL}]")
    parser.add_argument("--show-picture", action="store_true", help="let Claude see the preview picture of the result")
    options = shared.parsed(parser)
    if not os.environ.get(KEY):
        return shared.refused(shared.without_key(KEY, "https://platform.claude.com/settings/keys"))
    return shared.run(converse(options))


async def converse(options: Namespace) -> str:
    """The whole conversation; returns Claude's statement."""
    command = shared.server(options)
    start = StdioServerParameters(command=command[0], args=command[1:], env=shared.environment())
    async with anthropic.AsyncAnthropic() as claude, Client(start) as sat:
        # The server's own prompt: the report, the names that rules found in it, and what to do with them.
        assignment = await sat.get_prompt("segment_from_report", shared.assignment(options))
        pictures: list[str] = []
        runner = claude.beta.messages.tool_runner(
            model=options.model,
            max_tokens=8000,
            max_iterations=MAX_TURNS,
            system=sat.instructions or "",
            messages=[mcp_message(message) for message in assignment.messages],
            tools=[as_anthropic(tool, sat, pictures, options) for tool in (await sat.list_tools()).tools],
            # The whole conversation goes along in each turn, and Anthropic need not hold it between them.
            thread=False,
        )
        try:
            reply = await runner.until_done()
        except anthropic.APIError as error:
            raise shared.Fault(what_failed(error)) from error
    if reply.stop_reason != "end_turn":
        why = {
            "tool_use": f"it was still calling tools after {MAX_TURNS} turns",
            "max_tokens": "its answer is too long",
        }
        raise shared.Fault(f"Claude came to no statement: {why.get(reply.stop_reason, reply.stop_reason)}")
    statement = "\n".join(block.text for block in reply.content if block.type == "text")
    return "\n\n".join([statement, *map(shared.picture, pictures[-1:])])


def as_anthropic(tool: Tool, sat: Client, pictures: list[str], options: Namespace):
    """An MCP tool as one that the SDK's loop calls by itself."""

    async def call(**arguments: object) -> list:
        shared.tell(f"{tool.name} {json.dumps(arguments)}")
        result = await sat.call_tool(tool.name, arguments, progress_callback=shared.show_progress)
        # anthropic.lib.tools.mcp.async_mcp_tool would do all this, but refuses links to files. The text names them.
        content = [mcp_content(block) for block in result.content if block.type != "resource_link"]
        if result.is_error:
            raise ToolError(content)
        if preview := (result.structured_content or {}).get("preview"):
            pictures.append(preview["path"])
            if options.show_picture:
                content.append(mcp_resource_to_content(await sat.read_resource(preview["uri"])))
        return content

    return beta_async_tool(call, name=tool.name, description=tool.description, input_schema=tool.input_schema)


def what_failed(error: anthropic.APIError) -> str:
    """The API's fault in words. A key is not repeated, in whole or in part."""
    if isinstance(error, anthropic.AuthenticationError):
        return f"Anthropic does not accept the key in {KEY}: see https://platform.claude.com/settings/keys"
    if isinstance(error, anthropic.APIConnectionError):
        return f"Anthropic's API cannot be reached: {error.__cause__ or error}"
    return f"Anthropic's API says: {error.message}".replace(os.environ[KEY], "…")


if __name__ == "__main__":
    sys.exit(main())
