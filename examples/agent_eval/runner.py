"""Plays an agent on tasks: for each a folder with report and scan, a server behind the proxy, the agent, the score."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agent_eval import checks, standin, transcript
from agent_eval.tasks import HERE, Task

NO_KEY = f"{shlex.quote(sys.executable)} {shlex.quote(str(HERE))} no-key"
BEGIN, END = "BEGIN STATEMENT", "END STATEMENT"

PROMPT = """\
You are given a radiology report and the scan it was written about. With the tools of the MCP server sat-mcp, have every
structure and abnormality that the report describes as present in this scan found and measured: those and no others. Not
what the report denies, says was removed, or mentions only as history. Then write a short statement: the volume of each in
mL as measured, what bears on the figures (the tools' warnings), and, naming it, whatever cannot be had and why. Change
no figure and invent none. Name everything as the report does.

Scan: {image}
Modality: {modality}
{prior}Report:
{report}
"""


@dataclass
class Setting:
    """What all tasks of a run share."""

    program: Path
    runtime: str | None
    out: Path
    agent: str
    limit_s: float

    def options(self, image: str) -> list[str]:
        """Options of sat-mcp for an image. All stand in the command line, since hosts pass on few variables."""
        runtime = ["--ort-lib", self.runtime] if self.runtime else []
        models = ["--models", str(self.out / "models"), "--model", standin.model_of(image)]
        return [*models, "--results", str(self.out / "results"), *runtime]

    def server(self, image: str, folder: Path) -> list[str]:
        """The real server for an image."""
        return [str(self.program), "serve", "--data-root", str(folder), *self.options(image)]


@dataclass
class Played:
    """A task as it went."""

    task: Task
    rows: list[checks.Check]
    transcript: transcript.Transcript
    seconds: float


def play_all(tasks: list[Task], setting: Setting, jobs: int) -> list[Played]:
    """All tasks, `jobs` at a time."""
    standin.prepare_models(setting.out / "models")
    try_out(setting)
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda task: play(task, setting), tasks))


def try_out(setting: Setting) -> None:
    """One segmentation with no agent, so that a server that cannot work is not scored as an agent that cannot."""
    scan = setting.out / "trial.nii.gz"
    standin.write_scan("ct-trial", scan)
    command = [str(setting.program), "segment", "--image", str(scan), "--modality", "ct", "--target", "liver"]
    done = subprocess.run([*command, *setting.options("ct-trial")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{setting.program} cannot segment here, so no agent could: {done.stderr.strip()}")


def play(task: Task, setting: Setting) -> Played:
    """One task: its folder OUT/tasks/ID keeps the report, the transcript, the statement and the agent's log."""
    folder = setting.out / "tasks" / task.id
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    record = folder / "transcript.jsonl"
    record.unlink(missing_ok=True)
    places = lay_out(task, setting, folder, scans, record)
    started = time.monotonic()
    fault = run_agent(setting, places, folder)
    seconds = time.monotonic() - started
    said = transcript.read(record)
    statement = statement_of((folder / "stdout.txt").read_text(encoding="utf-8", errors="replace"))
    (folder / "statement.txt").write_text(statement, encoding="utf-8")
    ended = checks.Check("finished", f"the agent ends well within {setting.limit_s:g} s", not fault, fault)
    return Played(task, [ended, *checks.score(task, said, statement)], said, seconds)


def lay_out(task: Task, setting: Setting, folder: Path, scans: Path, record: Path) -> dict[str, str]:
    """Writes what the agent is given; returns the values of the placeholders."""
    # The file's name must not tell what is in it.
    image, prior = scans / "scan.nii.gz", scans / "prior.nii.gz"
    standin.write_scan(task.image, image)
    if task.prior:
        standin.write_scan(task.prior, prior)
    report = folder / "report.txt"
    report.write_text(task.report.strip() + "\n", encoding="utf-8")
    prior_line = f"Prior scan, to compare with: {prior}\n" if task.prior else ""
    text = PROMPT.format(image=image, modality=task.modality, prior=prior_line, report=task.report.strip())
    prompt = folder / "prompt.txt"
    prompt.write_text(text, encoding="utf-8")
    server = [sys.executable, str(HERE / "proxy.py"), "--record", str(record), "--", *setting.server(task.image, scans)]
    config = folder / "mcp.json"
    servers = {"sat": {"command": server[0], "args": server[1:]}}
    config.write_text(json.dumps({"mcpServers": servers}, indent=2), encoding="utf-8")
    return {
        "report": str(report),
        "image": str(image),
        "modality": task.modality,
        "prior": str(prior) if task.prior else "",
        "prompt": str(prompt),
        "prompt_text": text,
        "config": str(config),
        "server": shlex.join(server),
        "program": str(setting.program),
        "models": str(setting.out / "models"),
        "model": standin.model_of(task.image),
    }


def run_agent(setting: Setting, places: dict[str, str], folder: Path) -> str:
    """Runs the agent's command; returns what was wrong with its end, or nothing."""
    # Split before anything is filled in, so that a report's quotes and spaces stay within their argument.
    command = [fill(word, places) for word in shlex.split(setting.agent)]
    variables = {f"SAT_EVAL_{key.upper()}": value for key, value in places.items()}
    environment = {**os.environ, **variables, "SAT_MCP_SERVER": places["server"]}
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as log:
        try:
            agent = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            return f"did not start: {error}"
        try:
            status = agent.wait(setting.limit_s)
        except subprocess.TimeoutExpired:
            # With all that it started; the server ends by itself when nobody is left to talk to.
            os.killpg(agent.pid, signal.SIGKILL)
            agent.wait()
            return "was still at work and was stopped"
    return "" if status == 0 else f"ended with status {status}: see {folder / 'stderr.txt'}"


def fill(word: str, places: dict[str, str]) -> str:
    """The word with its placeholders filled in; other braces are the agent's own."""
    return re.sub(r"\{(\w+)\}", lambda match: places.get(match[1], match[0]), word)


def statement_of(stdout: str) -> str:
    """What stands between the marker lines, or all of it where there are none."""
    marked = re.search(rf"^{BEGIN}$\n(.*?)^{END}$", stdout, re.DOTALL | re.MULTILINE)
    return (marked[1] if marked else stdout).strip() + "\n"
