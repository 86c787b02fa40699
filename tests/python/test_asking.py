"""What callers ask for, well and badly, as the official Python client sends it to the built program."""

import json

import jsonschema
import pytest
from conftest import program
from mcp import Client, StdioServerParameters

pytestmark = pytest.mark.anyio

SCRIPTS = ["肝臓", "الكبد", "печень", "🧠", "left\u202ekidney\u202c", "\u0301", "ﬁbula"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Results of these tests alone: masks that are kept would answer other tests' questions too soon."""
    return tmp_path_factory.mktemp("asking")


@pytest.fixture
def connect(environment, scans, store):
    def start() -> Client:
        arguments = ["serve", "--data-root", str(scans)]
        mine = {**environment, "SAT_MCP_RESULTS": str(store)}
        return Client(StdioServerParameters(command=str(program()), args=arguments, env=mine))

    return start


async def ignore(*_: object) -> None:
    """With progress asked for, an answer comes when it is done."""


async def segment(client: Client, scans, targets: list[str], **more):
    arguments = {"image": str(scans / "head.nii.gz"), "modality": "mri", "targets": targets, **more}
    return await client.call_tool("segment", arguments, progress_callback=ignore)


def error(result) -> dict:
    assert result.is_error and result.structured_content is None
    fault = result.meta["sat-mcp/error"]
    assert result.content[0].text.startswith(fault["message"])
    assert fault["hint"], "every error says what would work"
    return fault


async def test_512_targets_with_duplicates_and_synonyms_are_one_mask_a_class(connect, scans):
    names = ["left hippocampus", "L hippocampus", "hippocampus, left", "Left Hippocampus", "thalamus", "both thalami",
             "brain stem", "brainstem"]  # fmt: skip
    targets = (names * 64)[:512]
    async with connect() as client:
        schema = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}["segment"]
        result = await segment(client, scans, targets)
        assert not result.is_error, result.content[0].text
        answer = result.structured_content
        jsonschema.validate(answer, schema)
        assert [mask["target"] for mask in answer["masks"]] == targets, "one entry a target, in the order asked"
        uris = {mask["name"]: {file["uri"] for file in mask["files"]} for mask in answer["masks"]}
        assert all(len(files) == 1 for files in uris.values())
        assert len({mask["name"] for mask in answer["masks"]}) <= 4
        links = [block for block in result.content if block.type == "resource_link"]
        assert len(links) <= 7, "a class that was asked for often is linked once"

        fault = error(await segment(client, scans, [*targets, "putamen"]))
        assert fault["code"] == "invalid_argument" and "512" in fault["message"]
        result = await segment(client, scans, [f"no such thing {i}" for i in range(512)])
        fault = error(result)
        assert fault["code"] == "unknown_target" and '"no such thing 511"' in fault["message"]
        assert len(result.content[0].text) < 25_000


@pytest.mark.parametrize("count", [1, 5, 9, 20, 45])
async def test_summaries_of_any_length_fit_the_schema_and_say_what_full_says(connect, scans, count):
    async with connect() as client:
        schema = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}["segment"]
        listed = await client.call_tool("list_anatomy", {"modality": "mri", "limit": count})
        targets = [item["name"] for item in listed.structured_content["items"]]
        assert all(item["available"] for item in listed.structured_content["items"]), "what the model has comes first"
        short = (await segment(client, scans, targets)).structured_content
        full = (await segment(client, scans, targets, detail="full")).structured_content
        for answer in (short, full):
            jsonschema.validate(answer, schema)
        for brief, whole in zip(short["masks"], full["masks"], strict=True):
            assert (brief["target"], brief.get("name", brief["target"])) == (whole["target"], whole["name"])
            shared = brief["measurement"].keys() & whole["measurement"].keys() - {"intensity", "checks"}
            assert "volume_ml" in shared
            assert all(brief["measurement"][key] == whole["measurement"][key] for key in shared)
        for warning in full["warnings"]:
            same = [other for other in short["warnings"] if other["code"] == warning["code"]]
            about = [{*other.get("targets", []), other.get("target")} for other in same]
            assert any(other["message"].startswith("All targets") for other in same) or any(
                warning.get("target") in targets for targets in about
            ), warning


@pytest.mark.parametrize("phrase", ["", "   ", "\n\t", "\x07\x1b", "—", "kidney " * 1500, "x" * 10_000])
async def test_what_can_be_no_name_is_an_argument_error(connect, scans, phrase):
    async with connect() as client:
        fault = error(await segment(client, scans, [phrase]))
        assert fault["code"] == "invalid_argument" and len(fault["message"]) < 300
        fault = error(await segment(client, scans, [phrase], allow_untrained=True))
        assert fault["code"] == "invalid_argument"


