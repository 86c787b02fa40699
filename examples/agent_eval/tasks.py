"""Reads tasks: YAML files that each hold a list. What the keys mean is in README.md; a key that is not there is refused."""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from agent_eval import standin

HERE = Path(__file__).resolve().parent
SHIPPED = str(HERE / "tasks" / "*.yaml")

MODALITIES = ("ct", "mri", "pet")
TOOLS = ("list_anatomy", "segment", "measure_volume")
# The words that a task's `topics` may have: what it tries an agent on.
TOPICS = set(
    "brain head-neck chest abdomen pelvis spine limbs heart whole-body lesion laterality level negation follow-up "
    "wrong-modality misspelling unsupported ambiguous latin plural list real".split()
)


class BadTask(ValueError):
    """A task file that cannot be used, with its place."""


@dataclass
class Calls:
    """What the agent's calls must be like."""

    must_ask: list[str] = field(default_factory=list)
    may_ask: list[str] | None = None
    must_not_ask: list[str] = field(default_factory=list)
    no_invented: bool = True
    modality: str | None = None
    max_segment_calls: int | None = None
    order: list[str] = field(default_factory=list)
    arguments: dict[str, dict] = field(default_factory=dict)


@dataclass
class Outcome:
    """What must have been measured and said."""

    volume_ml: dict[str, list[float]] = field(default_factory=dict)
    statement_contains: list[str | list[str]] = field(default_factory=list)
    statement_lacks: list[str] = field(default_factory=list)
    says_limit: list[str] = field(default_factory=list)
    figures_measured: bool = True


@dataclass
class Task:
    """One report with a scan, and what a good agent does with them."""

    id: str
    title: str
    report: str
    image: str
    modality: str
    topics: list[str]
    calls: Calls
    outcome: Outcome
    prior: str | None = None
    allowed_tools: list[str] = field(default_factory=lambda: list(TOOLS))


def load(pattern: str = SHIPPED) -> list[Task]:
    """All tasks of the files that the pattern names, in the order of the files' names."""
    anchor, relative = (Path("/"), pattern[1:]) if pattern.startswith("/") else (Path.cwd(), pattern)
    paths = sorted(anchor.glob(relative))
    if not paths:
        raise BadTask(f"{pattern}: no such task file; the shipped ones are {SHIPPED}")
    tasks = [task for path in paths for task in read(path)]
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise BadTask(f"two tasks are called {task.id!r}: rename one")
        seen.add(task.id)
    return tasks


def read(path: Path) -> list[Task]:
    """The tasks of one file."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadTask(f"{path}: {error}") from error
    if not isinstance(entries, list):
        raise BadTask(f"{path}: a task file is a list of tasks, each beginning with '- id:'")
    return [task_from(entry, f"{path}, task {number}") for number, entry in enumerate(entries, 1)]


def task_from(entry: dict, place: str) -> Task:
    """One entry of a file as a task, checked."""
    if isinstance(entry, dict) and "id" in entry:
        place = f"{place} ({entry['id']})"
    rest = known_keys(entry, Task, place, renamed={"checks"}, hidden={"calls", "outcome"})
    checks = rest.pop("checks", {})
    if not isinstance(checks, dict) or set(checks) - {"calls", "outcome"}:
        raise BadTask(f"{place}: checks has the keys 'calls' and 'outcome' and no others")
    calls = Calls(**known_keys(checks.get("calls", {}), Calls, f"{place}, calls"))
    outcome = Outcome(**known_keys(checks.get("outcome", {}), Outcome, f"{place}, outcome"))
    try:
        task = Task(**rest, calls=calls, outcome=outcome)
    except TypeError as error:  # Python names the keys that are missing
        raise BadTask(f"{place}: {error}") from error
    for fault in faults_of(task):
        raise BadTask(f"{place}: {fault}")
    return task


def known_keys(
    entry: dict, kind: type, place: str, renamed: Set[str] = frozenset(), hidden: Set[str] = frozenset()
) -> dict:
    """A copy of the entry, if it has no key that nobody would read."""
    known = {one.name for one in fields(kind)} - hidden | renamed
    if not isinstance(entry, dict):
        raise BadTask(f"{place}: expected keys such as {', '.join(sorted(known)[:3])}")
    if unknown := sorted(set(entry) - known):
        raise BadTask(f"{place}: nothing reads {', '.join(unknown)}; the keys are {', '.join(sorted(known))}")
    return dict(entry)


def faults_of(task: Task) -> Iterator[str]:
    """What is wrong with a task's values, in words."""
    for part in (task, task.calls, task.outcome):
        for one in fields(part):
            # What is annotated as a list or a mapping must be one: a bare word would be read letter by letter.
            kind = {"list": list, "dict": dict}.get(str(one.type).split("[")[0])
            value = getattr(part, one.name)
            if kind and not isinstance(value, kind) and not (value is None and "None" in str(one.type)):
                yield f"{one.name} is a {'list' if kind is list else 'mapping'}, not {value!r}"
                return
    if not re.fullmatch(r"[a-z0-9-]+", task.id):
        yield "an id is made of small letters, digits and hyphens, since it names a folder"
    if task.modality not in MODALITIES:
        yield f"modality is one of {', '.join(MODALITIES)}, not {task.modality!r}"
    for image in filter(None, (task.image, task.prior)):
        if image != standin.DEMO and not standin.IMAGE_NAME.fullmatch(image):
            yield f"image {image!r} is neither {standin.DEMO} nor a stand-in such as ct-abdomen or ct-chest-prior"
    if unknown := sorted(set(task.topics) - TOPICS):
        yield f"no topic is called {', '.join(unknown)}; there are {', '.join(sorted(TOPICS))}"
    named = [*task.allowed_tools, *task.calls.order, *task.calls.arguments]
    if unknown := sorted(set(named) - set(TOOLS)):
        yield f"no tool is called {', '.join(unknown)}; there are {', '.join(TOOLS)}"
    for pattern in patterns_of(task):
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{pattern!r} is no regular expression: {error}"
    if task.outcome.volume_ml and task.image != standin.DEMO:
        yield f"volume_ml means nothing on {task.image}, whose masks are a stand-in's: only {standin.DEMO} has real ones"
    if not (
        task.calls.must_ask or task.outcome.statement_contains or task.outcome.says_limit or task.outcome.volume_ml
    ):
        yield "an agent that does nothing would pass: add must_ask, volume_ml, statement_contains or says_limit"


def patterns_of(task: Task) -> Iterator[str]:
    for pattern in task.outcome.statement_contains:
        yield from [pattern] if isinstance(pattern, str) else pattern
    yield from task.outcome.statement_lacks
    yield from task.outcome.says_limit


def ways(item: str) -> list[set[str]]:
    """What satisfies an item of must_ask: "kidney | left kidney + right kidney" is either the one or both of the others."""
    return [{name.strip() for name in way.split(" + ")} for way in item.split(" | ")]


def names_in(task: Task) -> set[str]:
    """Every class that a task names."""
    names = {name for item in task.calls.must_ask for way in ways(item) for name in way}
    return names | set(task.calls.may_ask or []) | set(task.calls.must_not_ask) | set(task.outcome.volume_ml)
