"""The protocol's own conformance suites, both of them, against the server over HTTP.

Every scenario that needs nothing but a server runs on the shipped program; those that call tools, read resources or get prompts
of the suites' own run on the test build (`sat-mcp-fixtures`), which has these beside the tools on the same stack. The table below
says which is which and why; a scenario that a newer suite brings and that isn't in the table fails the test.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from conftest import missing, program
from serving import NODE_MODULES, node, served

SUITES = {"0.1.16": "conformance-0.1", "0.2.0-alpha.12": "conformance-0.2"}

# On the program that is shipped.
SHIPPED = {
    "server-initialize": "a handshake",
    "server-session-lifecycle": "a session from its first to its last message",
    "ping": "no tool needed",
    "tools-list": "sat-mcp's own tools",
    "resources-list": "sat-mcp's own resources",
    "prompts-list": "sat-mcp's own prompts",
    "server-sse-multiple-streams": "several streams at once",
    "sep-2164-resource-not-found": "an address that nothing lies at",
    "sep-2640-skills-directory": "sat-mcp's own skills",
    "sep-2640-skills-enumeration": "sat-mcp's own skills",
    "sep-2640-skills-manifest": "sat-mcp's own skills",
    "dns-rebinding-protection": "Host and Origin",
    "caching": "hints on what sat-mcp itself offers",
    "http-header-validation": "headers against bodies",
    "input-required-result-unsupported-methods": "methods that never ask back",
}

# On the test build, and what of it they need.
FIXTURES = {
    "server-stateless": "tools that need a capability, ask back, and change the lists",
    "server-sse-polling": "a tool that takes a while",
    "completion-complete": "a prompt with arguments to complete",
    "tools-call-simple-text": "a tool that answers so",
    "tools-call-image": "a tool that answers so",
    "tools-call-audio": "a tool that answers so",
    "tools-call-embedded-resource": "a tool that answers so",
    "tools-call-mixed-content": "a tool that answers so",
    "tools-call-error": "a tool that fails",
    "tools-call-with-progress": "a tool that tells of three steps",
    "json-schema-2020-12": "a tool with a schema of every kind",
    "http-custom-header-server-validation": "an argument that is repeated in a header",
    "resources-read-text": "a resource with that text",
    "resources-read-binary": "a resource with that picture",
    "resources-templates-read": "a template",
    "resources-subscribe": "a resource to watch",
    "resources-unsubscribe": "a resource to watch",
    "prompts-get-simple": "a prompt",
    "prompts-get-with-args": "a prompt with arguments",
    "prompts-get-embedded-resource": "a prompt with a resource in it",
    "prompts-get-with-image": "a prompt with a picture",
    "input-required-result-basic-elicitation": "a tool that asks back",
    "input-required-result-basic-sampling": "a tool that asks back",
    "input-required-result-basic-list-roots": "a tool that asks back",
    "input-required-result-request-state": "a tool that asks back with a state",
    "input-required-result-multiple-input-requests": "a tool that asks back for three things",
    "input-required-result-multi-round": "a tool that asks back twice",
    "input-required-result-missing-input-response": "a tool that asks back",
    "input-required-result-non-tool-request": "a prompt that asks back",
    "input-required-result-result-type": "a tool that asks back",
    "input-required-result-tampered-state": "a tool that asks back with a state",
    "input-required-result-capability-check": "a tool that asks back for what the client can answer",
    "input-required-result-ignore-extra-params": "a tool that asks back",
    "input-required-result-validate-input": "a tool that asks back",
    "tasks-lifecycle": "tools that run as tasks",
    "tasks-capability-negotiation": "tools that run as tasks",
    "tasks-wire-fields": "tools that run as tasks",
    "tasks-request-state-removal": "tools that run as tasks",
    "tasks-mrtr-input": "tasks that ask back",
    "tasks-request-headers": "tools that run as tasks",
    "tasks-dispatch-and-envelope": "tools that run as tasks",
    "tasks-required-task-error": "a tool that only runs as a task",
    "tasks-mrtr-composition": "a tool that asks back, then runs as a task",
}

# On neither: requests from the server to its client, and its log, in the handshake's way. sat-mcp sends none of them, so rmcp alone
# could be tested here; what the newest revision has in their place is tested above (input-required-result-*).
NEITHER = {
    "logging-set-level": "logging over the protocol is deprecated since 2026-07-28; sat-mcp logs to stderr",
    "tools-call-with-logging": "logging over the protocol is deprecated since 2026-07-28; sat-mcp logs to stderr",
    "tools-call-sampling": "sampling is deprecated since 2026-07-28; sat-mcp never samples",
    "tools-call-elicitation": "2026-07-28 asks by input_required instead; sat-mcp never asks",
    "elicitation-sep1034-defaults": "2026-07-28 asks by input_required instead; sat-mcp never asks",
    "elicitation-sep1330-enums": "2026-07-28 asks by input_required instead; sat-mcp never asks",
}

# On the test build, to see that they are still empty: the suite skips them itself.
HOLLOW = {
    "tasks-status-notifications": "the suite's harness is to be rewritten; src/serve/tests/tasks.rs tests what is sent",
}

TABLE = [*SHIPPED, *FIXTURES, *NEITHER, *HOLLOW]

# Checks on every scenario's traffic, which say nothing of the scenario.
ALWAYS = {"wire-schema-valid"}


def suite(version: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [node(), str(NODE_MODULES / SUITES[version] / "dist" / "index.js"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@cache
def scenarios(version: str) -> dict[str, list[str]]:
    """The suite's scenarios for servers, each with the revisions that it applies to, or `extension`."""
    listed = suite(version, "list", "--server")
    assert listed.returncode == 0, listed.stderr
    found = re.findall(r"^\s+- (\S+) \[(.+)\]$", listed.stdout, re.MULTILINE)
    return {name: revisions.split(",") for name, revisions in found}


