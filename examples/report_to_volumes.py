#!/usr/bin/env python3
"""From a sentence of a radiology report to volumes: an agent without a language model.

    pip install mcp
    python examples/report_to_volumes.py
    python examples/report_to_volumes.py --image scan.nii.gz --modality ct --report "The liver is enlarged."

It does what a language model would do with sat-mcp, by plain rules, so that every step can be read here: it looks up the
phrases of the report (list_anatomy), has those that are structures found in the scan (segment), measures them
(measure_volume), and says what came out, with its limits. It needs no key and reaches nothing outside this machine.
"""

import argparse
import asyncio
import os
import re
import shutil
import sys
import textwrap
from pathlib import Path

from mcp import Client, StdioServerParameters

CHECKOUT = Path(__file__).resolve().parent.parent
REPORT = (
    "The left hippocampus looks small compared with the right hippocampus, "
    "and the lateral ventricles appear mildly enlarged."
)

# segment takes a phrase as a class exactly when list_anatomy scores it this high.
ACCEPTED = 0.8
LONGEST_PHRASE = 5
# Words on which no phrase begins or ends, and which mean nothing alone.
FILLERS = set("a an and appear appears are as at by compared enlarged for from in is it left looks mildly of on or right "
              "small than the there to with without".split())  # fmt: skip


async def main() -> int:
    options = arguments()
    print(f"Report   {options.report}")
    print(f"Scan     {options.image} ({options.modality})\n")
    server = StdioServerParameters(
        command=options.server[0],
        args=[*options.server[1:], "serve", "--data-root", str(options.image.parent)],
        # A client passes on next to nothing of its own accord.
        env={"SAT_MCP_LOG": "warn", **os.environ},
    )
    async with Client(server) as sat:
        try:
            structures = await find_structures(sat, options.report, options.modality)
            if not structures:
                print("\nThe report names no structure that the loaded model can find in this kind of scan.")
                return 1
            found = await segment(sat, options, structures)
            measured = await measure(sat, options, found["result_id"])
        except Refused as refusal:
            print(f"\n{refusal}", file=sys.stderr)
            return 1
    print(f"\n{conclusion(found, measured)}")
    return 0


async def find_structures(sat: Client, report: str, modality: str) -> list[str]:
    """The phrases of the report that are names of structures, longest first so that no part of a name counts twice."""
    structures: list[str] = []
    for clause in re.split(r"[.,;:()]", report):
        words = clause.split()
        start = 0
        while start < len(words):
            length = min(LONGEST_PHRASE, len(words) - start)
            while length > 0:
                phrase = " ".join(words[start : start + length])
                if is_phrase(words[start : start + length]) and await is_structure(sat, phrase, modality):
                    if phrase.lower() not in map(str.lower, structures):
                        structures.append(phrase)
                    break
                length -= 1
            start += max(length, 1)
    return structures


def is_phrase(words: list[str]) -> bool:
    sides = {"left", "right"}
    first, last = words[0].lower(), words[-1].lower()
    starts_well = first not in FILLERS or (first in sides and len(words) > 1)
    return starts_well and last not in FILLERS


async def is_structure(sat: Client, phrase: str, modality: str) -> bool:
    answer = await call(sat, "list_anatomy", {"query": phrase, "modality": modality, "limit": 1})
    best = next(iter(answer["items"]), None)
    if best is None or best["score"] < ACCEPTED:
        return False
    fate = "" if best["available"] else f"  (not in {answer['model']}: left out)"
    print(f"list_anatomy    {phrase!r} is {best['name']}, score {best['score']:.2f}{fate}")
    return best["available"]


async def segment(sat: Client, options: argparse.Namespace, structures: list[str]) -> dict:
    async def show(progress: float, total: float | None, message: str | None) -> None:
        done = int(20 * progress / total) if total else 0
        print(f"segment         [{'#' * done}{'.' * (20 - done)}] {message or ''}", file=sys.stderr)

    request = {"image": str(options.image), "modality": options.modality, "targets": structures}
    found = await call(sat, "segment", request, progress=show)
    execution = found["execution"]
    kept = "kept from before" if execution["cached"] else f"{execution['seconds']:.0f} s on {execution['provider']}"
    print(f"segment         result {found['result_id']}, {kept}")
    if preview := found.get("preview"):
        print(f"                preview {preview.get('path', preview['uri'])}")
    return found


