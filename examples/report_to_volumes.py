#!/usr/bin/env python3
"""From a radiology report and its scan to volumes, without a language model and without a key.

    pip install mcp
    python examples/report_to_volumes.py
    python examples/report_to_volumes.py report.txt --image scan.nii.gz --modality ct
    python examples/report_to_volumes.py --report "The liver is enlarged." --image scan.nii.gz --modality ct

It does by rules what a language model would do by sense: `sat-mcp targets` finds the names in the report, segment
finds the structures in the scan, measure_volume measures them. The statement on stdout has a sentence for each, with
what limits the number. Nothing leaves this machine.
"""

import json
import math
import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import shared

try:
    from mcp import Client, StdioServerParameters
except ImportError:
    sys.exit(shared.refused("the MCP client cannot be imported: pip install --upgrade mcp"))

# segment takes a phrase as a class exactly when list_anatomy scores it this high.
ACCEPTED = 0.8
# Warnings after which a volume is not to be compared with another.
DOUBTFUL = {"cut_off", "empty_mask", "experimental_class", "low_probability", "scattered", "check_failed"}


def main(given: list[str] | None = None) -> int:
    parser = shared.arguments(__doc__)
    parser.add_argument("--prior", type=Path, metavar="SCAN", help="an earlier scan of the same kind, to compare with")
    parser.add_argument("--server", metavar="COMMAND", help="what to start in place of `sat-mcp serve`")
    options = shared.parsed(parser, given)
    return shared.run(play(options))


async def play(options: Namespace) -> str:
    """The whole way; returns the statement."""
    shared.tell(f"Report   {' '.join(options.report.split())}")
    shared.tell(f"Scan     {options.image} ({options.modality})")
    report = read_report(options)
    shared.tell(f"targets  {', '.join(report['targets']) or 'none'}")
    if not report["targets"]:
        return statement(report, {}, None)
    prior = [options.prior.resolve()] if options.prior else []
    command = shlex.split(options.server) if options.server else shared.server(options, *prior)
    async with Client(StdioServerParameters(command=command[0], args=command[1:], env=shared.environment())) as sat:
        limits: dict[str, str] = {}
        found = await segment(sat, options.image, options.modality, report["targets"], limits)
        if found is None:
            return statement(report, limits, None)
        await measure(sat, found, options.image)
        before = None
        if prior:
            before = await segment(sat, prior[0], options.modality, [mask["target"] for mask in found["masks"]], limits)
    return statement(report, limits, found, before)


def read_report(options: Namespace) -> dict:
    """Every name that the report mentions, whether it is denied or past, and the targets for segment."""
    command = [options.program, "targets", "-", "--modality", options.modality, "--json"]
    done = subprocess.run(
        command, input=options.report, capture_output=True, encoding="utf-8", env=shared.environment(), check=False
    )
    if done.returncode:
        raise shared.Fault(f"`sat-mcp targets` cannot read the report: {done.stderr.strip()}")
    return json.loads(done.stdout)


async def segment(sat: Client, image: Path, modality: str, targets: list[str], limits: dict[str, str]) -> dict | None:
    """The masks of the targets that can be had; what the server does not take goes to `limits`."""
    # A program is no reader that pays for every word: it asks for the full detail.
    request = {"image": str(image), "modality": modality, "targets": targets, "detail": "full"}
    try:
        found = await call(sat, "segment", request)
    except Refused:
        # The server's model may know less than the one whose names were looked for in the report. One bad name spoils
        # the call, so find out which are good.
        good = [target for target in targets if await is_known(sat, target, modality)]
        if good == targets:
            raise
        limits |= {target: "the server's model does not take it" for target in targets if target not in good}
        return await segment(sat, image, modality, good, limits) if good else None
    execution = found["execution"]
    how = "kept from before" if execution["cached"] else f"{execution['seconds']:.0f} s on {execution['provider']}"
    shared.tell(f"segment  result {found['result_id']}, {how}")
    return found