def fixtures() -> Path:
    """The test build, which lies beside the program."""
    built = program().with_name("sat-mcp-fixtures")
    if not built.exists():
        missing(f"{built} is not there: `cargo build --features fixtures` makes it")
    return built


@pytest.fixture(scope="module", params=["shipped", "fixtures"])
def build(request, environment, scans, tmp_path_factory):
    """The address of one of the two programs, and what it has to pass."""
    shipped = request.param == "shipped"
    binary, wanted = (program(), SHIPPED) if shipped else (fixtures(), {**FIXTURES, **HOLLOW})
    own = {**environment, "SAT_MCP_RESULTS": str(tmp_path_factory.mktemp("results"))}
    with served(binary, own, "--data-root", str(scans)) as url:
        yield url, wanted


def checks(folder: Path) -> dict[str, list[dict]]:
    """What the suite found, by scenario."""
    found = {}
    for path in folder.glob("server-*/checks.json"):
        name = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+", path.parent.name)[1]
        found[name] = json.loads(path.read_text())
    return found


def complaints(name: str, found: list[dict] | None) -> list[str]:
    """Failed checks; a scenario that checked nothing counts as failed, too."""
    if found is None:
        return [f"{name}: broke off"]
    if name in HOLLOW:
        full = any(one["status"] != "SKIPPED" for one in found)
        return [f"{name}: the suite checks something now, take it out of HOLLOW"] if full else []
    failed = [one for one in found if one["status"] in ("FAILURE", "WARNING")]
    lines = [f"{name}: {one['status']} {one['id']}: {one.get('errorMessage', one['description'])}" for one in failed]
    if not any(one["status"] == "SUCCESS" and one["id"] not in ALWAYS for one in found):
        lines.append(f"{name}: nothing was checked")
    return lines


@pytest.mark.parametrize("version", SUITES)
def test_every_scenario_of_the_suites_is_in_the_table(version):
    listed = set(scenarios(version))
    assert listed and listed <= {*TABLE}


def test_the_table_names_each_scenario_once_and_none_that_is_gone():
    assert len(TABLE) == len({*TABLE})
    assert {*TABLE} == {name for version in SUITES for name in scenarios(version)}


def alone(version: str, url: str, name: str, out: Path, *options: str) -> list[str]:
    """Complaints of one scenario, run by itself."""
    suite(version, "server", "--url", url, "--scenario", name, "-o", str(out), *options)
    return complaints(name, checks(out).get(name))


@pytest.mark.parametrize("version", SUITES)
def test_the_server_conforms_at_every_revision(version, build, tmp_path):
    url, wanted = build
    known = scenarios(version)
    wrong = []
    for revision in sorted({revision for revisions in known.values() for revision in revisions} - {"extension"}):
        out = tmp_path / revision
        done = suite(version, "server", "--url", url, "--suite", "all", "--spec-version", revision, "-o", str(out))
        found = checks(out)
        assert found, done.stderr
        for name in (name for name in known if name in wanted and revision in known[name]):
            # The suites listen for fixed fractions of a second, too short for a busy machine: what fails is tried again alone.
            lines = complaints(name, found.get(name))
            if lines:
                lines = alone(version, url, name, tmp_path / f"{name}-{revision}", "--spec-version", revision)
            wrong += [f"{revision} {line}" for line in lines]
    for name in (name for name in known if name in wanted and known[name] == ["extension"]):
        wrong += alone(version, url, name, tmp_path / name) and alone(version, url, name, tmp_path / f"{name}-again")
    assert not wrong, "\n".join(wrong)
