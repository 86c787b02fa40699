"""What was said between an agent and the server, read back from a record of the proxy."""

import json
from dataclasses import dataclass, field
from pathlib import Path

ERROR_KEY = "sat-mcp/error"


@dataclass
class Call:
    """A tool call and what came of it."""

    tool: str
    arguments: dict
    result: dict | None = None
    # A fault of the protocol, such as an unknown tool; a fault of the arguments is a result with isError.
    error: dict | None = None

    @property
    def answer(self) -> dict | None:
        """The structured answer, where the call was accepted."""
        if self.result is None or self.result.get("isError"):
            return None
        return self.result.get("structuredContent")

    @property
    def refusal(self) -> dict | None:
        """Why it was refused: code, message, candidates."""
        if self.result is None or not self.result.get("isError"):
            return self.error
        fault = (self.result.get("_meta") or {}).get(ERROR_KEY)
        return fault or {"code": "unknown", "message": text_of(self.result)}


@dataclass
class Transcript:
    """The calls in the order they were made, and what was listed and said at the beginning."""

    calls: list[Call] = field(default_factory=list)
    tools: list[dict] = field(default_factory=list)
    instructions: str = ""

    def of(self, tool: str) -> list[Call]:
        return [call for call in self.calls if call.tool == tool]

    def masks(self) -> list[dict]:
        """All masks that segment answered with."""
        return [mask for call in self.of("segment") if call.answer for mask in call.answer.get("masks", [])]

    def asked(self) -> set[str]:
        """The classes that the accepted targets were resolved to by the server, pieces of unions among them."""
        return {name for mask in self.masks() for name in [mask["name"], *mask.get("composed_of", [])]}

    def measurements(self) -> list[dict]:
        """All measurements that the agent was given, last ones last."""
        # a long answer in summary says a mask's name once, above its numbers
        found = [{"name": mask["name"], **mask["measurement"]} for mask in self.masks()]
        for call in self.of("measure_volume"):
            found += (call.answer or {}).get("measurements", [])
        return found


def read(path: Path) -> Transcript:
    """A record as the proxy writes it. An agent that began no conversation leaves none: that is an empty transcript."""
    transcript = Transcript()
    if not path.exists():
        return transcript
    # A client may start servers one after the other and begin its numbers anew: the last asker of a number is meant.
    open_calls: dict[object, Call] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    # What follows the last line's end is nothing, or half a line of a proxy that was stopped with its agent.
    for number, line in enumerate(lines[:-1], 1):
        try:
            entry = json.loads(line)
            direction, message = entry["direction"], entry.get("message")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: not a line of the proxy's record ({error})") from error
        if not isinstance(message, dict):
            continue
        if direction == "to_server" and message.get("method") == "tools/call":
            params = message.get("params") or {}
            call = Call(params.get("name", ""), params.get("arguments") or {})
            transcript.calls.append(call)
            open_calls[message.get("id")] = call
        elif direction == "to_agent" and "id" in message and "method" not in message:
            take_answer(transcript, open_calls.pop(message["id"], None), message)
    return transcript


def take_answer(transcript: Transcript, call: Call | None, message: dict) -> None:
    result = message.get("result")
    if call is not None:
        call.result, call.error = result, message.get("error")
    elif isinstance(result, dict):
        transcript.tools = result.get("tools", transcript.tools)
        transcript.instructions = result.get("instructions", transcript.instructions)


def text_of(result: dict) -> str:
    """The text blocks of a result."""
    return "\n".join(block["text"] for block in result.get("content", []) if block.get("type") == "text")