@pytest.mark.parametrize("phrase", SCRIPTS)
async def test_other_scripts_are_unknown_and_never_taken_for_something(connect, scans, phrase):
    async with connect() as client:
        fault = error(await segment(client, scans, [phrase, "left hippocampus"]))
        assert fault["code"] in ("unknown_target", "invalid_argument", "not_in_model", "not_in_modality")
        listed = await client.call_tool("list_anatomy", {"query": phrase})
        if not listed.is_error:
            assert all(item["score"] < 0.8 or not item["available"] for item in listed.structured_content["items"])


async def test_every_bad_target_is_named_and_the_error_ends_with_a_call_that_works(connect, scans):
    bad = ["left hippocampus", "thalamic", "ventricle", "liver", "lung", "kidney stone", "left hippocampus"]
    async with connect() as client:
        result = await segment(client, scans, bad)
        fault = error(result)
        for phrase in ("thalamic", "ventricle", "liver", "lung", "kidney stone"):
            assert f'"{phrase}"' in fault["message"]
        assert "left hippocampus" not in {candidate["target"] for candidate in fault["candidates"]}
        near = {candidate["name"] for candidate in fault["candidates"] if candidate["target"] == "thalamic"}
        assert "thalamus" in near
        text = result.content[0].text
        would_work = text[text.rindex("targets [") + len("targets ") :].rstrip(".")
        assert not (await segment(client, scans, json.loads(would_work))).is_error


async def test_meaning_is_offered_behind_words_and_never_on_another_side(connect, scans):
    async with connect() as client:
        fault = error(await segment(client, scans, ["stem", "grey nuclei", "right thalamic lesion"]))
        names = {}
        for candidate in fault["candidates"]:
            names.setdefault(candidate["target"], []).append(candidate)
        assert any(one["name"] == "brainstem" and one.get("by_meaning") for one in names["stem"])
        near = names["grey nuclei"]
        assert any(candidate.get("by_meaning") for candidate in near)
        assert all(candidate["score"] < 0.8 for candidate in near)
        flags = [candidate.get("by_meaning", False) for candidate in near if candidate["available"]]
        assert flags == sorted(flags), "what shares words comes first"
        assert not any("left" in candidate["name"] for candidate in names["right thalamic lesion"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"region": "toe"}, "brain, head and neck"),
        ({"modality": "ultrasound"}, "mri"),
        ({"laterality": "both"}, "left"),
        ({"limit": 0}, "1"),
        ({"limit": 1_000_000}, "200"),
        ({"cursor": "00.zz"}, "without a cursor"),
        ({"query": "x" * 10_000}, "200 characters"),
        ({"query": "\x00\x1f"}, "no letters"),
        ({"serach": "liver"}, "query"),
    ],
)
async def test_a_list_that_cannot_be_given_says_why_and_what_can(connect, arguments, words):
    async with connect() as client:
        result = await client.call_tool("list_anatomy", arguments)
        fault = result.meta["sat-mcp/error"]
        assert result.is_error and fault["code"] == "invalid_argument"
        assert words in result.content[0].text and len(result.content[0].text) < 600


async def test_unions_ranges_questions_and_suggestions_can_be_seen_in_the_structure(connect, scans):
    async with connect() as client:
        answer = (await segment(client, scans, ["lentiform nucleus", "L putamen"])).structured_content
        union, plain = answer["masks"]
        assert union["name"] == "lentiform nucleus" and len(union["composed_of"]) == 4
        assert "composed_of" not in plain and plain["name"] == "left putamen"
        fault = error(await segment(client, scans, ["ventricle"]))
        assert fault["code"] == "ambiguous_target"
        assert {"third ventricle", "fourth ventricle"} <= {one["name"] for one in fault["candidates"] if one["available"]}
        listed = (await client.call_tool("list_anatomy", {"query": "L2 to L4", "modality": "ct"})).structured_content
        assert listed["items"][0]["name"] == "L2 to L4" and listed["items"][0]["score"] == 0.9


async def test_a_prompt_brings_the_candidates_of_a_report(connect):
    report = "Left hippocampal volume loss. No stroke. Prior splenectomy. The left hippocampus measures less than the right."
    async with connect() as client:
        prompts = (await client.list_prompts()).prompts
        assert [prompt.name for prompt in prompts] == ["segment_from_report", "measure_and_compare", "explain_result"]
        filled = await client.get_prompt("segment_from_report", {"report": report, "modality": "mri"})
        text = filled.messages[0].content.text
        assert '"left hippocampus"' in text.lower() and "- stroke: " in text
