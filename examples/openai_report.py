#!/usr/bin/env python3
"""GPT reads a radiology report, has what it speaks of found in the scan, and writes what came out.

    pip install openai-agents
    export OPENAI_API_KEY=…          # from https://platform.openai.com/api-keys
    python examples/openai_report.py
    python examples/openai_report.py report.txt --image scan.nii.gz --modality ct

The report and what the tools answer (names, numbers, paths) go to OpenAI; the scan, the masks and the picture stay
here.
"""

import os
import sys
from argparse import Namespace

import shared

try:
    import openai
    from agents import Agent, MaxTurnsExceeded, RunConfig, RunHooks, Runner
    from agents.mcp import MCPServerStdio, MCPToolCustomDataContext
except ImportError as missing:
    sys.exit(shared.refused(f"{missing.name} cannot be imported: pip install --upgrade openai-agents mcp"))

KEY = "OPENAI_API_KEY"
# Looking up names, one or two calls of segment, a statement: who needs more turns than this is going round in circles.
MAX_TURNS = 20


def main() -> int:
    parser = shared.arguments(__doc__)
    # None is the SDK's own default, which OPENAI_DEFAULT_MODEL changes.
    parser.add_argument("--model", help="or in OPENAI_DEFAULT_MODEL [default: the SDK's own]")
    options = shared.parsed(parser)
    if not os.environ.get(KEY):
        return shared.refused(shared.without_key(KEY, "https://platform.openai.com/api-keys"))
    return shared.run(converse(options))


async def converse(options: Namespace) -> str:
    """The whole conversation; returns GPT's statement."""
    command = shared.server(options)
    async with MCPServerStdio(
        params={"command": command[0], "args": command[1:], "env": shared.environment()},
        # The SDK gives up after 5 s. segment answers after 8 s that it is still running, and is then called again; a
        # large scan on a slow disk may take longer to be read.
        client_session_timeout_seconds=600,
        custom_data_extractor=preview_of,
    ) as sat:
        # The server's own prompt: the report, the names that rules found in it, and what to do with them.
        assignment = await sat.get_prompt("segment_from_report", shared.assignment(options))
        agent = Agent(
            name="Reader of reports",
            instructions=sat.session.instructions,
            model=options.model,
            mcp_servers=[sat],
        )
        try:
            result = await Runner.run(
                agent,
                assignment.messages[0].content.text,
                max_turns=MAX_TURNS,
                hooks=ShowCalls(),
                # Traces would put a copy of the report on OpenAI's dashboard.
                run_config=RunConfig(tracing_disabled=True),
            )
        except MaxTurnsExceeded as error:
            why = f"it was still calling tools after {MAX_TURNS} turns"
            raise shared.Fault(f"GPT came to no statement: {why}") from error
        except openai.APIError as error:
            raise shared.Fault(what_failed(error)) from error
    kept = [getattr(item, "custom_data", None) or {} for item in result.new_items]
    pictures = [one["preview"] for one in kept if "preview" in one]
    return "\n\n".join([result.final_output, *map(shared.picture, pictures[-1:])])


def preview_of(answer: MCPToolCustomDataContext) -> dict | None:
    """What is kept of a tool's answer beside the text that the model reads: where the picture is."""
    preview = (answer.structured_content or {}).get("preview")
    return {"preview": preview["path"]} if preview else None


class ShowCalls(RunHooks):
    """Tells the calls as they happen."""

    async def on_tool_start(self, context, agent, tool) -> None:
        shared.tell(f"{tool.name} {context.tool_arguments}")


def what_failed(error: openai.APIError) -> str:
    """The API's fault in words. A key is not repeated, in whole or in part."""
    if isinstance(error, openai.AuthenticationError):
        return f"OpenAI does not accept the key in {KEY}: see https://platform.openai.com/api-keys"
    if isinstance(error, openai.APIConnectionError):
        return f"OpenAI's API cannot be reached: {error.__cause__ or error}"
    return f"OpenAI's API says: {error.message}".replace(os.environ[KEY], "…")


if __name__ == "__main__":
    sys.exit(main())
