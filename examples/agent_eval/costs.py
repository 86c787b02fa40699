"""What sat-mcp costs a model in tokens: what it is told at the start, and typical replies, on the scan that ships."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from agent_eval import standin, tokens, transcript
from agent_eval.runner import Setting
from agent_eval.tasks import HERE

HEAD = ["hippocampus", "amygdala", "thalamus", "caudate nucleus", "putamen", "pallidum"]
BOTH_SIDES = [f"{side} {name}" for name in HEAD for side in ("left", "right")]


async def typical_calls(setting: Setting, folder: Path, record: Path) -> list[str]:
    """Makes the calls through the proxy; returns what each is."""
    from mcp import Client, StdioServerParameters

    scan = folder / "scan.nii.gz"
    proxy = [str(HERE / "proxy.py"), "--record", str(record), "--", *setting.server(standin.DEMO, folder)]
    where = {"image": str(scan), "modality": "mri"}
    made = []
    server = StdioServerParameters(command=sys.executable, args=proxy, env={"SAT_MCP_LOG": "warn"})
    async with Client(server) as sat:
        await sat.list_tools()

        async def call(what: str, tool: str, arguments: dict) -> dict | None:
            made.append(what)
            # With progress the answer comes when it is done, not after some seconds without it.
            result = await sat.call_tool(tool, arguments, progress_callback=ignore)
            return result.structured_content

        await call("list_anatomy, one phrase", "list_anatomy", {"query": "left hippocampus", "modality": "mri"})
        await call(
            "list_anatomy, one phrase, at most 3",
            "list_anatomy",
            {"query": "left hippocampus", "modality": "mri", "limit": 3},
        )
        await call("list_anatomy, a page of 50", "list_anatomy", {"modality": "ct"})
        one = await call("segment, 1 name", "segment", {**where, "targets": BOTH_SIDES[:1]})
        await call("segment, 12 names", "segment", {**where, "targets": BOTH_SIDES})
        await call("segment, 12 names, detail full", "segment", {**where, "targets": BOTH_SIDES, "detail": "full"})
        await call("segment, refused: 2 bad names", "segment", {**where, "targets": ["left hipocampal body", "spleen"]})
        await call("measure_volume, 1 name", "measure_volume", {"result_id": (one or {}).get("result_id", "")})
    return made


async def ignore(*_: object) -> None:
    pass


def measure(setting: Setting, count: Callable[[str], int]) -> dict:
    """The costs, as they stand in the score table."""
    folder = setting.out / "costs"
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "transcript.jsonl"
    record.unlink(missing_ok=True)
    standin.write_scan(standin.DEMO, folder / "scan.nii.gz")
    made = asyncio.run(typical_calls(setting, folder, record))
    said = transcript.read(record)
    replies = [
        {"what": what, **tokens.of_result(count, call.result or {})}
        for what, call in zip(made, said.calls, strict=True)
    ]
    by_tool = {tool["name"]: tokens.of_tools(count, [tool]) for tool in said.tools}
    start = {"instructions": count(said.instructions), "tools": tokens.of_tools(count, said.tools), "by_tool": by_tool}
    return {"start": start, "replies": replies}
