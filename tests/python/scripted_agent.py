"""An agent that follows a script: JSON {calls: [[tool, arguments]…], says: text}, for tests of the evaluation.

In arguments "IMAGE", "PRIOR" and "RESULT" stand for the scan, the earlier scan and the last result; in the text
"{NAME}" stands for the volume that was measured last under that name.
"""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters


async def play(script: dict) -> str:
    command = shlex.split(os.environ["SAT_MCP_SERVER"])
    standing = {"IMAGE": os.environ["SAT_EVAL_IMAGE"], "PRIOR": os.environ["SAT_EVAL_PRIOR"]}
    volumes: dict[str, str] = {}
    async with Client(StdioServerParameters(command=command[0], args=command[1:])) as sat:
        await sat.list_tools()
        for tool, arguments in script["calls"]:
            filled = {key: standing.get(str(value), value) for key, value in arguments.items()}
            result = await sat.call_tool(tool, filled, progress_callback=ignore)
            answer = result.structured_content or {}
            standing["RESULT"] = answer.get("result_id", standing.get("RESULT"))
            measured = [(mask["name"], mask["measurement"]) for mask in answer.get("masks", [])]
            measured += [(one["name"], one) for one in answer.get("measurements", [])]
            volumes |= {"{" + name + "}": f"{one['volume_ml']:.1f}" for name, one in measured}
    said = script["says"]
    for name, volume in volumes.items():
        said = said.replace(name, volume)
    return said


async def ignore(*_):
    pass


if __name__ == "__main__":
    # Words before the statement, as agents print them: only what lies between the markers counts.
    print("thinking of 12345 mL")
    statement = asyncio.run(play(json.loads(Path(sys.argv[1]).read_text())))
    print(f"BEGIN STATEMENT\n{statement}\nEND STATEMENT")
