"""A server over HTTP for the while of a test, and the Node.js that other people's programs need."""

import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import CHECKOUT, missing

NODE_MODULES = CHECKOUT / "tests" / "node_modules"


@contextmanager
def served(program: Path, environment: dict[str, str], *options: str) -> Iterator[str]:
    """Starts `program serve --http` on a port that the system chooses, and gives its address."""
    command = [str(program), "serve", "--http", "127.0.0.1:0", *options]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        log = []
        for line in server.stderr:
            log.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                break
        else:
            raise AssertionError("the server did not start:\n" + "".join(log))
        # What it logs from here on must not fill the pipe.
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        yield found.group(1)
    finally:
        server.terminate()
        server.wait(30)
    drain.wait(30)
    assert server.returncode == 0


@contextmanager
def over_stdio(program: Path, environment: dict[str, str], root: Path, **how) -> Iterator[Callable[[str, dict], dict]]:
    """A server on stdin and stdout, and what calls a tool of it, as lines of JSON: no client stands between."""
    command = [str(program), "serve", "--data-root", str(root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env=environment, text=True, **pipes, **how)
    ids = itertools.count(1)

    def say(message: dict) -> None:
        server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        server.stdin.flush()

    def ask(method: str, params: dict) -> dict:
        asked = next(ids)
        say({"id": asked, "method": method, "params": params})
        while True:
            answer = json.loads(server.stdout.readline())
            if answer.get("id") == asked:
                return answer["result"]

    try:
        client = {"name": "test", "version": "0"}
        ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        say({"method": "notifications/initialized"})
        yield lambda name, arguments: ask("tools/call", {"name": name, "arguments": arguments})
        server.stdin.close()
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()


def node() -> str:
    """The Node.js of tests/package.json, which the suites and the Inspector need: the system's may be older."""
    found = NODE_MODULES / "node" / "bin" / "node"
    if not found.exists():
        missing(f"{NODE_MODULES} is not there: `make test-python` brings it where there is npm")
    return str(found)
