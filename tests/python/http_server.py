"""The built program over HTTP, for tests that speak to it with other people's clients."""

import json
import re
import subprocess
import threading
from pathlib import Path

import requests
from conftest import program


class Server:
    """`sat-mcp serve --http` on a free port of this machine, with its own results folder; its log is kept line by line."""

    def __init__(self, environment: dict[str, str], roots: Path, results: Path, *options: str, **more: str):
        arguments = [str(program()), "serve", "--http", "127.0.0.1:0", "--data-root", str(roots), *options]
        quiet = {name: value for name, value in environment.items() if "proxy" not in name.lower()}
        # Whoever runs the tests may have a collector of their own.
        quiet = {name: value for name, value in quiet.items() if not name.startswith("OTEL_")}
        self.results = results
        self.process = subprocess.Popen(
            arguments,
            env={**quiet, "SAT_MCP_RESULTS": str(results), "SAT_MCP_LOG_FORMAT": "json", **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self.url = self._address()
        self._reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self._reader.start()
        self.http = requests.Session()
        self.http.trust_env = False
        self._session: dict[str, str] = {}
        self._last = 0

    def _address(self) -> str:
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"listening on (http://\S+?)/mcp", line):
                return found[1]
        raise AssertionError(f"the server did not start: {self.log}")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def end(self) -> int:
        """Tells the process to end and waits until it has, and its log with it."""
        if self.process.poll() is None:
            self.http.close()
            self.process.terminate()
        code = self.process.wait(120)
        self._reader.join(60)
        return code

    def put(self, bytes_, **more) -> requests.Response:
        return self.http.put(f"{self.url}/images", data=bytes_, timeout=120, **more)

    def get(self, path: str, **more) -> requests.Response:
        return self.http.get(self.url + path, timeout=120, **more)

    def call(self, tool: str, arguments: dict, headers: dict | None = None, meta: dict | None = None) -> dict:
        """A tool's result, asked for again while the answer is that it is under way."""
        params = {"name": tool, "arguments": arguments, **({"_meta": meta} if meta else {})}
        while True:
            result = self.ask("tools/call", params, headers)
            if (result.get("structuredContent") or {}).get("status") != "running":
                return result

    def ask(self, method: str, params: dict, headers: dict | None = None) -> dict:
        """The result of any request, in a session that is begun where there is none yet."""
        if not self._session:
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
            self._session = {"mcp-protocol-version": "2025-06-18"}
            answer = self._post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}, {})
            self._session["mcp-session-id"] = answer.headers["mcp-session-id"]
            self._post({"jsonrpc": "2.0", "method": "notifications/initialized"}, {})
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        answer = self._post(message, headers or {})
        lines = [line.removeprefix("data:") for line in answer.text.splitlines() if line.startswith("data:")]
        messages = [json.loads(line) for line in lines or [answer.text] if line.strip()]
        return next(message["result"] for message in messages if message.get("id") == self._last)

    def _post(self, message: dict, headers: dict) -> requests.Response:
        accept = {"accept": "application/json, text/event-stream", **self._session, **headers}
        answer = self.http.post(f"{self.url}/mcp", json=message, headers=accept, timeout=300)
        answer.raise_for_status()
        return answer


def fault(result: dict) -> dict:
    assert result["isError"], result
    return result["_meta"]["sat-mcp/error"]
