"""Holds a transcript and a statement against a task. Every check is one row: passed or not, and why."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from agent_eval.tasks import Task, ways
from agent_eval.transcript import Call, Transcript

# How a sentence says that something cannot be had. Finding nothing ("no nodule was found") is an answer, not a limit.
LIMIT = re.compile(
    r"\b(cannot|can't|could not|couldn't|can not|unable|impossible|unavailable|unsupported|unknown|ambiguous|unclear|"
    r"no (?:class|match|name|entry|target|model|such|way)|"
    r"not (?:\w+ ){0,2}(?:available|supported|possible|known|offered|covered|taught|trained|measured|segmented|"
    r"measurable|included|provided|assessed|identify|recogni[sz]ed)|outside (?:of )?(?:what|the)|"
    r"(?:does|do|did) not (?:\w+ )?(?:have|know|offer|cover|include|support|segment)|doesn't|don't|isn't|"
    r"only (?:in|on|for)|(?:in|on|for) (?:ct|mri?|pet)(?: scans?)? only|left out|refused?|lacks?|never taught|"
    r"several (?:classes|meanings))\b",
    re.IGNORECASE,
)
UNIT = r"(?:mL|ml|ML|millilit(?:re|er)s?|cc|cm3|cm³|cm\^3)"
FIGURE = re.compile(rf"(?<![\w.])(\d+(?:,\d{{3}})*(?:[.,]\d+)?)\s*{UNIT}(?!\w)")
NAME_FAULTS = {"unknown_target", "ambiguous_target", "not_in_modality", "not_in_model"}
# Said figures are rounded: half a unit of their last digit, and a trifle for figures rounded twice.
DOUBLE_ROUNDING = 1.2


@dataclass
class Check:
    """One row of the score table."""

    kind: str
    what: str
    passed: bool
    reason: str = ""

    def row(self) -> dict:
        return asdict(self)


def score(task: Task, transcript: Transcript, statement: str) -> list[Check]:
    """All checks that a task has. Who does nothing does nothing wrong, but that earns no row."""
    calls, outcome = call_checks(task, transcript), outcome_checks(task, transcript, statement)
    if task.calls.must_ask and not transcript.masks():
        calls = [replace(row, passed=False, reason="had nothing segmented") for row in calls]
    if not statement.strip():
        outcome = [replace(row, passed=False, reason="said nothing") for row in outcome]
    return [*calls, *outcome]


def call_checks(task: Task, transcript: Transcript) -> list[Check]:
    wanted, asked = task.calls, transcript.asked()
    rows = [used_tools(task, transcript)]
    for item in wanted.must_ask:
        fine = any(way <= asked for way in ways(item))
        rows.append(Check("targets", f"asks for {item}", fine, "" if fine else f"asked for {listed(asked)}"))
    for name in wanted.must_not_ask:
        fine = name not in asked
        rows.append(Check("restraint", f"does not ask for {name}", fine, "" if fine else "asked for it"))
    if wanted.may_ask is not None:
        known = {name for item in wanted.must_ask for way in ways(item) for name in way} | set(wanted.may_ask)
        # A union is allowed as its pieces are: what counts is which voxels are asked for.
        masks = [mask for mask in transcript.masks() if not set(mask.get("composed_of") or [mask["name"]]) <= known]
        # What must not be asked has rows of its own.
        beside = {mask["name"] for mask in masks} - known - set(wanted.must_not_ask)
        reason = f"also asked for {listed(beside)}" if beside else ""
        rows.append(Check("restraint", "asks for nothing beside", not beside, reason))
    if wanted.no_invented:
        rows.append(no_invented(transcript))
    modality = wanted.modality or task.modality
    calls = transcript.of("segment")
    given = {call.answer["image"]["modality"] for call in calls if call.answer}
    given |= {call.arguments["modality"] for call in calls if call.arguments.get("modality")}
    wrong = {str(one).lower() for one in given} - {modality}
    rows.append(Check("modality", f"segments as {modality}", not wrong, f"called it {listed(wrong)}" if wrong else ""))
    if wanted.max_segment_calls is not None:
        rows.append(number_of_calls(wanted.max_segment_calls, transcript))
    if wanted.order:
        rows.append(order(wanted.order, transcript))
    for tool, arguments in wanted.arguments.items():
        rows.append(has_arguments(tool, arguments, transcript))
    return rows


def used_tools(task: Task, transcript: Transcript) -> Check:
    wrong = {call.tool for call in transcript.calls} - set(task.allowed_tools)
    return Check("tools", f"uses {', '.join(task.allowed_tools)}", not wrong, f"used {listed(wrong)}" if wrong else "")


def no_invented(transcript: Transcript) -> Check:
    """A refused name is no fault where the agent learns from it: asks again without it, or takes that for its answer."""
    what, before = "invents no class", set()
    for call in transcript.of("segment"):
        if call.arguments.get("allow_untrained"):
            return Check("invented", what, False, "had untrained phrases tried (allow_untrained)")
        if not call.refusal:
            continue
        # The same name may be right once the modality is.
        now = {(target, call.arguments.get("modality")) for target in refused(call)}
        if again := {target for target, _ in now & before}:
            return Check("invented", what, False, f"asked again for {listed(again)} after the server had refused it")
        before |= now
    # Good names beside a bad one were lost with the call, since nothing is computed when one target is bad.
    bad = [(set(targets_of(call)), refused(call)) for call in transcript.of("segment") if call.refusal]
    lost = any(names and targets - names for targets, names in bad)
    if lost and not any(call.answer for call in transcript.of("segment")):
        names = listed(target for target, _ in before)
        return Check("invented", what, False, f"gave up when {names} was refused, though there were good names beside")
    return Check("invented", what, True)


def targets_of(call: Call) -> list[str]:
    targets = call.arguments.get("targets")
    return [str(target) for target in targets] if isinstance(targets, list) else []


def refused(call: Call) -> set[str]:
    """The targets that a refusal is about."""
    fault, targets = call.refusal or {}, targets_of(call)
    if fault.get("code") not in NAME_FAULTS:
        return set()
    message = str(fault.get("message", ""))
    named = {target for target in targets if f'"{target}"' in message}
    named |= {one["target"] for one in fault.get("candidates", []) if one.get("target") in targets}
    # The message may quote a class instead of the phrase that means it. Where that leaves open which targets were good,
    # none is taken to have been.
    several = re.match(r"(\d+) targets", message)
    return named if len(named) >= (int(several[1]) if several else 1) else set(targets)


def number_of_calls(most: int, transcript: Transcript) -> Check:
    """Repeating a call is how a run is waited for, and costs nothing: equal calls count once."""
    different = {repr(sorted(call.arguments.items())) for call in transcript.of("segment")}
    fine = len(different) <= most
    return Check("number", f"at most {most} different segment calls", fine, "" if fine else f"made {len(different)}")


def order(tools: list[str], transcript: Transcript) -> Check:
    """Each tool is called, and their first calls come in this order."""
    made = [call.tool for call in transcript.calls]
    first = [made.index(tool) if tool in made else None for tool in tools]
    fine = None not in first and first == sorted(first)
    return Check(
        "order", " before ".join(tools), fine, "" if fine else f"called {', '.join(dict.fromkeys(made)) or 'nothing'}"
    )


def has_arguments(tool: str, wanted: dict, transcript: Transcript) -> Check:
    """Some accepted call of the tool has all these values. A file is meant by its name, however its path is written."""

    def same(value: object, given: object) -> bool:
        if isinstance(value, str) and value.endswith((".nii", ".nii.gz")):
            return isinstance(given, str) and given.rsplit("/", 1)[-1] == value
        return value == given

    accepted = [call.arguments for call in transcript.of(tool) if call.answer]
    fine = any(all(same(value, given.get(key)) for key, value in wanted.items()) for given in accepted)
    what = f"calls {tool} with {', '.join(f'{key} = {value}' for key, value in wanted.items())}"
    return Check("arguments", what, fine, "" if fine else "no accepted call has that")


def outcome_checks(task: Task, transcript: Transcript, statement: str) -> list[Check]:
    wanted, rows = task.outcome, []
    for name, (low, high) in wanted.volume_ml.items():
        rows.append(volume(name, low, high, transcript, statement))
    if wanted.figures_measured:
        rows.append(figures(task, transcript, statement))
    for patterns in wanted.statement_contains:
        choices = [patterns] if isinstance(patterns, str) else patterns
        fine = any(re.search(pattern, statement, re.IGNORECASE) for pattern in choices)
        rows.append(Check("says", " or ".join(choices), fine, "" if fine else "the statement does not say it"))
    for pattern in wanted.statement_lacks:
        match = re.search(pattern, statement, re.IGNORECASE)
        rows.append(Check("silent", f"does not say {pattern}", not match, f"says {match[0]!r}" if match else ""))
    for pattern in wanted.says_limit:
        fine = any(re.search(pattern, one, re.IGNORECASE) and LIMIT.search(one) for one in sentences(statement))
        reason = "" if fine else "no sentence names it and says that it cannot be had"
        rows.append(Check("limit", f"says that {pattern} cannot be had", fine, reason))
    return rows


def volume(name: str, low: float, high: float, transcript: Transcript, statement: str) -> Check:
    """The figure was measured, lies in the range, and is what the statement says."""
    what = f"{name} is {low:g} to {high:g} mL and said"
    measured = [one["volume_ml"] for one in transcript.measurements() if one["name"] == name]
    if not measured:
        return Check("volume", what, False, "never measured")
    if not low <= measured[-1] <= high:
        return Check("volume", what, False, f"measured {measured[-1]:g} mL")
    if not any(matches(said, measured[-1]) for said in FIGURE.findall(statement)):
        return Check("volume", what, False, f"measured {measured[-1]:g} mL, but the statement gives no such figure")
    return Check("volume", what, True)


def figures(task: Task, transcript: Transcript, statement: str) -> Check:
    """Every millilitre in the statement comes from a tool or from the report, or is a sum or difference of two that do."""
    known = list(volumes_in([call.answer for call in transcript.calls if call.answer]))
    known += [float(plain_number(said)) for said in FIGURE.findall(task.report)]
    derived = known + [abs(a + sign * b) for i, a in enumerate(known) for b in known[:i] for sign in (1, -1)]
    wrong = {said for said in FIGURE.findall(statement) if not any(matches(said, figure) for figure in derived)}
    reason = f"nobody measured {listed(wrong)} mL" if wrong else ""
    return Check("figures", "every volume said was measured", not wrong, reason)


def volumes_in(value: object) -> Iterator[float]:
    """All figures of an answer that are volumes."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (int, float)) and key.endswith("_ml"):
                yield abs(float(inner))
            else:
                yield from volumes_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from volumes_in(inner)


def matches(said: str, figure: float) -> bool:
    """Whether a figure as said is that figure, rounded to as many digits as were said."""
    plain = plain_number(said)
    digits = len(plain.partition(".")[2])
    return abs(float(plain) - figure) <= DOUBLE_ROUNDING * 0.5 * 10**-digits + 1e-9


def plain_number(said: str) -> str:
    """Three figures after a comma are thousands ("1,234"), fewer are decimals ("3,2")."""
    return re.sub(r",(?=\d{3}(?:\D|$))", "", said).replace(",", ".")


def sentences(statement: str) -> list[str]:
    """Sentences, items and rows. A decimal point ends no sentence, nor does a line that is only wrapped."""
    return re.split(r"(?<=[.!?;])\s+|\n(?=\s*(?:[-*|•\d]|[A-Z]|\n))", statement)


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
