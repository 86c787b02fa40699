"""What README.md gives to paste: each JSON block and each SDK's line is read from there and connects to a server."""

import json
import re
import secrets
import subprocess
import sys
from contextlib import contextmanager

import pytest
from conftest import CHECKOUT, program
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

pytestmark = pytest.mark.anyio

SECTION = (CHECKOUT / "README.md").read_text(encoding="utf-8").partition("## Give it to an agent")[2].partition("\n## ")[0]
TOKEN = secrets.token_hex(16)
TOOLS = ["list_anatomy", "segment", "measure_volume"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


def entries() -> dict[str, dict]:
    """Every server that a JSON file of a client would name, and the one on `code`'s command line."""
    files = [json.loads(block) for block in blocks("json")]
    named = {f"{kind} {name}": entry for file in files for kind in ("mcpServers", "servers")
             for name, entry in file.get(kind, {}).items()}  # fmt: skip
    return named | {"code --add-mcp": json.loads(re.search(r"code --add-mcp '(.+?)'", SECTION)[1])}


ENTRIES = entries()


@pytest.fixture
def pasted(scans):
    """Text of README with this machine's paths in it."""

    def fill(text: str, address: str = "") -> str:
        for place, here in (("/path/to/sat-mcp", program()), ("/path/to/scans", scans), ("${workspaceFolder}", scans)):
            text = text.replace(place, str(here))
        return text.replace("http://127.0.0.1:8765/mcp", address).replace("Bearer TOKEN", f"Bearer {TOKEN}")

    return fill


@contextmanager
def over_http(environment, scans, tmp_path):
    """A server on a free port that wants the token; gives its address."""
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text(f"reader {TOKEN}\n", encoding="utf-8")
    command = [str(program()), "serve", "--http", "127.0.0.1:0", "--token-file", str(tokens), "--data-root", str(scans)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield address_in(server.stderr)
        finally:
            server.terminate()
            server.stderr.read()


def address_in(log) -> str:
    said = []
    for line in log:
        if found := re.search(r"listening on (http://\S+)", line):
            return found[1]
        said.append(line)
    raise AssertionError(f"the server did not start: {''.join(said)}")


def test_readme_has_lines_for_all_kinds_of_clients():
    assert len(ENTRIES) == 4 and len(blocks("python")) == 1


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if "command" in entry])
async def test_a_pasted_command_starts_the_server(name, environment, pasted):
    entry = json.loads(pasted(json.dumps(ENTRIES[name])))
    server = StdioServerParameters(command=entry["command"], args=entry["args"], env=environment)
    async with Client(server) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if "url" in entry])
async def test_a_pasted_address_and_its_header_are_answered(name, environment, scans, pasted, tmp_path):
    with over_http(environment, scans, tmp_path) as address:
        entry = json.loads(pasted(json.dumps(ENTRIES[name]), address))
        transport = streamable_http_client(entry["url"], http_client=create_mcp_http_client(headers=entry["headers"]))
        async with Client(transport) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS


async def test_the_lines_for_the_openai_agents_sdk_connect(environment, scans, pasted, tmp_path):
    script = """
import asyncio, os, sys
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp

async def main(server):
    # The SDK's client hands on next to nothing of the environment.
    if isinstance(server, MCPServerStdio):
        server.params.env = dict(os.environ)
    async with server:
        print(*[tool.name for tool in await server.list_tools()])

for line in sys.stdin.read().splitlines():
    asyncio.run(main(eval(line)))
"""
    with over_http(environment, scans, tmp_path) as address:
        done = subprocess.run([sys.executable, "-c", script], input=pasted(blocks("python")[0], address), env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout.splitlines() == [" ".join(TOOLS)] * 2, done.stderr
