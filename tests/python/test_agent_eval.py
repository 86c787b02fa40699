"""The evaluation of agents: its tasks, its proxy, its scoring, and one run from end to end."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CHECKOUT, program, runtime
from mcp import Client, StdioServerParameters

sys.path.insert(0, str(CHECKOUT / "examples"))
from agent_eval import checks, runner, standin, tasks, tokens, transcript  # noqa: E402
from agent_eval.checks import FIGURE, LIMIT, matches  # noqa: E402

EVALUATION = [sys.executable, str(CHECKOUT / "examples" / "agent_eval")]
RECORDED = CHECKOUT / "examples" / "agent_eval" / "transcripts"
AGENT = f"{sys.executable} {Path(__file__).with_name('scripted_agent.py')}"
TASKS = {task.id: task for task in tasks.load()}

# Tasks


def test_there_are_tasks_for_every_region_kind_of_scan_and_trap():
    assert len(TASKS) >= 60
    assert {task.modality for task in TASKS.values()} == set(tasks.MODALITIES)
    assert {topic for task in TASKS.values() for topic in task.topics} == tasks.TOPICS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_class_that_a_task_names_exists_in_its_kind_of_scan(task):
    if task.image == standin.DEMO:
        offered = set(re.findall(r'^name = "(.+)"', (standin.SHIPPED / "model.toml").read_text(), re.MULTILINE))
    else:
        offered = {name for name, modalities in standin.classes().items() if task.modality in modalities}
        assert task.image.startswith(task.modality), "a stand-in's name says what kind of scan it is"
    assert tasks.names_in(task) <= offered


def test_whoever_does_nothing_solves_nothing_and_earns_next_to_nothing():
    rows = {task.id: checks.score(task, transcript.Transcript(), "") for task in TASKS.values()}
    assert not [task_id for task_id, of_task in rows.items() if all(row.passed for row in of_task)]
    every = [row.passed for of_task in rows.values() for row in of_task]
    assert sum(every) < 0.05 * len(every)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "Two words"}, "small letters"),
        ({"modality": "xray"}, "ct, mri, pet"),
        ({"image": "abdomen"}, "neither demo-head nor a stand-in"),
        ({"colour": "red"}, "nothing reads colour"),
        ({"topics": ["feet"]}, "no topic is called feet"),
        ({"checks": {"calls": {"must_ask": "liver"}}}, "must_ask is a list"),
        ({"checks": {"calls": {"mustask": ["liver"]}}}, "nothing reads mustask"),
        ({"checks": {"calls": {"must_not_ask": ["liver"]}}}, "does nothing would pass"),
        ({"checks": {"outcome": {"statement_contains": ["("]}}}, "no regular expression"),
        ({"checks": {"outcome": {"volume_ml": {"liver": [1, 2]}}}}, "only demo-head has real ones"),
    ],
)
def test_a_bad_task_is_refused_with_its_place_and_its_fault(change, words):
    good = {"id": "a", "title": "t", "report": "The liver.", "image": "ct-abdomen", "modality": "ct", "topics": ["abdomen"],
            "checks": {"calls": {"must_ask": ["liver"]}}}  # fmt: skip
    assert tasks.task_from(good, "here").calls.must_ask == ["liver"]
    with pytest.raises(tasks.BadTask, match="here") as error:
        tasks.task_from(good | change, "here")
    assert words in str(error.value)


# Scoring


def failed(task_id: str, statement: str | None = None, said: transcript.Transcript | None = None) -> dict[str, str]:
    """The checks that a shipped transcript fails, with their reasons."""
    said = said or transcript.read(RECORDED / f"{task_id}.jsonl")
    if statement is None:
        statement = (RECORDED / f"{task_id}.statement.txt").read_text()
    rows = checks.score(TASKS[task_id], said, statement)
    return {f"{row.kind}: {row.what}": row.reason for row in rows if not row.passed}


def test_a_good_agents_transcript_passes_every_check():
    assert failed("head-hippocampi-compared") == {}


def test_an_agent_that_learns_from_a_refusal_passes_every_check():
    said = transcript.read(RECORDED / "pelvis-prostate-zone-on-ct.jsonl")
    assert said.calls[0].refusal["code"] == "not_in_modality"
    assert failed("pelvis-prostate-zone-on-ct") == {}


def test_a_bad_agents_transcript_fails_the_right_checks():
    assert failed("abdomen-renal-cyst") == {
        "targets: asks for left kidney cyst": "asked for right kidney cyst, spleen, tumor",
        "restraint: does not ask for right kidney cyst": "asked for it",
        "restraint: asks for nothing beside": "also asked for spleen, tumor",
        "invented: invents no class": "asked again for simple cyst of the left renal cortex after the server had refused it",
        "modality: segments as ct": "called it pet",
        "figures: every volume said was measured": "nobody measured 14.2 mL",
    }


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("5.4 mL and the right hippocampus 5.3 mL", "6.9 mL and the right hippocampus 4.5 mL", {"volume", "figures"}),
        # The other side's figure is nearly the same.
        ("5.4 mL", "6.9 mL", {"figures"}),
        ("5.4 mL", "about 5 mL", set()),
        ("No side is clearly smaller", "The left hippocampus is smaller", {"silent"}),
        ("the difference between the sides", "the difference of 0.06 mL", set()),
    ],
)
def test_a_changed_statement_fails_only_what_it_breaks(old, new, kinds):
    statement = (RECORDED / "head-hippocampi-compared.statement.txt").read_text()
    assert old in statement
    statement = statement.replace(old, new)
    assert {name.split(":")[0] for name in failed("head-hippocampi-compared", statement)} == kinds


def test_a_measurement_without_a_name_is_its_masks():
    mask = {"name": "liver", "measurement": {"volume_ml": 1500.0}}
    said = transcript.Transcript([transcript.Call("segment", {}, {"structuredContent": {"masks": [mask]}})])
    assert said.measurements() == [{"name": "liver", "volume_ml": 1500.0}]


def test_number_order_and_arguments_are_held_against_the_calls():
    said = transcript.read(RECORDED / "head-hippocampi-compared.jsonl")
    assert checks.order(["list_anatomy", "segment", "measure_volume"], said).passed
    assert not checks.order(["segment", "list_anatomy"], said).passed
    assert checks.has_arguments("segment", {"modality": "mri", "image": "scan.nii.gz"}, said).passed
    assert not checks.has_arguments("segment", {"detail": "full"}, said).passed
    assert checks.number_of_calls(1, said).passed and not checks.number_of_calls(0, said).passed
    narrow = replace(TASKS["head-hippocampi-compared"], allowed_tools=["segment"])
    assert checks.used_tools(narrow, said).reason == "used list_anatomy, measure_volume"


@pytest.mark.parametrize(
    ("sentence", "limit"),
    [
        ("The appendix cannot be had.", True),
        ("The transition zone is not available on CT.", True),
        ("SAT has no class for the tongue.", True),
        ("The uterus was taught in CT only.", True),
        ("No lung nodule was found.", False),
        ("The liver measures 1500 mL.", False),
    ],
)
def test_a_limit_is_told_from_a_finding(sentence, limit):
    assert bool(LIMIT.search(sentence)) == limit


def test_figures_are_read_as_people_write_them():
    assert FIGURE.findall("3.2 mL, 3,25 ml, 1,522.9 cc and 12 cm³; not 7 mm, not L5 mL") == [
        "3.2",
        "3,25",
        "1,522.9",
        "12",
    ]
    assert matches("3.2", 3.23) and matches("3,2", 3.23) and matches("1,523", 1522.93) and matches("3", 3.23)
    assert not matches("3.20", 3.23) and not matches("3.3", 3.23)


def test_a_transcript_is_scored_from_the_command_line():
    task_id = "abdomen-renal-cyst"
    recorded = [
        "--transcript",
        str(RECORDED / f"{task_id}.jsonl"),
        "--statement",
        str(RECORDED / f"{task_id}.statement.txt"),
    ]
    done = subprocess.run(
        [*EVALUATION, "score", "--task", task_id, *recorded], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "FAIL  modality   segments as ct  (called it pet)" in done.stdout and "2 of 8 checks passed" in done.stdout
    done = subprocess.run(
        [*EVALUATION, "score", "--task", "no-such", *recorded], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "no task is called 'no-such'" in done.stderr and "Traceback" not in done.stderr


# Tokens


def test_tokens_are_those_of_o200k_base():
    count, counted = tokens.counter()
    if counted == tokens.ESTIMATE:
        pytest.skip("bpe-openai has no wheel for this machine")
    assert count("hello world") == 2 and count("antidisestablishmentarianism") == 6
    said = transcript.read(RECORDED / "head-hippocampi-compared.jsonl")
    assert [tool["name"] for tool in said.tools] == list(tasks.TOOLS) and "list_anatomy" in said.instructions
    shown, whole = tokens.of_tools(count, said.tools).values()
    assert 500 < shown < whole


# The proxy


def through_proxy(record: Path, command: list[str]) -> list[str]:
    return [*EVALUATION, "proxy", "--record", str(record), "--", *command]


@pytest.mark.anyio
async def test_a_client_sees_through_the_proxy_what_it_sees_without(environment, scans, tmp_path):
    server = [str(program()), "serve", "--data-root", str(scans)]
    record = tmp_path / "record.jsonl"
    seen = []
    for command in (server, through_proxy(record, server)):
        heard = []

        async def progress(done, total, message, heard=heard):
            heard.append(message)

        parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
        async with Client(parameters) as client:
            listed = await client.list_tools()
            request = {"image": "head.nii.gz", "modality": "mri", "targets": ["left pallidum"]}
            found = (await client.call_tool("segment", request, progress_callback=progress)).structured_content
            refused = await client.call_tool("segment", {**request, "targets": ["no such thing"]})
            mask = (await client.read_resource(found["masks"][0]["files"][0]["uri"])).contents[0].blob
            found.pop("execution")
            seen.append((listed.tools, found, refused.content, refused.meta["sat-mcp/error"], mask))
    assert seen[0] == seen[1]
    said = transcript.read(record)
    assert [call.tool for call in said.calls] == ["segment", "segment"]
    assert said.asked() == {"left pallidum"} and said.calls[1].refusal["code"] == "unknown_target"


ECHO = "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.buffer.flush()"


def test_lines_pass_byte_for_byte_and_the_end_of_the_agent_ends_the_server(tmp_path):
    record = tmp_path / "record.jsonl"
    lines = b'{"jsonrpc": "2.0",  "id":1}\r\n{no json\n\xff\xfe\n[1,2]\nno newline at the end'
    command = through_proxy(record, [sys.executable, "-c", ECHO])
    done = subprocess.run(command, input=lines, capture_output=True, timeout=30, check=False)
    assert done.stdout == lines and done.returncode == 0
    directions = [json.loads(line)["direction"] for line in record.read_text().splitlines()]
    assert directions.count("to_server") == directions.count("to_agent") == 5


def test_the_end_of_the_server_ends_the_proxy_though_the_agent_stays(tmp_path):
    command = through_proxy(tmp_path / "record.jsonl", [sys.executable, "-c", "print('bye'); raise SystemExit(3)"])
    agent_end, proxy_end = os.pipe()
    done = subprocess.run(command, stdin=agent_end, capture_output=True, timeout=30, check=False)
    os.close(proxy_end)
    os.close(agent_end)
    assert done.stdout == b"bye\n" and done.returncode == 3


def test_a_server_that_is_not_there_is_said(tmp_path):
    command = through_proxy(tmp_path / "record.jsonl", [str(tmp_path / "nothing")])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "nothing" in done.stderr and "Traceback" not in done.stderr


# The runner


def play(tmp_path: Path, agent: str, *task_ids: str, reader: Path | None = None) -> tuple[dict, str]:
    """Runs an agent on tasks; returns scores.json and scores.md."""
    options = ["--agent", agent, "--out", str(tmp_path), "--program", str(reader or program()), "--limit", "60"]
    only = [word for task_id in task_ids for word in ("--only", task_id)]
    where = {**os.environ, "ORT_DYLIB_PATH": runtime()}
    command = [*EVALUATION, "run", *options, *only]
    done = subprocess.run(command, env=where, capture_output=True, text=True, check=False)
    assert (tmp_path / "scores.json").exists(), done.stderr
    return json.loads((tmp_path / "scores.json").read_text()), (tmp_path / "scores.md").read_text()


def test_an_agent_is_played_on_three_tasks_and_scored(tmp_path):
    where = {"image": "IMAGE", "modality": "mri"}
    script = tmp_path / "script.json"
    # The same script on all three: right for the head, and for the others as wrong as can be foreseen.
    script.write_text(json.dumps({
        "calls": [["segment", {**where, "targets": ["left caudate nucleus", "L putamen"]}]],
        "says": "Left caudate nucleus {left caudate nucleus} mL, left putamen {left putamen} mL.",
    }))  # fmt: skip
    ids = ["head-abbreviations", "brain-left-gyri", "pet-no-nodes"]
    scores, markdown = play(tmp_path, f"{AGENT} {script}", *ids)
    by_id = {task["id"]: task for task in scores["tasks"]}
    assert by_id["head-abbreviations"]["solved"], by_id["head-abbreviations"]["rows"]
    assert scores["overall"]["solved"] == 1 and scores["overall"]["tasks"] == 3
    wrong = {row["kind"] for row in by_id["pet-no-nodes"]["rows"] if not row["passed"]}
    # Under PET's scan, called MR by this agent, the names are found all the same.
    assert wrong == {"targets", "modality"}
    assert [row["passed"] for row in by_id["brain-left-gyri"]["rows"] if row["kind"] == "targets"] == [False] * 3
    assert scores["kinds"]["finished"] == {"checks": 3, "passed": 3} and scores["groups"]["pet"]["solved"] == 0
    assert by_id["head-abbreviations"]["tokens"]["text"] > 100
    costs = {reply["what"]: reply for reply in scores["costs"]["replies"]}
    assert costs["segment, 12 names"]["text"] > costs["segment, 1 name"]["text"] > 0
    assert (
        costs["segment, refused: 2 bad names"]["structured"] == 0 and scores["costs"]["start"]["tools"]["shown"] > 500
    )
    for task_id in ids:
        assert f"| {task_id} |" in markdown
        assert "12345" not in (tmp_path / "tasks" / task_id / "statement.txt").read_text()


def test_the_agent_without_a_language_model_asks_again_without_what_was_refused(tmp_path):
    # Reading reports is tested where it is written: here the program only says what was read.
    targets = ["prostate", "transition zone", "bladder"]
    found = {"targets": targets, "mentions": [{"text": target, "target": target} for target in targets]}
    reader = tmp_path / "sat-mcp"
    reader.write_text(f"#!/bin/sh\n[ $1 = targets ] && echo '{json.dumps(found)}' && exit\nexec {program()} \"$@\"\n")
    reader.chmod(0o755)
    scores, _ = play(tmp_path, "no-key", "pelvis-prostate-zone-on-ct", reader=reader)
    assert scores["overall"]["solved"] == 1, scores["tasks"]
    statement = (tmp_path / "tasks" / "pelvis-prostate-zone-on-ct" / "statement.txt").read_text()
    assert "The prostate measures" in statement and "transition zone cannot be measured" in statement


def test_half_a_line_of_a_stopped_proxy_is_no_fault_but_a_file_of_other_lines_is(tmp_path):
    record = tmp_path / "record.jsonl"
    whole = (RECORDED / "abdomen-renal-cyst.jsonl").read_text()
    record.write_text(whole + whole[:100])
    assert len(transcript.read(record).calls) == 4
    record.write_text("something else\n")
    with pytest.raises(ValueError, match="line 1: not a line of the proxy's record"):
        transcript.read(record)


def test_an_agent_that_fails_or_hangs_is_scored_as_such(tmp_path):
    scores, _ = play(tmp_path, f"{sys.executable} -c 'raise SystemExit(5)'", "head-latin")
    first = scores["tasks"][0]["rows"][0]
    assert first["kind"] == "finished" and "status 5" in first["reason"]
    setting = runner.Setting(program(), runtime(), tmp_path, f"{sys.executable} -c 'import time; time.sleep(60)'", 0.5)
    played = runner.play(TASKS["spine-one-level"], setting)
    assert played.rows[0].reason == "was still at work and was stopped" and played.seconds < 10


def test_a_server_that_cannot_work_is_not_scored_as_an_agent_that_cannot(tmp_path):
    broken = tmp_path / "sat-mcp"
    broken.write_text("#!/bin/sh\necho no engine here >&2\nexit 1\n")
    broken.chmod(0o755)
    command = [*EVALUATION, "run", "--agent", "true", "--out", str(tmp_path / "out"), "--program", str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no engine here" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "scores.json").exists()


def test_placeholders_are_filled_in_one_argument_each():
    places = {"report": "/a b/report.txt", "prompt_text": 'He said "x" {y}'}
    command = [
        runner.fill(word, places) for word in runner.shlex.split('agent {report} -p "{prompt_text}" --json {"a":1}')
    ]
    assert command == ["agent", "/a b/report.txt", "-p", 'He said "x" {y}', "--json", "{a:1}"]


def test_the_stand_in_model_offers_every_class_in_the_modalities_it_was_taught_in(tmp_path, environment):
    standin.prepare_models(tmp_path)
    where = {**environment, "SAT_MCP_MODELS": str(tmp_path), "SAT_MCP_MODEL": standin.STAND_IN_MODEL}
    for modality in tasks.MODALITIES:
        command = [str(program()), "anatomy", "--modality", modality, "--json"]
        done = subprocess.run(command, env=where, capture_output=True, text=True, check=True)
        items = json.loads(done.stdout)["items"]
        offered = {item["name"] for item in items if item["available"]}
        taught = {name for name, modalities in standin.classes().items() if modality in modalities}
        assert taught & {item["name"] for item in items} <= offered and offered
