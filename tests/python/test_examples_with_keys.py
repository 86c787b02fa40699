"""The examples with Claude and GPT from end to end, but for the language model: the SDK's loop, the server, the scan.

A local HTTP server plays the two companies' APIs. Its "model" follows a script: it asks for a structure that cannot be
had, learns from the refusal, asks for the prompt's candidates, and quotes the volumes that came back.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import CHECKOUT, program

EXAMPLES, SAT_MCP = CHECKOUT / "examples", program()
RIGHT_KEY, WRONG_KEY = "sk-right-0123456789", "sk-wrong-0123456789"
# What the model does next: call a tool with arguments, or say its last words.
Step = tuple[str, dict] | str


@dataclass
class Talk:
    """What a request tells of the conversation so far."""

    instructions: str
    prompt: str
    tools: list[str]
    answers: list[str]

    def segment(self, targets: list[str]) -> Step:
        image, modality = re.search(r'^Scan: "(.+)", modality (\w+)\.$', self.prompt, re.MULTILINE).groups()
        return "segment", {"image": image, "modality": modality, "targets": targets}


def learns(talk: Talk) -> Step:
    if not talk.answers:
        return talk.segment(["liver"])
    if len(talk.answers) == 1:
        return talk.segment(json.loads(re.search(r"^Candidates.+: (\[.+\])$", talk.prompt, re.MULTILINE)[1]))
    found = re.findall(r"^- (?:\".+\" = )?(.+?): ([\d.]+) mL", talk.answers[-1], re.MULTILINE)
    return " ".join(f"The {name} measures {volume} mL." for name, volume in found)


def never_ends(talk: Talk) -> Step:
    return "list_anatomy", {"query": f"structure {len(talk.answers)}"}


class Anthropic:
    """The Messages API."""

    example, path, key, base = "claude_report.py", "/v1/messages", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"
    suffix = ""

    @staticmethod
    def talk(request: dict) -> Talk:
        blocks = [block for message in request["messages"] for block in message["content"] if isinstance(block, dict)]
        answers = [block["content"] for block in blocks if block["type"] == "tool_result"]
        texts = ["".join(part.get("text", "") for part in answer) for answer in answers]
        tools = [tool["name"] for tool in request["tools"]]
        return Talk(request["system"], request["messages"][0]["content"][0]["text"], tools, texts)

    @staticmethod
    def reply(step: Step, number: int) -> dict:
        if isinstance(step, str):
            content, reason = {"type": "text", "text": step}, "end_turn"
        else:
            content, reason = (
                {"type": "tool_use", "id": f"call_{number}", "name": step[0], "input": step[1]},
                "tool_use",
            )
        usage = {"input_tokens": 1, "output_tokens": 1}
        return {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "scripted", "content": [content],
                "stop_reason": reason, "stop_sequence": None, "usage": usage}  # fmt: skip


class OpenAI:
    """The Responses API."""

    example, path, key, base = "openai_report.py", "/v1/responses", "OPENAI_API_KEY", "OPENAI_BASE_URL"
    suffix = "/v1"

    @staticmethod
    def talk(request: dict) -> Talk:
        outputs = [item["output"] for item in request["input"] if item.get("type") == "function_call_output"]
        texts = [out if isinstance(out, str) else "".join(part.get("text", "") for part in out) for out in outputs]
        tools = [tool["name"] for tool in request["tools"]]
        return Talk(request["instructions"], request["input"][0]["content"], tools, texts)

    @staticmethod
    def reply(step: Step, number: int) -> dict:
        if isinstance(step, str):
            text = {"type": "output_text", "text": step, "annotations": []}
            output = {
                "type": "message",
                "id": f"msg_{number}",
                "role": "assistant",
                "status": "completed",
                "content": [text],
            }
        else:
            output = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed",
                      "name": step[0], "arguments": json.dumps(step[1])}  # fmt: skip
        usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}  # fmt: skip
        return {"id": f"resp_{number}", "object": "response", "created_at": 0, "status": "completed", "model": "scripted",
                "output": [output], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage}  # fmt: skip


@dataclass
class Stage:
    """The API as it is played in one test, and all that was sent to it."""

    api: type[Anthropic] | type[OpenAI]
    script: Callable[[Talk], Step] = learns
    port: int = 0
    sent: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, path: str, credentials: str, body: str) -> tuple[int, dict]:
        self.sent.append((path, body))
        if "no such model" in body:
            return 404, {"error": {"type": "not_found_error", "message": f"No such model for {credentials}"}}
        if RIGHT_KEY not in credentials:
            # Refusals repeat what they refuse.
            return 401, {"error": {"type": "authentication_error", "message": f"Incorrect API key: {credentials}"}}
        return 200, self.api.reply(self.script(self.api.talk(json.loads(body))), len(self.sent))

    def talks(self) -> list[Talk]:
        return [self.api.talk(json.loads(body)) for _, body in self.sent]


@pytest.fixture(params=[Anthropic, OpenAI], ids=["claude", "gpt"])
def stage(request) -> Iterator[Stage]:
    stage = Stage(request.param)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            credentials = self.headers.get("x-api-key") or self.headers.get("authorization") or ""
            status, answer = stage.answer(self.path.partition("?")[0], credentials, body)
            words = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stage.port = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
        yield stage
        server.shutdown()


@pytest.fixture
def play(stage, doubted) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, key: str | None = RIGHT_KEY, sat_mcp: Path = SAT_MCP) -> subprocess.CompletedProcess[str]:
        api = stage.api
        # The tester's own keys and settings stay out of it.
        where = {name: value for name, value in doubted.items() if not name.startswith(("ANTHROPIC_", "OPENAI_"))}
        where |= {api.base: f"http://127.0.0.1:{stage.port}{api.suffix}", "NO_PROXY": "127.0.0.1"}
        where |= {api.key: key} if key else {}
        command = [sys.executable, str(EXAMPLES / api.example), "--program", str(sat_mcp), *arguments]
        done = subprocess.run(command, env=where, capture_output=True, encoding="utf-8", timeout=300, check=False)
        said = done.stdout + done.stderr
        assert "Traceback" not in said and RIGHT_KEY not in said and WRONG_KEY not in said, said
        return done

    return run


def test_a_report_becomes_a_statement_with_the_servers_volumes(stage, play):
    done = play()
    assert done.returncode == 0, done.stderr
    first, refused, found = stage.talks()
    assert first.tools == ["list_anatomy", "segment", "measure_volume"]
    assert "not a medical device" in first.instructions and "The corpus callosum is thin." in first.prompt
    assert 'does not have "liver"' in refused.answers[0]
    left, right = re.findall(r"^- (?:left|right) hippocampus: ([\d.]+) mL", found.answers[1], re.MULTILINE)
    assert "do not rely on this mask" in found.answers[1]
    # What the model said, then where the picture is.
    assert f"The left hippocampus measures {left} mL. The right hippocampus measures {right} mL." in done.stdout
    picture = Path(re.search(r"^Picture, .+: (.+)$", done.stdout, re.MULTILINE)[1])
    assert picture.read_bytes().startswith(b"\x89PNG")
    calls = [line for line in done.stderr.splitlines() if line.startswith("segment ")]
    assert len(calls) == 2 and '"liver"' in calls[0] and '"left hippocampus"' in calls[1]


def test_only_the_conversation_is_sent(stage, play):
    play("--report", "The left thalamus is small.")
    assert {path for path, _ in stage.sent} == {stage.api.path}
    # The first letters of every PNG in base64.
    assert not any("iVBORw0KGgo" in body for _, body in stage.sent)


@pytest.mark.parametrize("stage", [Anthropic], indirect=True)
def test_claude_sees_the_picture_where_that_is_asked_for(stage, play):
    assert play("--show-picture").returncode == 0
    last = json.loads(stage.sent[-1][1])["messages"][-1]["content"][0]["content"]
    assert [block["type"] for block in last] == ["text", "image"]
    assert last[1]["source"]["data"].startswith("iVBORw0KGgo")


def test_the_server_is_not_handed_the_key(stage, play, tmp_path):
    handed = tmp_path / "environment"
    sat_mcp = tmp_path / "sat-mcp"
    sat_mcp.write_text(f'#!/bin/sh\nenv > {handed}\nexec {SAT_MCP} "$@"\n')
    sat_mcp.chmod(0o755)
    assert play(sat_mcp=sat_mcp).returncode == 0
    assert "ORT_DYLIB_PATH=" in handed.read_text() and RIGHT_KEY not in handed.read_text()


def test_a_model_that_never_comes_to_an_end_is_stopped(stage, play):
    stage.script = never_ends
    done = play()
    assert (done.returncode, done.stdout) == (1, "")
    assert "came to no statement: it was still calling tools after 20 turns" in done.stderr
    assert len(stage.sent) == 20


def test_without_a_key_it_says_which_and_what_runs_without(stage, play):
    done = play(key=None)
    assert (done.returncode, done.stdout, stage.sent) == (2, "", [])
    assert f"export {stage.api.key}=" in done.stderr and "https://" in done.stderr
    assert "examples/report_to_volumes.py" in done.stderr


def test_a_refused_key_is_said_to_be_so(stage, play):
    done = play(key=WRONG_KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"does not accept the key in {stage.api.key}" in done.stderr


def test_what_the_api_says_is_handed_on_without_the_key(stage, play):
    done = play("--model", "no such model")
    assert (done.returncode, done.stdout) == (1, "")
    assert "API says: " in done.stderr and "No such model for " in done.stderr


def test_a_missing_scan_is_said_to_the_model_not_to_the_user(stage, play, tmp_path):
    scan = tmp_path / "none.nii.gz"
    stage.script = lambda talk: talk.segment(["brain"]) if not talk.answers else "There is no such scan."
    done = play("--report", "The brain.", "--image", str(scan), "--modality", "mri")
    assert done.returncode == 0 and done.stdout == "There is no such scan.\n"
    assert "no such file" in stage.talks()[-1].answers[0]


def test_a_server_that_does_not_start_is_said(stage, play):
    done = play(sat_mcp=Path("/bin/false"))
    assert (done.returncode, stage.sent) == (1, []) and "sat-mcp" in done.stderr


@pytest.mark.parametrize(("example", "package"), [("claude_report", "anthropic"), ("openai_report", "agents")])
def test_without_the_sdk_it_says_what_to_install(example, package):
    # What Python does with a package that is not there.
    script = f"import sys; sys.modules[{package!r}] = None; sys.path.insert(0, {str(EXAMPLES)!r}); import {example}"
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"{package} cannot be imported: pip install" in done.stderr
    assert "Traceback" not in done.stderr