async def is_known(sat: Client, target: str, modality: str) -> bool:
    answer = await call(sat, "list_anatomy", {"query": target, "modality": modality, "limit": 1})
    return any(item["score"] >= ACCEPTED and item["available"] for item in answer["items"])


async def measure(sat: Client, found: dict, image: Path) -> None:
    """Measures the masks as they lie on disk, and puts that in place of what segment said of them."""
    request = {"result_id": found["result_id"], "image": str(image), "detail": "full"}
    measured = (await call(sat, "measure_volume", request))["measurements"]
    by_name = {one["name"]: one for one in measured}
    for mask in found["masks"]:
        mask["measurement"] = by_name[mask["name"]]
    shared.tell(f"measure_volume  {len(measured)} masks\n")


class Refused(shared.Fault):
    """A tool said no, and why."""


async def call(sat: Client, tool: str, arguments: dict) -> dict:
    """A tool's structured answer."""
    result = await sat.call_tool(tool, arguments, progress_callback=shared.show_progress)
    if result.is_error:
        raise Refused(f"{tool}: {result.content[0].text}")
    return result.structured_content


# What is said


def statement(report: dict, limits: dict[str, str], found: dict | None, before: dict | None = None) -> str:
    """What can be said, what cannot, and what to know before using it."""
    masks = found["masks"] if found else []
    parts = {
        "Measured:": [finding(mask, report, found) for mask in masks],
        "Left against right:": sides(found) if found else [],
        "Against the prior scan:": changes(found, before) if found and before else [],
        "Not available:": cannot_be_had(report, limits),
        "Not measured, since the report denies it or tells it as history:": denied(report, masks),
        "Before you use this:": caveats(found),
    }
    text = "\n\n".join("\n".join([title, *(f"- {line}" for line in lines)]) for title, lines in parts.items() if lines)
    if not masks:
        text = f"Nothing was measured: the report names nothing as present that the loaded model can find.\n\n{text}"
    preview = (found or {}).get("preview")
    return f"{text}\n\n{shared.picture(preview.get('path', preview['uri']))}" if preview else text


def finding(mask: dict, report: dict, found: dict) -> str:
    """A sentence with the volume, then what limits it."""
    measured, name = mask["measurement"], mask["name"]
    mention = next(one for one in report["mentions"] if one["target"] == mask["target"])
    written = " ".join(mention["text"].split())
    words = f' (in the report: "{written}")' if written.lower() != name.lower() else ""
    if measured["status"] == "empty":
        said = [f"No {name}{words} was found: it may be absent, outside the scan, or missed."]
    else:
        least = "at least " if measured["status"] == "cut_off" else ""
        across = measured.get("longest_diameter_mm")
        across = f" (longest diameter in a slice {across:.0f} mm)" if across else ""
        said = [f"The {name}{words} measures {least}{ml(measured)} mL{across}."]
    if parts := mask.get("composed_of"):
        said.append(f"That is the union of {listed(parts)}.")
    # The server warns by itself where what lies inside was asked for, too.
    if (inside := mask.get("includes")) and not codes(mask, found) & {"overlapping", "empty_mask"}:
        said.append(f"Any {listed(inside, 'or')} in it counts to it.")
    for warning in warnings_of(mask, found):
        if warning["code"] != "empty_mask":
            text = warning["message"].removeprefix(f"{name}: ")
            said.append(text[:1].upper() + text[1:])
    if mention.get("uncertain"):
        said.append(f"The report is not sure of it{cue(mention)}.")
    return " ".join(said)


def warnings_of(mask: dict, found: dict) -> list[dict]:
    return [warning for warning in found["warnings"] if warning.get("target") == mask["target"]]


def codes(mask: dict, found: dict) -> set[str]:
    return {warning["code"] for warning in warnings_of(mask, found)}


