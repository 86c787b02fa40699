"""The score table: JSON for programs, Markdown for people, with the same figures."""

import json
from collections.abc import Callable
from pathlib import Path

from agent_eval import tokens
from agent_eval.checks import Check
from agent_eval.runner import Played

# What each kind of check is about, in the order of the table.
KINDS = {
    "finished": "the agent ends well, in time",
    "tools": "only allowed tools",
    "targets": "asks for what the report names",
    "restraint": "asks for nothing else",
    "invented": "invents no class",
    "modality": "the right kind of scan",
    "number": "not too many calls",
    "order": "calls in a sensible order",
    "arguments": "the right arguments",
    "volume": "volumes within their range, and said",
    "figures": "every figure said was measured",
    "says": "says what matters",
    "silent": "does not say what is wrong",
    "limit": "says what cannot be had",
}


def of_run(agent: str, played: list[Played], count: Callable[[str], int], counted: str, costs: dict | None) -> dict:
    """All figures of a run."""
    rows = [row for one in played for row in one.rows]
    groups = sorted({topic for one in played for topic in one.task.topics} | {one.task.modality for one in played})
    return {
        "agent": agent,
        "overall": summary(played),
        "kinds": {kind: part for kind in KINDS if (part := share([row for row in rows if row.kind == kind]))["checks"]},
        "groups": {
            group: summary([one for one in played if group in {*one.task.topics, one.task.modality}])
            for group in groups
        },
        "tasks": [
            {
                "id": one.task.id,
                "title": one.task.title,
                "solved": all(row.passed for row in one.rows),
                **share(one.rows),
                "seconds": round(one.seconds, 1),
                "calls": len(one.transcript.calls),
                "tokens": tokens.of_transcript(count, one.transcript),
                "rows": [row.row() for row in one.rows],
            }
            for one in played
        ],
        "tokens_counted_as": counted,
        "costs": costs,
    }


def summary(played: list[Played]) -> dict:
    solved = sum(all(row.passed for row in one.rows) for one in played)
    return {"tasks": len(played), "solved": solved, **share([row for one in played for row in one.rows])}


def share(rows: list[Check]) -> dict:
    return {"checks": len(rows), "passed": sum(row.passed for row in rows)}


def line(scores: dict) -> str:
    """The score in one line."""
    o = scores["overall"]
    return f"{o['solved']} of {o['tasks']} tasks solved, {o['passed']} of {o['checks']} checks passed ({percent(o)})"


def percent(part: dict) -> str:
    return f"{100 * part['passed'] / part['checks']:.0f} %" if part["checks"] else "–"


def write(scores: dict, folder: Path) -> None:
    """scores.json and scores.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(scores, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "scores.md").write_text(markdown(scores), encoding="utf-8")


def markdown(scores: dict) -> str:
    parts = [f"# Score of `{scores['agent']}`\n\n{line(scores)}. A task is solved when all its checks pass.\n"]
    kinds = [
        [kind, KINDS[kind], f"{one['passed']} / {one['checks']}", percent(one)] for kind, one in scores["kinds"].items()
    ]
    parts.append(grid(["check", "what", "passed", "%"], kinds))
    groups = [
        [name, f"{one['solved']} / {one['tasks']}", f"{one['passed']} / {one['checks']}", percent(one)]
        for name, one in scores["groups"].items()
    ]
    parts.append(grid(["group", "tasks solved", "checks passed", "%"], groups))
    tasks = [
        [
            one["id"],
            "yes" if one["solved"] else "no",
            f"{one['passed']} / {one['checks']}",
            one["seconds"],
            one["calls"],
            one["tokens"]["text"],
            one["tokens"]["structured"],
            "; ".join(f"{row['kind']}: {row['what']} – {row['reason']}" for row in one["rows"] if not row["passed"]),
        ]
        for one in scores["tasks"]
    ]
    parts.append(
        grid(["task", "solved", "checks", "s", "calls", "tokens, text", "tokens, structured", "what failed"], tasks)
    )
    parts.append(costs_markdown(scores))
    return "\n".join(parts)


def costs_markdown(scores: dict) -> str:
    told = f"## Tokens\n\nCounted as {scores['tokens_counted_as']}. Hosts differ in which form of an answer a model reads.\n"
    if not scores["costs"]:
        return told
    start, replies = scores["costs"]["start"], scores["costs"]["replies"]
    rows = [
        ["instructions", start["instructions"], ""],
        ["tool list", start["tools"]["shown"], start["tools"]["whole"]],
    ]
    rows += [[f"– {tool}", one["shown"], one["whole"]] for tool, one in start["by_tool"].items()]
    return "\n".join([
        told,
        grid(["at the start", "name, description, input schema", "with output schema and annotations"], rows),
        grid(["reply", "text", "links", "structured"], [list(one.values()) for one in replies]),
    ])  # fmt: skip


def grid(head: list[str], rows: list[list]) -> str:
    lines = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in [head, *rows]]
    lines.insert(1, ["---"] * len(head))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