async def measure(sat: Client, options: argparse.Namespace, result_id: str) -> list[dict]:
    answer = await call(sat, "measure_volume", {"result_id": result_id, "image": str(options.image)})
    for one in answer["measurements"]:
        diameter = one.get("longest_diameter_mm")
        size = f", longest diameter {diameter:.0f} mm" if diameter else ""
        print(f"measure_volume  {one['name']}: {one['volume_ml']:.1f} mL ({one['status']}{size})")
    return answer["measurements"]


def conclusion(found: dict, measured: list[dict]) -> str:
    """What can be said, and what cannot."""
    model = f"{found['model']['name']} {found['model']['version']}"
    sizes = [f"the {one['name']} {one['volume_ml']:.1f} mL" for one in measured if one["status"] != "empty"]
    missing = [one["name"] for one in measured if one["status"] == "empty"]
    said = []
    if sizes:
        said.append(f"In this scan {model} measures {listed(sizes)}.")
    said += compared_sides(found, measured)
    if missing:
        said.append(f"It found no {listed(missing, 'or')}, which does not prove that there is none.")
    limits = [
        *dict.fromkeys(warning["message"] for warning in found["warnings"]),
        "Whether a size is normal depends on age, sex and head size, which this agent does not know.",
        "The masks were made automatically and nobody has checked them: look at the preview first.",
        "This is not a medical device.",
    ]
    return "\n".join([textwrap.fill(" ".join(said), 100), "", "Before you use these numbers:", *(f"- {limit}" for limit in limits)])


def compared_sides(found: dict, measured: list[dict]) -> list[str]:
    """Left against right, where both were measured and the model is good at both."""
    poor = {warning["target"] for warning in found["warnings"] if warning["code"] == "experimental_class"}
    doubtful = {mask["name"] for mask in found["masks"] if mask["target"] in poor}
    volumes = {one["name"]: one["volume_ml"] for one in measured if one["status"] == "present"}
    said = []
    for name, left in volumes.items():
        other = name.replace("left ", "right ", 1)
        if other == name or other not in volumes:
            continue
        if doubtful & {name, other}:
            said.append(f"The {name} and the {other} cannot be compared: the model is poor at them.")
            continue
        percent = 100 * (left - volumes[other]) / volumes[other]
        said.append(f"The {name} is {abs(percent):.0f} % {'larger' if percent > 0 else 'smaller'} than the {other}.")
    return said


class Refused(Exception):
    """A tool said no, and why."""


async def call(sat: Client, tool: str, arguments: dict, progress=None) -> dict:
    """A tool's structured answer; its own words where it refuses."""
    result = await sat.call_tool(tool, arguments, progress_callback=progress)
    if result.is_error:
        raise Refused(f"{tool}: {result.content[0].text}")
    return result.structured_content


def listed(things: list[str], word: str = "and") -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} {word} {things[-1]}"


def arguments() -> argparse.Namespace:
    demo = next(iter(sorted((CHECKOUT / "share" / "demo").glob("*.nii.gz"))), None)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=demo, required=demo is None, help="a NIfTI scan [default: the demo head]")
    parser.add_argument("--modality", choices=["ct", "mri", "pet"], default="mri")
    parser.add_argument("--report", default=REPORT)
    parser.add_argument("--server", nargs="+", default=[program()], help="the sat-mcp program [default: as installed]")
    options = parser.parse_args()
    options.image = options.image.resolve()
    return options


def program() -> str:
    """As installed, or as built in this checkout."""
    built = CHECKOUT / "target" / "release" / "sat-mcp"
    return shutil.which("sat-mcp") or str(built)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except Exception as error:  # a server that does not start has said why on stderr
        while hasattr(error, "exceptions"):
            error = error.exceptions[0]
        sys.exit(f"report_to_volumes: no answer from sat-mcp: {error}")
