"""Stands between an agent and an MCP server on stdio and writes down every line that passes.

    python examples/agent_eval proxy --record FILE -- sat-mcp serve --data-root DIR

Lines go through byte for byte, whatever they are: progress, cancellations, resources, or no JSON at all. Each is recorded
before it is passed on, so that in the record no answer comes before its question. Uses the standard library only, since
it starts once a task.
"""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

# How long the server may take to end once the agent has hung up.
GOODBYE_S = 10.0


class Record:
    """A JSONL file of {t, direction, message}; a line that is no JSON is kept as {t, direction, text}."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def note(self, direction: str, line: bytes) -> None:
        entry: dict = {"t": round(time.monotonic() - self._start, 3), "direction": direction}
        try:
            entry["message"] = json.loads(line)
        except ValueError:
            entry["text"] = line.decode("utf-8", errors="replace").rstrip("\n")
        with self._lock:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()


def pump(source: BinaryIO, sink: BinaryIO, direction: str, record: Record) -> None:
    """Passes lines on until the source ends. A sink that is gone does not stop the record."""
    listening = True
    for line in source:
        record.note(direction, line)
        if not listening:
            continue
        try:
            sink.write(line)
            sink.flush()
        except (BrokenPipeError, ValueError):  # ValueError: closed by us meanwhile
            listening = False


def run(record_path: Path, command: list[str]) -> int:
    """Runs the server behind the record; returns its exit status."""
    record = Record(record_path)
    # The server's log goes where the proxy's own goes: it is no part of the protocol.
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.terminate())

    def listen_to_agent() -> None:
        # Not sys.stdin: Python aborts at its end when a thread still waits in there.
        with open(0, "rb", closefd=False) as agent:
            pump(agent, server.stdin, "to_server", record)
        with contextlib.suppress(BrokenPipeError):
            server.stdin.close()
        # A server that stays when its stdin has ended would keep the agent's host waiting for us.
        try:
            server.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            server.kill()

    # A daemon: when the server goes first, nobody waits for an agent that still holds the other end.
    threading.Thread(target=listen_to_agent, daemon=True).start()
    pump(server.stdout, sys.stdout.buffer, "to_agent", record)
    return server.wait()


def main(arguments: list[str]) -> int:
    """The command line `--record FILE -- COMMAND…`."""
    if len(arguments) < 4 or arguments[0] != "--record" or arguments[2] != "--":
        print("usage: proxy --record FILE -- COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    command = arguments[3:]
    try:
        return run(Path(arguments[1]), command)
    except OSError as error:
        hint = f"check that {arguments[1]} may be written and that {command[0]} is a program"
        print(f"proxy: {error}: {hint}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
