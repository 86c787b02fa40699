"""The agent without a language model, as the evaluation plays it: rules where a model would think.

`sat-mcp targets` finds what the report names; then, over MCP, segment and measure_volume, with list_anatomy to find out
which names are bad when segment refuses. It is given all it needs in the variables that the runner sets (README.md), and
says its statement on stdout.
"""

import asyncio
import json
import os
import shlex
import subprocess
import sys

# segment takes a phrase as a class exactly when list_anatomy scores it this high.
ACCEPTED = 0.8


class Refused(Exception):
    """A tool said no; its words, and the candidates it offers."""

    def __init__(self, result) -> None:
        super().__init__(result.content[0].text)
        self.candidates = ((result.meta or {}).get("sat-mcp/error") or {}).get("candidates", [])


def targets_of(report: str, modality: str) -> tuple[list[str], dict[str, str]]:
    """What the report (a file) names as present, and what it names that cannot be had, with the reason."""
    given = os.environ
    models = ["--models", given["SAT_EVAL_MODELS"], "--model", given["SAT_EVAL_MODEL"]]
    command = [given["SAT_EVAL_PROGRAM"], "targets", report, "--modality", modality, "--json", *models]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`sat-mcp targets` failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    # What the report denies or tells as history is left out too, but nobody misses that.
    missed = [one for one in found["mentions"] if "problem" in one and not (one.get("negated") or one.get("history"))]
    return found["targets"], {one["target"]: one["problem"]["message"] for one in missed}


async def play() -> str:
    """One task; returns the statement."""
    from mcp import Client, StdioServerParameters

    given = os.environ
    modality, image, prior = given["SAT_EVAL_MODALITY"], given["SAT_EVAL_IMAGE"], given["SAT_EVAL_PRIOR"]
    targets, limits = targets_of(given["SAT_EVAL_REPORT"], modality)
    command = shlex.split(given["SAT_MCP_SERVER"])
    async with Client(StdioServerParameters(command=command[0], args=command[1:])) as sat:
        found = await segment(sat, image, modality, targets, limits)
        if found is None:
            return statement([], [], limits)
        measured = await call(sat, "measure_volume", {"result_id": found["result_id"], "image": image})
        said = [sentence(one) for one in measured["measurements"]]
        if prior:
            before = await segment(sat, prior, modality, [mask["target"] for mask in found["masks"]], limits)
            said += changes(found, before)
        warnings = [warning["message"] for warning in found["warnings"]]
    return statement(said, warnings, limits)


async def segment(sat, image: str, modality: str, targets: list[str], limits: dict[str, str]) -> dict | None:
    """The answer for the targets that can be had; the others go to `limits`."""
    if not targets:
        return None
    request = {"image": image, "modality": modality, "targets": targets}
    try:
        return await call(sat, "segment", request)
    except Refused as refusal:
        good = [target for target in targets if await is_accepted(sat, target, modality)]
        bad = [target for target in targets if target not in good]
        if not bad:
            raise
        for target in bad:
            near = [one["name"] for one in refusal.candidates if one.get("target") == target and one["available"]]
            limits[target] = f"the server refuses it{'; near are ' + ', '.join(near) if near else ''}"
        return await segment(sat, image, modality, good, limits)


async def is_accepted(sat, target: str, modality: str) -> bool:
    answer = await call(sat, "list_anatomy", {"query": target, "modality": modality, "limit": 1})
    return any(item["score"] >= ACCEPTED and item["available"] for item in answer["items"])


async def call(sat, tool: str, arguments: dict) -> dict:
    """A tool's structured answer. With progress asked for, it comes when it is done."""
    result = await sat.call_tool(tool, arguments, progress_callback=ignore)
    if result.is_error:
        raise Refused(result)
    return result.structured_content


async def ignore(*_: object) -> None:
    pass


def sentence(one: dict) -> str:
    if one["status"] == "empty":
        return f"No {one['name']} was found, which does not prove that there is none."
    bound = ", a lower bound since the image cuts it off" if one["status"] == "cut_off" else ""
    return f"The {one['name']} measures {one['volume_ml']:.2f} mL{bound}."


def changes(now: dict, before: dict) -> list[str]:
    said = []
    for new, old in zip(now["masks"], before["masks"], strict=True):
        volume, earlier = new["measurement"]["volume_ml"], old["measurement"]["volume_ml"]
        word = "larger" if volume > earlier else "smaller" if volume < earlier else "as large"
        said.append(f"In the prior scan the {old['name']} measured {earlier:.2f} mL: it is now {word}.")
    return said


def statement(said: list[str], warnings: list[str], limits: dict[str, str]) -> str:
    lines = said or ["Nothing in this report was measured."]
    lines += [f"{phrase} cannot be had: {why}." for phrase, why in limits.items()]
    lines += [f"Caveat: {warning}" for warning in dict.fromkeys(warnings)]
    return "\n".join([*lines, "Automatic measurements for research. This is not a medical device."])


def main() -> int:
    try:
        print(asyncio.run(play()))
    except Exception as error:
        # Task groups wrap what went wrong.
        while hasattr(error, "exceptions"):
            error = error.exceptions[0]
        print(f"no-key agent: {error}", file=sys.stderr)
        return 1
    return 0
