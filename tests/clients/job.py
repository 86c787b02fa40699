"""What every Python client does once it is connected: the job and the report are those of tests/python/test_clients.py."""

import asyncio
import json
import sys


def plain(result) -> dict:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def done(job: dict, revision: str, tools: list, call, read) -> dict:
    """The report: `call` takes a tool and its arguments, `read` a URI; both give what the SDK gives."""
    report = {"revision": revision, "tools": [tool.name for tool in tools]}
    report["list_anatomy"] = plain(await call("list_anatomy", job["list_anatomy"]))
    while True:
        report["segment"] = plain(await call("segment", job["segment"]))
        answer = report["segment"].get("structuredContent", {})
        if answer.get("status") != "running":
            break
        await asyncio.sleep(0.2)
    report["measure_volume"] = plain(await call("measure_volume", {"result_id": answer["result_id"]}))
    report["read"] = [plain(await read(mask["files"][0]["uri"])) for mask in answer["masks"]]
    return report


def main(run) -> None:
    """Reads the job, prints the report."""
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
