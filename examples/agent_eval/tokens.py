"""How many tokens a model reads: o200k_base, from the table in the wheel of bpe-openai, so that nothing is downloaded."""

import json
from collections.abc import Callable

from agent_eval.transcript import Transcript, text_of

ESTIMATE = "an estimate: bytes / 4, since bpe-openai is not installed"


def counter() -> tuple[Callable[[str], int], str]:
    """A function that counts, and what to call its figures."""
    try:
        import bpe_openai
    except ImportError:
        return lambda text: -(-len(text.encode()) // 4), ESTIMATE
    encoding = bpe_openai.get_encoding("o200k_base")
    return lambda text: len(encoding.encode_ordinary(text)), "o200k_base"


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def of_result(count: Callable[[str], int], result: dict) -> dict[str, int]:
    """A tool's answer in the three forms that hosts hand on: its text, its links, its structured content."""
    links = [block for block in result.get("content", []) if block.get("type") != "text"]
    structured = result.get("structuredContent")
    return {
        "text": count(text_of(result)),
        "links": count(compact(links)) if links else 0,
        "structured": count(compact(structured)) if structured else 0,
    }


def of_tools(count: Callable[[str], int], tools: list[dict]) -> dict[str, int]:
    """A tool list as hosts show it to a model, and whole."""
    shown = [{key: tool.get(key) for key in ("name", "description", "inputSchema")} for tool in tools]
    return {"shown": count(compact(shown)), "whole": count(compact(tools))}


def of_transcript(count: Callable[[str], int], transcript: Transcript) -> dict[str, int]:
    """All that the tools answered in one task."""
    total = {"text": 0, "links": 0, "structured": 0}
    for call in transcript.calls:
        for form, tokens in of_result(count, call.result or {}).items():
            total[form] += tokens
    return total