def sides(found: dict) -> list[str]:
    """Left against right, where both are asked for."""
    by_name = {mask["name"]: mask for mask in found["masks"]}
    said = []
    for name, left in by_name.items():
        other = name.replace("left ", "right ", 1)
        right = by_name.get(other)
        if right is None or other == name:
            continue
        if DOUBTFUL & (codes(left, found) | codes(right, found)):
            said.append(f"The {name} and the {other} are not compared: see above what is said of them.")
        else:
            said.append(f"The {name} is {compared(left, right)} the {other}.{possible_error(left, right)}")
    return said


def changes(found: dict, before: dict) -> list[str]:
    """Each structure against itself in the earlier scan."""
    said = []
    for new, old in zip(found["masks"], before["masks"], strict=True):
        then = f"The {old['name']} measured {ml(old['measurement'])} mL"
        if DOUBTFUL & (codes(new, found) | codes(old, before)):
            said.append(f"{then}; the change is not given, since one of the two masks is doubtful.")
        else:
            said.append(f"{then}; now it is {compared(new, old)} then.{possible_error(new, old)}")
    return said


def compared(one: dict, other: dict) -> str:
    volume, base = one["measurement"]["volume_ml"], other["measurement"]["volume_ml"]
    percent = round(100 * (volume - base) / base)
    return f"{abs(percent)} % {'larger' if percent > 0 else 'smaller'} than" if percent else "as large as"


def possible_error(one: dict, other: dict) -> str:
    """Two masks with a Dice of D can differ in volume by 1 - D of their sum: so can a mask and the truth."""
    trust = [mask.get("trust", {}) for mask in (one, other)]
    dice = [known.get("model_dice", known.get("published_dice")) for known in trust]
    volumes = [mask["measurement"]["volume_ml"] for mask in (one, other)]
    if None in dice or abs(volumes[0] - volumes[1]) > (1 - min(dice)) * sum(volumes):
        return ""
    return f" Such a difference can be the model's own error: its Dice for them is {min(dice):.2f}."


def cannot_be_had(report: dict, limits: dict[str, str]) -> list[str]:
    """What the report names as present, and no mask can show."""
    said = [f"{target} cannot be measured: {why}." for target, why in limits.items()]
    for mention in report["mentions"]:
        if (problem := mention.get("problem")) and not is_denied(mention):
            said.append(f"{mention['target']} cannot be measured: {problem['message'].rstrip('.')}.")
            # Where the phrase left it open, names to choose from; elsewhere the near names are other structures.
            if problem["code"] == "ambiguous_target":
                said[-1] += f" Say which: {listed(problem['candidates'], 'or')}."
    return list(dict.fromkeys(said))


def denied(report: dict, masks: list[dict]) -> list[str]:
    """What the report denies, or tells as history."""
    there = {mask["name"] for mask in masks}
    said = []
    for mention in filter(is_denied, report["mentions"]):
        how = "denied" if not mention.get("history") else "taken out" if mention.get("negated") else "history"
        if mention.get("name", mention["target"]) not in there:
            said.append(f"{mention['target']}: {how}{cue(mention)}.")
    return list(dict.fromkeys(said))


def is_denied(mention: dict) -> bool:
    return bool(mention.get("negated") or mention.get("history"))


def cue(mention: dict) -> str:
    """The report's own words for it."""
    return f' ("{mention["cue"]["text"]}")' if "cue" in mention else ""


def caveats(found: dict | None) -> list[str]:
    said = ["The report was read by rules that know words, not sense: hold the names against the report."]
    if found:
        model = f"{found['model']['name']} {found['model']['version']}"
        said += [warning["message"] for warning in found["warnings"] if "target" not in warning]
        said += [
            f"The masks were made automatically by {model}, and nobody has checked them: look at the picture first.",
            "Whether a size is normal depends on age, sex and body size, which nobody has asked for here.",
        ]
    return [*said, "These are measurements for research. This is not a medical device."]


def ml(measured: dict) -> str:
    """Three figures that count: more would be made up."""
    volume = measured["volume_ml"]
    return f"{volume:.{max(0, 2 - math.floor(math.log10(volume)))}f}" if volume else "0"


def listed(things: list[str], word: str = "and") -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} {word} {things[-1]}"


if __name__ == "__main__":
    sys.exit(main())
