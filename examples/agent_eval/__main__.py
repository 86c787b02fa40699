"""The command line: run, score, list, proxy, and the built-in agent without a language model."""

import argparse
import os
import shutil
import sys
from pathlib import Path

# Also as `python examples/agent_eval`, from anywhere.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from agent_eval import checks, costs, runner, standin, table, tasks, tokens, transcript  # noqa: E402
from agent_eval.tasks import BadTask  # noqa: E402

DEFAULT_OUT = standin.CHECKOUT / "target" / "agent-eval"


def main() -> int:
    # These two take command lines of their own.
    if sys.argv[1:2] == ["proxy"]:
        from agent_eval import proxy

        return proxy.main(sys.argv[2:])
    if sys.argv[1:2] == ["no-key"]:
        from agent_eval import no_key

        return no_key.main()
    options = arguments()
    try:
        return options.command(options)
    except (BadTask, ValueError, FileNotFoundError, RuntimeError) as error:
        print(f"agent_eval: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    chosen = [task for task in tasks.load(options.tasks) if not options.only or task.id in options.only]
    if not chosen:
        raise BadTask(f"no task is called {', '.join(options.only)}: `list` has their names")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    agent = runner.NO_KEY if options.agent == "no-key" else options.agent
    setting = runner.Setting(program(options.program), os.environ.get("ORT_DYLIB_PATH"), out, agent, options.limit)
    played = runner.play_all(chosen, setting, options.jobs)
    count, counted = tokens.counter()
    measured = costs.measure(setting, count) if options.costs else None
    scores = table.of_run(options.agent, played, count, counted, measured)
    table.write(scores, out)
    print(f"{options.agent}: {table.line(scores)}\n{out / 'scores.md'}")
    # A low score is a result; an agent that never got through one task is a command that does not work.
    if not any(one.rows[0].passed for one in played):
        print(f"agent_eval: the agent came to an end in no task: {played[0].rows[0].reason}", file=sys.stderr)
        return 1
    return 0


def score(options: argparse.Namespace) -> int:
    """A recorded transcript, with no agent and no server."""
    task = next((task for task in tasks.load(options.tasks) if task.id == options.task), None)
    if task is None:
        raise BadTask(f"no task is called {options.task!r}: `list` has their names")
    if not options.transcript.exists():
        raise FileNotFoundError(f"{options.transcript}: no such transcript")
    statement = runner.statement_of(options.statement.read_text(encoding="utf-8"))
    rows = checks.score(task, transcript.read(options.transcript), statement)
    for row in rows:
        print(
            f"{'pass' if row.passed else 'FAIL'}  {row.kind:9}  {row.what}{f'  ({row.reason})' if row.reason else ''}"
        )
    passed = sum(row.passed for row in rows)
    print(f"{task.id}: {passed} of {len(rows)} checks passed")
    return 0 if passed == len(rows) else 1


def show(options: argparse.Namespace) -> int:
    for task in tasks.load(options.tasks):
        print(f"{task.id:34} {task.modality:4} {task.image:18} {task.title}  [{' '.join(task.topics)}]")
    return 0


def program(given: Path | None) -> Path:
    """The one named, else the newest built in this checkout, else the one installed."""
    if given:
        return given.resolve()
    target = Path(os.environ.get("CARGO_TARGET_DIR", standin.CHECKOUT / "target"))
    built = [path for path in (target / "release" / "sat-mcp", target / "debug" / "sat-mcp") if path.exists()]
    found = max(built, key=lambda path: path.stat().st_mtime, default=shutil.which("sat-mcp"))
    if not found:
        raise FileNotFoundError("sat-mcp is neither built nor installed: run `make build`, or name it with --program")
    return Path(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="agent_eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="run | score | list | proxy | no-key")
    every = {"default": tasks.SHIPPED, "metavar": "GLOB", "help": "task files [default: the shipped ones]"}
    jobs, built = min(4, os.cpu_count() or 1), os.environ.get("SAT_MCP_PROGRAM")

    one = commands.add_parser("run", help="play an agent on tasks and write the score table")
    one.add_argument(
        "--agent", default="no-key", metavar="COMMAND", help="its command line, see README.md [default: no-key]"
    )
    one.add_argument("--tasks", **every)
    one.add_argument("--only", action="append", default=[], metavar="ID", help="play this task only; may be repeated")
    one.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where the table and the records go")
    one.add_argument("--program", type=Path, default=built, help="sat-mcp [default: as built or installed]")
    one.add_argument("--limit", type=float, default=300, metavar="S", help="seconds for a task [default: 300]")
    one.add_argument("--jobs", type=int, default=jobs, help=f"tasks played at a time [default: {jobs}]")
    one.add_argument(
        "--no-costs", dest="costs", action="store_false", help="do not measure the tokens of typical replies"
    )
    one.set_defaults(command=run)

    one = commands.add_parser("score", help="score a recorded transcript")
    one.add_argument("--transcript", type=Path, required=True, help="what the proxy recorded")
    one.add_argument("--statement", type=Path, required=True, help="the agent's final words")
    one.add_argument("--task", required=True, metavar="ID")
    one.add_argument("--tasks", **every)
    one.set_defaults(command=score)

    one = commands.add_parser("list", help="the tasks, one a line")
    one.add_argument("--tasks", **every)
    one.set_defaults(command=show)
    commands.add_parser("proxy", help="record what passes between an agent and a server: --record FILE -- COMMAND")
    commands.add_parser("no-key", help="the agent without a language model, in the environment of a task")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
